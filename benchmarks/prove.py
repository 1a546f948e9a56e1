"""A run proved: what the workspace and the comparison add to running all steps again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import compared, seconds_of, take_turns
from benchmarks.projects import write_notebook
from benchmarks.surroundings import nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Bench, Row

AT_MOST = 1.05
_FILES = 1000
_STEP = """\
import time
time.sleep({seconds})
table{number} = list(range(100_000))
"""


def rows(bench: Bench) -> Iterator[Row]:
    """`nbci prove` against `nbci run --force`, in a project with a thousand other files."""
    seconds = bench.pick(5, 2)
    env = of_nbci(bench.folder)
    project = bench.folder / "project"
    for number in range(_FILES):
        place = project / "src" / f"module{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"NUMBER = {number}\n" * 50, encoding="utf-8")
    steps = []
    for number in range(4):
        source = _STEP.format(seconds=seconds, number=number)
        steps.append((source, (f"step:s{number}",)))
    write_notebook(project / "n.ipynb", [*steps, ("print(table3[0])", ("step:end",))])

    run = partial(seconds_of, nbci("run", "n.ipynb", "--force"), cwd=project, env=env)
    prove = partial(seconds_of, nbci("prove", "latest"), cwd=project, env=env)
    ways = {
        "nbci": partial(prove, expect="reproduced bit for bit"),
        "run": partial(run, expect="5 passed"),
    }
    # The first one is what there is to prove.
    ways["run"]()
    seen = take_turns(ways, rounds=bench.pick(5, 2), warmups=0)
    yield compared(
        f"5 steps of {4 * seconds} s in all, {_FILES:,} files",
        seen["nbci"],
        "nbci run --force",
        seen["run"],
        at_most=AT_MOST,
    )
