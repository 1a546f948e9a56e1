"""A kernel in which a notebook has defined `predict`; arrays go there and back over a comm."""

from __future__ import annotations

import asyncio
import functools
import importlib.resources
import itertools
import os
import uuid
from typing import TYPE_CHECKING, Any

from nbci.kernels.process import KernelProcess
from nbci.secrets import Mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from nbci.kernels.job import KernelJob

    Arrays = Mapping[str, npt.NDArray[np.generic]]

_TARGET = "nbci.predict"
_GRACE_SECONDS = 2.0
# Not installed in the kernel's environment, which may be another than nbci's.
_START = """
import types
module = types.ModuleType('_nbci_predicting')
exec(compile(source, '<nbci predicting>', 'exec'), module.__dict__)
module.start(parent)
"""


class CellRaised(Exception):
    """The notebook does not come as far as its `predict`; the text says where."""


class PredictFailed(Exception):
    """`predict` raised, or answers otherwise than it should; the text repeats no data."""


class PredictorGone(Exception):
    """The kernel died or took too long; it is started again."""


class PredictorKernel:
    """One kernel, from its start to its end; all calls are of one event loop."""

    def __init__(self, job: KernelJob) -> None:
        self._job = job
        self._process = KernelProcess(job, Mask(()), _ignore)
        self._comm = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None

    @property
    def died(self) -> asyncio.Future[int]:
        """Done when the process has ended."""
        return self._process.died

    async def start(self) -> None:
        """Run the notebook's cells. StartFailed, or CellRaised where one of them raises."""
        await self._process.start()
        # All of it is read from the start: a full queue would keep the kernel from answering.
        self._reading = asyncio.ensure_future(self._read())
        for cell in self._job.cells:
            await self._execute(cell.source, f"cell {cell.number}")
        await self._execute(_start_source(self._process.parent_pid), "behind its cells")
        self._send("comm_open", {"target_name": _TARGET, "data": {}}, [])

    async def ask(
        self, inputs: Arrays, outputs: Sequence[str], seconds: float
    ) -> tuple[list[dict[str, Any]], list[bytes]]:
        """What `predict` answers: each output as the kernel describes it, and bytes of numbers.

        PredictFailed where it raises. PredictorGone where the kernel dies, or has no answer after
        `seconds`: then it is killed, since nothing else would ever end it.
        """
        number = next(self._numbers)
        described, buffers = _encode(inputs)
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        data = {"id": number, "inputs": described, "outputs": list(outputs)}
        try:
            self._send("comm_msg", {"data": data}, buffers)
            events: list[asyncio.Future[Any]] = [future, self.died]
            await asyncio.wait(events, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._asked[number]
        if not future.done():
            self._process.kill()
            raise PredictorGone("the model's kernel ended, and is started again")
        answer = future.result()
        if "raised" in answer["data"]:
            raise PredictFailed(f"`predict` raised {answer['data']['raised']}")
        return list(answer["data"]["answers"]), list(answer["buffers"])

    async def end(self) -> None:
        """End the process with all that it started."""
        if self._reading is not None:
            self._reading.cancel()
        await self._process.end(_GRACE_SECONDS)

    async def _execute(self, source: str, place: str) -> None:
        client = self._process.client
        assert client is not None
        asked = client.execute(source, store_history=False)
        replying = asyncio.ensure_future(self._reply(asked))
        events: list[asyncio.Future[Any]] = [replying, self.died]
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        if not replying.done():
            replying.cancel()
            raise CellRaised(f"{place}: the kernel ended with {self.died.result()}")
        content = replying.result()
        if content["status"] != "ok":
            raise CellRaised(f"{place}: {content.get('ename')}: {content.get('evalue')}")

    async def _reply(self, asked: str) -> dict[str, Any]:
        client = self._process.client
        assert client is not None
        while True:
            reply = await client.shell_channel.get_msg()
            if reply["parent_header"].get("msg_id") == asked:
                return dict(reply["content"])

    async def _read(self) -> None:
        """Read what the kernel sends; what it prints is dropped: it may be anybody's data."""
        client = self._process.client
        assert client is not None
        while True:
            message = await client.iopub_channel.get_msg()
            content = message["content"]
            if message["msg_type"] != "comm_msg" or content.get("comm_id") != self._comm:
                continue
            future = self._asked.get(content["data"].get("id"))
            if future is not None and not future.done():
                future.set_result({"data": content["data"], "buffers": message["buffers"]})

    def _send(self, kind: str, content: dict[str, Any], buffers: list[bytes]) -> None:
        client = self._process.client
        assert client is not None
        message = client.session.msg(kind, {"comm_id": self._comm, **content})
        message["buffers"] = buffers
        client.shell_channel.send(message)


def _ignore(_: str) -> None:
    """What the process writes outside any cell is nobody's: it may hold data."""


def _encode(inputs: Arrays) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Arrays as the kernel reads them: texts in the description, numbers as bytes."""
    described: list[dict[str, Any]] = []
    buffers = []
    for name, array in inputs.items():
        each: dict[str, Any] = {"name": name, "shape": list(array.shape)}
        if array.dtype.kind in "OSU":
            each["texts"] = [str(text) for text in array.reshape(-1).tolist()]
        else:
            each["dtype"] = array.dtype.str
            buffers.append(array.tobytes())
        described.append(each)
    return described, buffers


def _start_source(parent: int) -> str:
    """A statement that begins to answer, and leaves no name behind."""
    names = f"{{'source': {_source()!r}, 'parent': {parent or os.getpid()}}}"
    return f"exec({_START!r}, {names})"


@functools.cache
def _source() -> str:
    file = importlib.resources.files("nbci.inkernel").joinpath("predicting.py")
    return file.read_text(encoding="utf-8")
