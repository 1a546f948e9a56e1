"""The file in which a step's outputs are kept while they come."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
from typing import TYPE_CHECKING, Any

import pytest

from nbci.errors import InfrastructureError
from nbci.kernels import journal as journals
from nbci.kernels.journal import Journal
from nbci.records.journal import ExecutedNotebook, replay
from nbci.records.run_record import CellRun
from tests.kernels.real_kernels import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from nbci.kernels.job import KernelJob

START = {"do": "start", "cell": 0, "started_utc": "2026-01-01T00:00:00.000Z"}


def begun(path: Path) -> Journal:
    notebook: dict[str, Any] = {"cells": [{"outputs": [], "metadata": {}, "execution_count": None}]}
    journal = Journal(
        path,
        ExecutedNotebook(
            notebook, [CellRun(role="step", number=1, first_line="", result="not run")]
        ),
    )
    journal.open()
    journal.add(dict(START))
    return journal


def printed(path: Path) -> str:
    executed = replay(path.read_bytes().splitlines())
    return "" if executed is None or not executed.outputs else str(executed.outputs[0]["text"])


def test_small_prints_are_written_together_and_soon(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "outputs.jsonl"

    async def print_much() -> None:
        journal = begun(path)
        for _ in range(1000):
            journal.add({"do": "text", "stream": "stdout", "text": "x"})
        while len(printed(path)) < 1000:  # noqa: ASYNC110 - a file says nothing when it grows
            await asyncio.sleep(0.01)
        journal.close()

    asyncio.run(asyncio.wait_for(print_much(), 30))
    assert (
        len(path.read_bytes().splitlines()) == 3
    )  # the beginning, the cell's, and one for all that it printed


def test_what_was_cleared_takes_no_space_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "SMALLEST_REWRITE_BYTES", 100_000)
    path = tmp_path / "outputs.jsonl"

    async def clear_often() -> int:
        journal = begun(path)
        largest = 0
        for number in range(300):
            journal.add({"do": "clear"})
            journal.add({"do": "text", "stream": "stdout", "text": f"{number} " + "x" * 5000})
            journal.flush()
            largest = max(largest, path.stat().st_size)
            assert printed(path).startswith(f"{number} x")
        journal.close()
        return largest

    assert asyncio.run(clear_often()) < 200_000
    assert [found.name for found in tmp_path.iterdir()] == ["outputs.jsonl"]


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Files cannot grow beyond 100 kB in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("cap_bytes", [1 << 20, 1000])
def test_a_full_disk_ends_a_cell_that_prints_without_end(
    make_job: Callable[..., KernelJob], tmp_path: Path, cap_bytes: int
) -> None:
    """Whether it is the journal that cannot grow, or the file for what is over the cap."""
    source = "while True: print('x' * 1000, flush=True)"
    job = make_job(
        "1 + 1", source, journal_path=tmp_path / "outputs.jsonl", output_cap_bytes=cap_bytes
    )
    with pytest.raises(InfrastructureError, match="cannot write what the cells print"):
        run(job)
    executed = replay((tmp_path / "outputs.jsonl").read_bytes().splitlines())
    assert executed is not None
    assert executed.runs[0].result == "passed"
    assert "xxx" in json.dumps(executed.notebook["cells"][1])
