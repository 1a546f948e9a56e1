"""A stage on Jenkins: what `nbci step` takes beside the kernel.

The peer is the bare `sh` that Jenkins would run.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong, compared, seconds_of, take_turns
from benchmarks.projects import chain
from benchmarks.surroundings import nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Bench, Row

STEPS = 3


def rows(bench: Bench) -> Iterator[Row]:
    """The stage brings what the one before left, runs a trivial step, and leaves its results."""
    project, env = bench.folder / "project", of_nbci(bench.folder)
    chain(project, STEPS)
    seconds_of(
        nbci("plan", "chain.ipynb", "--out", "plan.json", "--format", "jenkins"),
        cwd=project,
        env=env,
        expect="stage",
    )
    store = project / "store"

    def stage() -> float:
        shutil.rmtree(store, ignore_errors=True)
        command = nbci(
            "step", "--plan", "plan.json", "--store", store, "--leave", project / "left", "s0"
        )
        seconds = seconds_of(["sh", "-c", '"$@"', "sh", *command], cwd=project, env=env)
        records = [json.loads(path.read_bytes()) for path in store.rglob("record.json")]
        if [record["result"] for record in records] != ["passed"]:
            raise Wrong(f"the stage left {len(records)} records")
        return seconds - float(records[0]["attempts"][-1]["seconds"])

    ways = {"nbci": stage, "sh": lambda: seconds_of(["sh", "-c", "true"], cwd=project, env=env)}
    seen = take_turns(ways, rounds=bench.pick(9, 2))
    yield compared(
        "a stage of one trivial step, less its kernel",
        seen["nbci"],
        "sh -c true",
        seen["sh"],
        figure_at_most=1.0,
    )
