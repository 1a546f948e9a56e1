"""Searching many runs."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import figure, seconds_of, take_turns
from benchmarks.surroundings import nbci, of_nbci
from nbci.config import Project
from nbci.records.codec import to_json_line
from nbci.records.run_record import Metric, ParameterValue, RunRecord, StepRecord
from nbci.runs.index import RunIndex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measure import Bench, Row

RUNS = 100_000


def rows(bench: Bench) -> Iterator[Row]:
    """The first page of a search, and of a metric's history."""
    count = bench.pick(RUNS, 5_000)
    project = bench.folder / "project"
    _with_runs(project, count)
    command = partial(seconds_of, cwd=project, env=of_nbci(bench.folder), expect="digits")
    search = ("runs", "--where", "accuracy > 0.9", "--sort", "-accuracy", "--limit", "20")
    ways = {
        "a search, sorted": partial(command, nbci(*search)),
        "the history of a metric": partial(command, nbci("metrics", "history", "accuracy")),
    }
    for work, seen in take_turns(ways, rounds=bench.pick(15, 5), warmups=2).items():
        yield figure(f"{work}, {count:,} runs", seen, at_most=0.2)


def _with_runs(project: Path, count: int) -> None:
    (project / ".git").mkdir(parents=True)
    draw = random.Random(7)
    records = [_record(number, draw) for number in range(count)]
    for record in records:
        folder = project / ".nbci" / "runs" / record.run
        folder.mkdir(parents=True)
        (folder / "run.json").write_bytes(to_json_line(record))
    with RunIndex(Project(root=project)) as index:
        index.add(records)


def _record(number: int, draw: random.Random) -> RunRecord:
    metrics = tuple(
        Metric(name=name, value=draw.random(), source="cell") for name in ("accuracy", "f1", "loss")
    )
    return RunRecord(
        run=f"20261121-{number:06}-000abcd",
        pipeline="digits",
        target="digits.ipynb",
        result="passed",
        nbci="0",
        started_utc="2026-11-21T10:00:00.000Z",
        seconds=1.0,
        params=(ParameterValue(name="C", value=draw.random(), source="-p"),),
        steps=(StepRecord(name="train", result="passed", metrics=metrics),),
    )
