"""Cells that print 50 kB each, none of it cut and all safe from a kill: against papermill."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong, compared, peak_memory_of, seconds_of, take_turns
from benchmarks.projects import newest_run, write_notebook
from benchmarks.surroundings import nbci, of_nbci, of_others, papermill

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.measure import Bench, Row, Way

LINES, LINE = 500, "x" * 99
AT_MOST = 0.1


def rows(bench: Bench) -> Iterator[Row]:
    """All commands whole; twice the cells, for what grows with their square; and memory."""
    few = bench.pick(200, 40)
    project, out = bench.folder / "project", bench.folder / "out.ipynb"
    for cells in (few, 2 * few):
        _notebook(project, cells)
    env, others = of_nbci(bench.folder), of_others(bench.folder)
    command = papermill(bench.peers) / "papermill"
    peer: list[str | Path] = [
        command,
        project / f"{few}.ipynb",
        out,
        "-k",
        "python3",
        "--no-progress-bar",
    ]

    def theirs() -> float:
        seconds = seconds_of(peer, cwd=project, env=others)
        _check(out, few)
        return seconds

    def ours(cells: int) -> float:
        seconds = seconds_of(_run(cells), cwd=project, env=env, expect="1 passed")
        _check(newest_run(project) / f"steps/{cells}/notebook.ipynb", cells)
        return seconds

    ways: dict[str, Way] = {
        "nbci": partial(ours, few),
        "twice": partial(ours, 2 * few),
        "papermill": theirs,
    }
    seen = take_turns(ways, rounds=bench.pick(3, 1))
    work = f"cells that print {LINES * (len(LINE) + 1) // 1000} kB"
    yield compared(
        f"{few} {work}",
        seen["nbci"],
        "papermill",
        seen["papermill"],
        at_most=None if bench.quick else AT_MOST,
    )
    yield compared(f"{2 * few} {work}", seen["twice"], f"{few} cells", seen["nbci"])
    memory = {
        cells: [peak_memory_of(_run(cells), cwd=project, env=env, expect="1 passed")]
        for cells in (few, 2 * few)
    }
    yield compared(
        f"{2 * few} {work}, peak memory", memory[2 * few], f"{few} cells", memory[few], unit="bytes"
    )


def _run(cells: int) -> Sequence[str]:
    return nbci("run", f"{cells}.ipynb", "--force", "--quiet")


def _notebook(project: Path, cells: int) -> None:
    (project / ".git").mkdir(parents=True, exist_ok=True)
    source = f"for _ in range({LINES}): print({LINE!r})"
    write_notebook(
        project / f"{cells}.ipynb", [(f"{source}  # {number}", ()) for number in range(cells)]
    )


def _check(notebook: Path, cells: int) -> None:
    """Whether the notebook has all that was printed."""
    printed = sum(
        "".join(text for output in cell["outputs"] for text in output["text"]).count(LINE)
        for cell in json.loads(notebook.read_bytes())["cells"]
    )
    if printed != cells * LINES:
        raise Wrong(f"{notebook} has {printed} lines of {cells * LINES}")
