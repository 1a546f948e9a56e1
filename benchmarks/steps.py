"""1,000 trivial steps: what nbci adds to each.

Also a run with nothing to do, and a run with one changed step.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong, compared, figure, seconds_of, take_turns
from benchmarks.projects import chain, newest_run
from benchmarks.surroundings import dvc, nbci, of_nbci, of_others

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.measure import Bench, Row, Way

ADDED_SECONDS = 0.005


def rows(bench: Bench) -> Iterator[Row]:
    """A chain of steps, each of which gives one value; DVC's stages each write one file."""
    few, steps = bench.pick(250, 50), bench.pick(1000, 200)
    # in caches of their own: steps that another project has run as well would be reused
    envs = {size: of_nbci(bench.folder / f"for-{size}") for size in (few, steps)}
    added = {size: _added(bench.folder / f"nbci-{size}", env, size) for size, env in envs.items()}
    yield figure(f"what nbci adds to a step, {few:,} steps", [added[few]], at_most=ADDED_SECONDS)
    yield compared(
        f"what nbci adds to a step, {steps:,} steps",
        [added[steps]],
        f"{few:,} steps",
        [added[few]],
        figure_at_most=ADDED_SECONDS,
    )

    project = bench.folder / f"nbci-{steps}"
    run = partial(seconds_of, cwd=project, env=envs[steps])
    nothing = partial(run, nbci("run", "chain.ipynb"), expect=f"{steps} reused")
    seen = take_turns(
        {
            "nbci": lambda: statistics.median(nothing() for _ in range(5)),
            "dvc": _dvc_repro(bench, steps),
        },
        rounds=bench.pick(3, 1),
    )
    yield compared(
        f"nothing to do, {steps:,} steps",
        seen["nbci"],
        "dvc repro",
        seen["dvc"],
        at_most=None if bench.quick else 1 / 150,
    )
    yield figure(f"nothing to do, {steps:,} steps", seen["nbci"], at_most=0.060)

    changed = [_one_changed(project, run, steps, number) for number in range(bench.pick(7, 3))]
    yield figure("one changed step, all but that step", changed, at_most=0.100)


def _added(project: Path, env: Mapping[str, str], steps: int) -> float:
    """Seconds a step of a whole first run, less the time from its kernel's start to its exit."""
    chain(project, steps)
    seconds = seconds_of(
        nbci("run", "chain.ipynb", "-j", "1"), cwd=project, env=env, expect=f"{steps} passed"
    )
    return (seconds - sum(_step_seconds(newest_run(project)).values())) / steps


def _one_changed(project: Path, run: partial[float], steps: int, number: int) -> float:
    """Seconds of a run in which one step's code is new and its value as before.

    That step's own seconds are taken off.
    """
    notebook, name = project / "chain.ipynb", f"s{steps // 2 + number}"
    content = json.loads(notebook.read_bytes())
    content["cells"][steps // 2 + number]["source"] += " + 0"
    notebook.write_text(json.dumps(content))
    seconds = run(nbci("run", "chain.ipynb"), expect=f"1 passed, {steps - 1} reused")
    return seconds - _step_seconds(newest_run(project))[name]


def _step_seconds(folder: Path) -> Mapping[str, float]:
    """Seconds from each kernel's start to its exit, of the steps that ran."""
    records = (json.loads(path.read_bytes()) for path in (folder / "steps").glob("*/record.json"))
    return {r["name"]: r["attempts"][-1]["seconds"] for r in records if r["result"] == "passed"}


def _dvc_repro(bench: Bench, steps: int) -> Way:
    """A way to run `dvc repro` where so many stages have nothing to do."""
    project = bench.folder / "dvc"
    _stages(project, steps)
    command = dvc(bench.peers) / "dvc"
    run = partial(seconds_of, cwd=project, env=of_others(bench.folder))
    run([command, "init", "--no-scm", "--quiet"])
    run([command, "commit", "--force", "--quiet"])

    def nothing() -> float:
        seconds = run([command, "repro"], expect="Data and pipelines are up to date")
        if (project / "ran").exists():
            raise Wrong("dvc ran stages that had nothing to do")
        return seconds

    return nothing


def _stages(project: Path, steps: int) -> None:
    """A chain of stages, and the lock file that DVC would have written after running them."""
    (project / "out").mkdir(parents=True)
    (project / "in.txt").write_text("0\n")
    stages: dict[str, object] = {}
    locked: dict[str, object] = {}
    last = "in.txt"
    for number in range(steps):
        out = f"out/{number}.txt"
        (project / out).write_text(f"{number}\n")
        command = f"echo {number} | tee -a ran > {out}"
        stages[f"s{number}"] = {"cmd": command, "deps": [last], "outs": [out]}
        locked[f"s{number}"] = {
            "cmd": command,
            "deps": [_locked(project, last)],
            "outs": [_locked(project, out)],
        }
        last = out
    (project / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (project / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": locked}))


def _locked(project: Path, path: str) -> dict[str, object]:
    content = (project / path).read_bytes()
    return {
        "path": path,
        "hash": "md5",
        "md5": hashlib.md5(content).hexdigest(),
        "size": len(content),
    }
