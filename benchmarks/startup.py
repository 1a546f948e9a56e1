"""Small commands against Python's own start."""

from __future__ import annotations

import json
import shutil
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import compared, seconds_of, take_turns
from benchmarks.projects import write_notebook
from benchmarks.surroundings import PYTHON, nbci, of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measure import Bench, Row

RUNS = 1000


def rows(bench: Bench) -> Iterator[Row]:
    """`nbci --help`, and `nbci runs` where there are many."""
    env = of_nbci(bench.folder)
    project = bench.folder / "project"
    newest = _with_runs(project, env)
    command = partial(seconds_of, cwd=project, env=env)
    ways = {
        "python": partial(command, [PYTHON, "-c", "pass"]),
        "help": partial(command, nbci("--help"), expect="doctor"),
        "runs": partial(command, nbci("runs"), expect=newest),
    }
    seen = take_turns(ways, rounds=bench.pick(21, 7), warmups=2)
    for work, name, most in (
        ("nbci --help", "help", 0.060),
        (f"nbci runs, with {RUNS:,} runs", "runs", 0.150),
    ):
        yield compared(work, seen[name], "python -c pass", seen["python"], figure_at_most=most)


def _with_runs(project: Path, env: dict[str, str]) -> str:
    """Make one run and as many copies under other names as it takes; answers the newest."""
    (project / ".git").mkdir(parents=True)
    write_notebook(project / "one.ipynb", [("x = 1", ("step:a",)), ("print(x)", ("step:b",))])
    seconds_of(nbci("run", "one.ipynb"), cwd=project, env=env, expect="2 passed")
    (made,) = (project / ".nbci" / "runs").glob("2*")
    record = json.loads((made / "run.json").read_bytes())
    name = made.name
    for number in range(1, RUNS):
        name = f"29{number // 100:02d}0101-0000{number % 100:02d}-000{number:04x}"
        copy = shutil.copytree(made, made.parent / name)
        (copy / "run.json").write_text(json.dumps({**record, "run": name}))
    return name
