"""A run with five seeds, where one step of five depends on the seed: what comes on top of it."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import compared, seconds_of, take_turns
from benchmarks.projects import write_notebook
from benchmarks.surroundings import nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Bench, Row

AT_MOST = 1.4
_SEEDS = 5
_STEP = """\
import time
time.sleep({seconds})
table{number} = {value}
"""


def rows(bench: Bench) -> Iterator[Row]:
    """`nbci run --seeds 5`, all other steps known, against what the step alone must take."""
    seconds = bench.pick(5, 2)
    env = of_nbci(bench.folder)
    project = bench.folder / "project"
    cells = [("seed = 0", ("parameters",))]
    for number in range(4):
        source = _STEP.format(seconds=1, number=number, value="list(range(100_000))")
        cells.append((source, (f"step:s{number}",)))
    source = _STEP.format(seconds=seconds, number=4, value="seed + len(table3)")
    cells.append((source, ("step:s4",)))
    write_notebook(project / "n.ipynb", [*cells, ("print(table4)", ("pipeline-metrics",))])

    firsts = itertools.count(0, _SEEDS)
    run = partial(seconds_of, cwd=project, env=env)

    def run_seeds() -> float:
        # Seeds that no earlier turn has had.
        words = nbci("run", "n.ipynb", "--seeds", str(_SEEDS), "-p", f"seed={next(firsts)}")
        return run(words, expect="mean of 5 seeds")

    # What does not depend on the seed is known from then on.
    run(nbci("run", "n.ipynb", "-p", "seed=-1"), expect="5 passed")
    seen = take_turns({"nbci": run_seeds}, rounds=bench.pick(5, 2), warmups=0)
    yield compared(
        f"{_SEEDS} seeds of one step of {seconds} s",
        seen["nbci"],
        "the step's own time, five times",
        [float(_SEEDS * seconds)] * len(seen["nbci"]),
        at_most=AT_MOST,
    )
