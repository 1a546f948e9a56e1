"""Sweeps whose process is killed at any moment lose no finished trial, and find the same best."""

from __future__ import annotations

import json
import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("kills", "points", "pause"),
    [(4, 8, 0.0), pytest.param(100, 250, 0.3, marks=pytest.mark.soak)],
)
def test_killed_at_random_moments_a_sweep_ends_as_if_undisturbed(
    nbci: Console, make_notebook: MakeNotebook, outside: Path, kills: int, points: int, pause: float
) -> None:
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    search = ("-s", f"x=1..{points}", "--method", "grid", "--parallel", "2", "--json")
    begin = ("sweep", "n.ipynb", *search, "--objective", "loss", "--direction", "minimize")
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "x = 1"),
            ("step:load cache:enabled", "import time\ntime.sleep(0.3)\nshared = 7"),
            (
                "step:fit cache:enabled",
                f"import time\ntime.sleep({pause})\nloss = abs(x - {points / 3}) + shared",
            ),
            ("metrics", "print(loss)"),
        ],
    )
    # Chosen anew in each run of the test, and printed where it fails.
    seed = random.randrange(10**6)
    moments = random.Random(seed)
    finished: dict[int, dict[str, Any]] = {}
    for _ in range(kills):
        command = ("sweep", "resume", "--json") if sweeps(nbci) else begin
        process = nbci.start(*command)
        kill_after(process, moments.uniform(0.2, 4.0))
        now = ended(nbci)
        assert {number: now.get(number) for number in finished} == finished, seed
        finished = now

    command = ("sweep", "resume", "--json") if sweeps(nbci) else begin
    done = nbci(*command, timeout_seconds=1800)
    elsewhere = {"NBCI_CACHE": str(outside / "cache")}
    undisturbed = nbci(*begin, env=elsewhere, timeout_seconds=1800)

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    # Numbers have gaps, where it was killed before a trial of that number was written down.
    trials = {trial["number"]: trial for trial in document["trials"]}
    assert {number: trials[number] for number in finished} == finished, seed
    assert not [trial for trial in document["trials"] if trial["state"] == "running"]
    assert points_and_values(document) == points_and_values(json.loads(undisturbed.stdout)), seed
    assert best_of(document) == best_of(json.loads(undisturbed.stdout))


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    """Kill it then, unless it has ended before."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def sweeps(nbci: Console) -> list[Path]:
    return list((nbci.cwd / ".nbci/sweeps").glob("*/sweep.json"))


def ended(nbci: Console) -> dict[int, dict[str, Any]]:
    """The trials that have ended, as people are shown them."""
    if not sweeps(nbci):
        return {}
    shown = nbci("sweep", "show", "--json")
    assert shown.returncode == 0, shown.stderr
    trials = json.loads(shown.stdout)["trials"]
    return {trial["number"]: trial for trial in trials if trial["state"] == "complete"}


def points_and_values(document: dict[str, Any]) -> dict[int, list[float]]:
    found = {}
    for trial in document["trials"]:
        if trial["state"] == "complete":
            found[trial["params"]["x"]] = trial["values"]
    return found


def best_of(document: dict[str, Any]) -> tuple[Any, Any]:
    (best,) = (each for each in document["trials"] if each["number"] == document["best"])
    return best["params"], best["values"]
