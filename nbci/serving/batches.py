"""Requests that arrive together go through the model together.

While the model answers, what arrives waits, and is the next batch. Where requests come one after
another, none waits.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.serving.refusal import Refusal
from nbci.serving.signature import check_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.serving.signature import Arrays, ServedModel

    Answers = dict[str, Any]

_QUICK_SECONDS = 0.0005
"""Whoever answers within this is asked in the event loop: a thread would take as long."""

_UNAVAILABLE = 503


class BatchSettings(Struct, frozen=True, kw_only=True):
    """`largest` rows go through the model at once; others are waited for `wait_seconds`.

    `queue` is how many requests may wait; who comes then is told to come again.
    """

    largest: int = 64
    wait_seconds: float = 0.002
    queue: int = 1024


class _Waiting(Struct):
    inputs: Arrays
    outputs: tuple[str, ...]
    rows: int
    answer: asyncio.Future[Answers]


class Batcher:
    """Answers requests to one model, in batches where its signature has an axis for rows."""

    def __init__(
        self,
        model: ServedModel,
        settings: BatchSettings,
        observe: Callable[[int, int], None],
        *,
        joins_rows: bool,
    ) -> None:
        """`observe` is called with the requests and the rows of each batch.

        `joins_rows`: rows of several requests may go through the model together.
        """
        self._model = model
        self._settings = settings
        # Its own: a slow model keeps no other one waiting. Batches come one after another anyway.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._observe = observe
        self._is_batched = model.signature.is_batched
        self._joins_rows = joins_rows
        self._queue: list[_Waiting] = []
        self._runner: asyncio.Task[None] | None = None
        self._seconds = _QUICK_SECONDS
        self._last = 1

    @property
    def waiting(self) -> int:
        """How many requests wait for their answer."""
        return len(self._queue)

    @property
    def is_ready(self) -> bool:
        """Whether its model answers now."""
        return self._model.is_ready

    def close(self) -> None:
        """End the model; nothing is asked of it any more, and this may take seconds."""
        self._model.close()
        self._executor.shutdown()

    async def answer(self, inputs: Arrays, outputs: Sequence[str]) -> Answers:
        """The answers by output; Refusal (503) where too many wait already."""
        # Better told now than answered when nobody waits any more.
        if len(self._queue) >= self._settings.queue:
            raise Refusal(503, "too many requests are waiting; try again in a moment")
        rows = check_rows(inputs) if self._is_batched else 1
        waiting = _Waiting(
            inputs=inputs,
            outputs=tuple(outputs),
            rows=rows,
            answer=asyncio.get_running_loop().create_future(),
        )
        self._queue.append(waiting)
        # One at a time: while the model answers, the next batch fills.
        if self._runner is None:
            self._runner = asyncio.create_task(self._answer_all())
        return await waiting.answer

    async def _answer_all(self) -> None:
        """Answer whatever waits, until nothing does."""
        try:
            while self._queue:
                # Alone the last time: then most likely now, too.
                if self._joins_rows and self._last > 1 and self._settings.wait_seconds:
                    await asyncio.sleep(self._settings.wait_seconds)
                await self._answer_batch(self._take_batch())
        finally:
            self._runner = None

    def _take_batch(self) -> list[_Waiting]:
        # In their order: nobody waits longer since others fit better.
        batch = [self._queue.pop(0)]
        rows = batch[0].rows
        while self._joins_rows and self._queue:
            other = self._queue[0]
            if rows + other.rows > self._settings.largest or not _fits(batch[0], other):
                break
            batch.append(self._queue.pop(0))
            rows += other.rows
        self._last = len(batch)
        return batch

    async def _answer_batch(self, batch: list[_Waiting]) -> None:
        began = time.perf_counter()
        try:
            answers = await self._ask_model(batch)
        except Exception as error:  # noqa: BLE001 - the runtime has errors of many types
            await self._answer_alone(batch, error)
            return
        seconds = time.perf_counter() - began
        # A moving mean, so that one slow answer does not decide.
        self._seconds = 0.8 * self._seconds + 0.2 * seconds
        self._observe(len(batch), sum(waiting.rows for waiting in batch))
        for waiting, answer in zip(batch, answers, strict=True):
            # A client that went away cancelled its own.
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    async def _answer_alone(self, batch: list[_Waiting], error: Exception) -> None:
        """Answer each by itself: what the model cannot answer is the trouble of one of them."""
        is_for_all = isinstance(error, Refusal) and error.status == _UNAVAILABLE
        if is_for_all:
            for waiting in batch:
                _refuse(waiting, error)
        elif len(batch) > 1:
            for waiting in batch:
                await self._answer_batch([waiting])
        else:
            _refuse(batch[0], error)

    async def _ask_model(self, batch: list[_Waiting]) -> list[Answers]:
        if self._model.is_in_process and self._seconds <= _QUICK_SECONDS:
            return _answers(self._model, batch)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, _answers, self._model, batch)


def _refuse(waiting: _Waiting, error: Exception) -> None:
    if waiting.answer.done():
        return
    if isinstance(error, Refusal):
        waiting.answer.set_exception(Refusal(error.status, error.reason))
        return
    refusal = Refusal(400, "the model cannot answer this input")
    refusal.__cause__ = error
    waiting.answer.set_exception(refusal)


def _fits(one: _Waiting, other: _Waiting) -> bool:
    """Whether the rows of two requests can stand in one array."""
    # Which outputs are asked for decides what is computed.
    if one.outputs != other.outputs:
        return False
    return all(one.inputs[name].shape[1:] == other.inputs[name].shape[1:] for name in one.inputs)


def _answers(model: ServedModel, batch: list[_Waiting]) -> list[Answers]:
    import numpy as np

    outputs = batch[0].outputs
    # No copy for who is alone.
    if len(batch) == 1:
        return [dict(zip(outputs, model.answer(outputs, batch[0].inputs), strict=True))]
    joined = {}
    for name in batch[0].inputs:
        joined[name] = np.concatenate([waiting.inputs[name] for waiting in batch])
    whole = model.answer(outputs, joined)
    answers = []
    at = 0
    for waiting in batch:
        end = at + waiting.rows
        answers.append({name: part[at:end] for name, part in zip(outputs, whole, strict=True)})
        at = end
    return answers
