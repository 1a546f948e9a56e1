"""Kernel start to first result, and eight kernels at once.

Compares nbci's forked kernels with stock jupyter_client.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
from jupyter_client.manager import AsyncKernelManager

from benchmarks.measure import Wrong, compared, shared_bytes, take_turns
from nbci.kernels.job import KernelJob
from nbci.kernels.process import KernelProcess
from nbci.kernels.zygote.zygotes import Zygotes
from nbci.secrets import Mask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from benchmarks.measure import Bench, Row

COUNT = 8
IMPORTED = ("numpy", "pandas", "sklearn.linear_model")
IMPORTS = f"import {', '.join(IMPORTED)}"
READY_SECONDS = 0.1
"""Time for the next spare to be made, as there is between two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel that has run its first code, the seconds that this took, and how to end it."""

    seconds: float
    end: Callable[[], Awaitable[None]]


async def stock(code: str) -> Kernel:
    """Start one with jupyter_client's own manager and client."""
    began = time.perf_counter()
    manager = AsyncKernelManager(kernel_name="python3")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    await manager.start_kernel(extra_arguments=["--HistoryManager.hist_file=:memory:"], **quiet)
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    _must_be_fine(await client.execute(code, reply=True, timeout=60))
    seconds = time.perf_counter() - began

    async def end() -> None:
        client.stop_channels()
        await manager.shutdown_kernel()

    return Kernel(seconds=seconds, end=end)


async def forked(code: str, *, folder: Path, zygotes: Zygotes) -> Kernel:
    """Start one with nbci's."""
    job = KernelJob(
        step="s",
        kernel_name="python3",
        language="python",
        notebook_metadata={},
        cells=(),
        cwd=folder,
        project=folder,
        env=dict(os.environ),
        values_folder=folder,
        spill_folder=folder,
        log_path=folder / "log",
    )
    began = time.perf_counter()
    process = KernelProcess(job, Mask(()), lambda _: None, zygotes)
    await process.start()
    assert process.client is not None
    asked = process.client.execute(code)
    while (reply := await process.client.get_shell_msg(timeout=60))["parent_header"].get(
        "msg_id"
    ) != asked:
        pass
    _must_be_fine(reply)
    seconds = time.perf_counter() - began
    if zygotes.reasons:
        raise Wrong(f"the kernel was not forked: {'; '.join(zygotes.reasons)}")
    return Kernel(seconds=seconds, end=partial(process.end, 5))


def _must_be_fine(reply: dict[str, Any]) -> None:
    if reply["content"]["status"] != "ok":
        raise Wrong(f"the kernel's first code failed: {reply['content']}")


def rows(bench: Bench) -> Iterator[Row]:
    """One after another, then at once."""
    with asyncio.Runner() as runner:
        yield from _starts(bench, runner)
        yield from _at_once(bench, runner)


def _starts(bench: Bench, runner: asyncio.Runner) -> Iterator[Row]:
    with ExitStack() as opened:
        none = opened.enter_context(Zygotes(environ=dict(os.environ), spares=0))
        one = opened.enter_context(Zygotes(environ=dict(os.environ), spares=1))
        ways: dict[str, Callable[[str], Awaitable[Kernel]]] = {
            "stock": stock,
            "forked": partial(forked, folder=bench.folder, zygotes=none),
            "spare": partial(forked, folder=bench.folder, zygotes=one),
        }
        first: dict[str, Callable[[], float]] = {
            name: partial(_start_and_end, runner, way, "1") for name, way in ways.items()
        }
        seen = take_turns(first, rounds=bench.pick(9, 5), warmups=2)
    work = "kernel start to first result"
    yield compared(work, seen["forked"], "stock", seen["stock"], at_most=0.12)
    yield compared(f"{work}, with spares", seen["spare"], "stock", seen["stock"], at_most=0.06)


def _start_and_end(
    runner: asyncio.Runner, start: Callable[[str], Awaitable[Kernel]], code: str
) -> float:
    async def one() -> float:
        kernel = await start(code)
        await kernel.end()
        await asyncio.sleep(READY_SECONDS)
        return kernel.seconds

    return runner.run(one())


def _at_once(bench: Bench, runner: asyncio.Runner) -> Iterator[Row]:
    """The memory of all processes that are needed, the zygote too, while all kernels wait."""
    memory: dict[str, list[float]] = {"stock": [], "forked": []}

    def by_stock() -> float:
        return runner.run(_several(stock, memory["stock"]))

    def by_nbci() -> float:
        with Zygotes(environ=dict(os.environ), spares=0) as zygotes:
            start = partial(forked, folder=bench.folder, zygotes=zygotes)
            _start_and_end(runner, start, "1")
            zygotes.prepare(IMPORTED)
            _start_and_end(runner, start, IMPORTS)
            return runner.run(_several(start, memory["forked"]))

    seen = take_turns({"stock": by_stock, "forked": by_nbci}, rounds=bench.pick(5, 2), warmups=0)
    yield compared(
        f"{COUNT} kernels at once, until all have imported",
        seen["forked"],
        "stock",
        seen["stock"],
        at_most=1 / 3,
    )
    yield compared(
        f"{COUNT} kernels at once, memory (PSS)",
        memory["forked"],
        "stock",
        memory["stock"],
        at_most=1 / 3,
        unit="bytes",
    )


async def _several(start: Callable[[str], Awaitable[Kernel]], memory: list[float]) -> float:
    """Seconds until all have run their imports; notes what their processes hold."""
    began = time.perf_counter()
    kernels = await asyncio.gather(*(start(IMPORTS) for _ in range(COUNT)))
    seconds = time.perf_counter() - began
    memory.append(
        float(sum(shared_bytes(child.pid) for child in psutil.Process().children(recursive=True)))
    )
    for kernel in kernels:
        await kernel.end()
    return seconds
