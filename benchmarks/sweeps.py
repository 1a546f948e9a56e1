"""Searches: against Optuna around papermill, DVC's queue and Ploomber; and 1,000 trivial trials.

Also two searches of one space at once, which compute nothing twice.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Wrong, compared, figure, seconds_of
from benchmarks.projects import write_notebook
from benchmarks.searched import (
    Searched,
    check_best,
    for_dvc,
    for_nbci,
    for_optuna,
    for_ploomber,
    git,
    scores,
)
from benchmarks.surroundings import (
    dvc,
    nbci,
    of_nbci,
    of_others,
    optuna_papermill,
    papermill,
    ploomber,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.measure import Bench, Row, Way

ADDED_SECONDS = 0.015
SHOWN_SECONDS = 0.200
BEST_PEER_SHARE = 1 / 5
_POLL_SECONDS = 1.0
_LONGEST_SECONDS = 1800.0


def rows(bench: Bench) -> Iterator[Row]:
    """Trivial trials first, then the search of three stages."""
    yield from _trivial(bench)
    searched = Searched(seconds=(2, 5, 3), middle=10, last=5, at_once=8)
    if bench.quick:
        searched = Searched(seconds=(0.2, 0.5, 0.3), middle=2, last=4, at_once=4)
    yield _two_at_once(bench, searched)
    yield from _against_peers(bench, searched)


def _trivial(bench: Bench) -> Iterator[Row]:
    trials = bench.pick(1000, 50)
    project, env = bench.folder / "trivial", of_nbci(bench.folder / "for-trivial")
    project.mkdir()
    git(project, "init", "-q")
    write_notebook(
        project / "trivial.ipynb",
        [("x = 1.0", ("parameters",)), ("loss = (x - 3) ** 2", ("step:fit",))],
    )
    search = ("sweep", "trivial.ipynb", "-s", "x=0..10", "--method", "random", "--seed", "1")
    objective = ("--objective", "loss", "--direction", "minimize", "--trials", str(trials))
    seconds = seconds_of(
        nbci(*search, *objective, "--quiet"), cwd=project, env=env, expect="best: trial"
    )
    records = _records(project)
    if len(records) != trials:
        raise Wrong(f"{len(records)} of {trials} trials ran")
    in_kernels = sum(record["attempts"][-1]["seconds"] for record in records)
    yield figure(
        f"what nbci adds to a trial, {trials:,} trials",
        [(seconds - in_kernels) / trials],
        at_most=ADDED_SECONDS,
    )
    show = partial(seconds_of, nbci("sweep", "show"), cwd=project, env=env, expect="best: trial")
    shown = [show() for _ in range(bench.pick(7, 3) + 1)][1:]
    yield figure(f"nbci sweep show, {trials:,} trials", shown, at_most=SHOWN_SECONDS)


def _records(project: Path) -> list[dict[str, Any]]:
    """The records of steps that ran in trials."""
    found = project.glob(".nbci/sweeps/*/runs/*/steps/**/record.json")
    records = [json.loads(path.read_bytes()) for path in found]
    return [record for record in records if record["result"] == "passed"]


def _two_at_once(bench: Bench, searched: Searched) -> Row:
    """Two processes that begin the same search together, beside one that searches alone."""
    alone, both = bench.folder / "alone", bench.folder / "both"
    at_once = str(searched.at_once)
    search = nbci("sweep", "searched.yaml", "grid", "-j", at_once, "--fresh", "--quiet")
    taken = []
    for project, processes in ((alone, 1), (both, 2)):
        for_nbci(project, searched)
        env = of_nbci(bench.folder / f"for-{project.name}")
        began = time.perf_counter()
        started = [
            subprocess.Popen(search, cwd=project, env=env, stdout=subprocess.DEVNULL)
            for _ in range(processes)
        ]
        if any(process.wait() for process in started):
            raise Wrong(f"a search of {processes} at once failed")
        taken.append(time.perf_counter() - began)
        times = Counter(record["key"] for record in _records(project))
        expected = 1 + searched.middle + searched.trials
        if sum(times.values()) != len(times) or len(times) != expected:
            raise Wrong(f"{sum(times.values())} steps ran, of {expected} that there are")
    return compared(
        f"two searches of one space at once, {searched.trials} trials each, no step twice",
        [taken[1]],
        "one alone",
        [taken[0]],
    )


def _against_peers(bench: Bench, searched: Searched) -> Iterator[Row]:
    """One round: a search of minutes needs no second one. A peer that loses trials is left out."""
    others = of_others(bench.folder)
    others["PLOOMBER_STATS_ENABLED"] = "false"
    peers: dict[str, Way] = {
        "Optuna around papermill": partial(_optuna, bench, searched, others),
        "Ploomber": partial(_ploomber, bench, searched, others),
        "dvc exp run --queue": partial(_dvc, bench, searched, others),
    }
    ours, theirs = _nbci(bench, searched), dict[str, float]()
    for name, way in peers.items():
        try:
            theirs[name] = way()
        except Wrong as error:
            print(f"… {name} is left out: {error}", file=sys.stderr, flush=True)
    first, middle, last = searched.seconds
    work = (
        f"{searched.trials} trials of three stages ({first:g}, {middle:g}, {last:g} s), "
        f"{searched.at_once} at once"
    )
    for name, seconds in theirs.items():
        is_target = not bench.quick and seconds == min(theirs.values())
        yield compared(
            work, [ours], name, [seconds], at_most=BEST_PEER_SHARE if is_target else None
        )


def _nbci(bench: Bench, searched: Searched) -> float:
    project, env = bench.folder / "nbci", of_nbci(bench.folder / "for-search")
    for_nbci(project, searched)
    command = nbci("sweep", "searched.yaml", "grid", "-j", str(searched.at_once), "--quiet")
    return seconds_of(command, cwd=project, env=env, expect=f"last:score {searched.best}")


def _optuna(bench: Bench, searched: Searched, env: Mapping[str, str]) -> float:
    project = bench.folder / "optuna"
    words = for_optuna(project, searched)
    python = optuna_papermill(bench.peers) / "python"
    seconds = seconds_of([python, *words], cwd=project, env=env, expect=f"best {searched.best}")
    check_best(scores(project, "trials/*/last.json"), searched)
    return seconds


def _ploomber(bench: Bench, searched: Searched, env: Mapping[str, str]) -> float:
    project = bench.folder / "ploomber"
    for_ploomber(project, searched)
    command = ploomber(bench.peers) / "ploomber"
    seconds = seconds_of([command, "build"], cwd=project, env=env)
    check_best(scores(project, "out/last-*.json"), searched)
    return seconds


def _dvc(bench: Bench, searched: Searched, env: Mapping[str, str]) -> float:
    """Seconds from the first command until the queue is empty."""
    project, command = bench.folder / "dvc", dvc(bench.peers) / "dvc"
    # its workers are started by name
    env = {**env, "PATH": f"{command.parent}:{env['PATH']}"}
    for_dvc(project, searched, papermill(bench.peers))
    git(project, "init", "-q")
    run = partial(seconds_of, cwd=project, env=env)
    run([command, "init", "--quiet"])
    git(project, "add", "-A")
    git(project, "commit", "-qm", "stages")
    began = time.perf_counter()
    settings: list[str] = []
    for name, listed in searched.grid.items():
        settings += ["-S", f"{name}={','.join(map(str, listed))}"]
    run([str(command), "exp", "run", "--queue", *settings])
    run([command, "queue", "start", "-j", str(searched.at_once)])
    while not (status := _queue(command, project, env))["is idle"]:
        if time.perf_counter() - began > _LONGEST_SECONDS:
            raise Wrong(f"DVC's queue does not come to its end: {status}")
        time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - began
    if status["Success"] != searched.trials:
        raise Wrong(f"DVC's queue lost trials: {status}")
    shutil.rmtree(project / ".dvc" / "tmp", ignore_errors=True)
    return seconds


def _queue(command: Path, project: Path, env: Mapping[str, str]) -> dict[str, int]:
    """How many experiments are in each state; `is idle` where no more will end."""
    said = subprocess.run(
        [command, "queue", "status"],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    states = {state: said.count(state) for state in ("Queued", "Running", "Success", "Failed")}
    is_idle = states["Queued"] + states["Running"] == 0 and states["Success"] > 0
    return {**states, "is idle": int(is_idle)}
