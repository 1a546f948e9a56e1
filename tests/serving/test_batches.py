"""Requests that wait together are answered together, and each gets its own rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nbci.serving.batches import Batcher, BatchSettings
from nbci.serving.refusal import Refusal
from tests.promotion.test_packaging import WEIGHTS
from tests.serving.linear import linear, loaded_of

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path


class Asked:
    """A batcher over the linear model; `batches` are the requests and rows of each."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        loaded = loaded_of(linear(folder))
        assert loaded.joins_rows
        self.batches: list[tuple[int, int]] = []
        self.batcher = Batcher(
            loaded.model,
            BatchSettings(**settings),
            lambda requests, rows: self.batches.append((requests, rows)),
            joins_rows=loaded.joins_rows,
        )

    def answer(self, rows: Any, *outputs: str) -> Coroutine[Any, Any, dict[str, Any]]:
        array = np.asarray(rows, dtype=np.float32)
        return self.batcher.answer({"X": array}, outputs or ("scores",))


def gathered(*coroutines: Coroutine[Any, Any, Any]) -> list[Any]:
    async def gather() -> list[Any]:
        return list(await asyncio.gather(*coroutines, return_exceptions=True))

    return asyncio.run(gather())


def test_what_arrives_together_is_one_batch_and_each_gets_its_own_rows(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    rows = [np.full((count, 3), count, dtype=np.float32) for count in (1, 2, 3)]
    answers = gathered(*(asked.answer(each) for each in rows))
    for each, answer in zip(rows, answers, strict=True):
        np.testing.assert_allclose(answer["scores"], each @ WEIGHTS, rtol=1e-6)
    assert asked.batches == [(3, 6)]


def test_a_batch_has_no_more_rows_than_are_allowed(tmp_path: Path) -> None:
    asked = Asked(tmp_path, largest=4)
    gathered(*(asked.answer(np.ones((2, 3))) for _ in range(5)))
    assert [rows for _, rows in asked.batches] == [4, 4, 2]


def test_other_outputs_are_another_batch(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    one, other = gathered(asked.answer([[1, 2, 3]]), asked.answer([[1, 2, 3]], "label"))
    assert set(one) == {"scores"}
    assert set(other) == {"label"}
    assert asked.batches == [(1, 1), (1, 1)]


def test_who_comes_when_the_queue_is_full_is_told_so(tmp_path: Path) -> None:
    asked = Asked(tmp_path, queue=2)
    answers = gathered(*(asked.answer([[1, 2, 3]]) for _ in range(3)))
    assert isinstance(answers[2], Refusal)
    assert answers[2].status == 503
    assert [set(answer) for answer in answers[:2]] == [{"scores"}] * 2


def test_a_request_that_the_model_cannot_answer_is_that_ones_own_trouble(tmp_path: Path) -> None:
    asked = Asked(tmp_path)
    answers = gathered(asked.answer([[1, 2, 3]]), asked.answer([[1, 2]]), asked.answer([[4, 5, 6]]))
    assert isinstance(answers[1], Refusal)
    assert answers[1].status == 400
    assert [set(answers[at]) for at in (0, 2)] == [{"scores"}] * 2


def test_a_client_that_went_away_keeps_nobody_from_an_answer(tmp_path: Path) -> None:
    asked = Asked(tmp_path)

    async def go_away() -> Any:
        gone = asyncio.create_task(asked.answer([[1, 2, 3]]))
        stays = asyncio.create_task(asked.answer([[4, 5, 6]]))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert set(asyncio.run(go_away())) == {"scores"}


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_have_no_answers_and_one_has_one(tmp_path: Path, rows: int) -> None:
    asked = Asked(tmp_path)
    (answer,) = gathered(asked.answer(np.ones((rows, 3))))
    assert answer["scores"].shape == (rows, 2)
