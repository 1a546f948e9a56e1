"""Processes that are at work at one search share its study in a database."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.postgres import postgres_server
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook
    from tests.support.console import Console

GRID = ("-s", "x=1,2,3,4,5,6", "--method", "grid", "--objective", "loss")
SWEEP = ("sweep", "n.ipynb", *GRID, "--direction", "minimize", "--json")
SETTINGS = {"NBCI_SWEEP_GRACE": "3"}


def make_project(root: Path, make_notebook: MakeNotebook, outside: Path, fit: str = "") -> None:
    (root / "pyproject.toml").write_text('[tool.nbci]\nsweep_storage = "sqlite:///studies.db"\n')
    note = f"open({str(outside / 'ran')!r}, 'a').write"
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "x = 1"),
            ("step:fit cache:enabled", f"import os, time\n{note}(f'{{x}}\\n')\n{fit}\nloss = x"),
            ("metrics", "print(loss)"),
        ],
    )


def trials_of(out: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(out)["trials"]
    return found


def test_two_sweeps_share_trials_budget_and_the_record_of_each_has_all(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(nbci.cwd, make_notebook, outside, "time.sleep(0.5)")
    processes = [nbci.start(*SWEEP, env=SETTINGS) for _ in range(2)]

    shown = []
    for process in processes:
        out, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        shown.append(trials_of(out))

    assert shown[0] == shown[1]
    assert [trial["params"]["x"] for trial in shown[0]] == [1, 2, 3, 4, 5, 6]
    assert len({trial["worker"] for trial in shown[0]}) == 2
    assert sorted((outside / "ran").read_text().split()) == list("123456")
    # Begun again, it finds that all is known; and so do Optuna's own commands.
    assert trials_of(nbci(*SWEEP).stdout) == shown[0]
    assert trials_of(nbci("sweep", "show", "--refresh", "--json").stdout) == shown[0]
    optuna = [str(Path(sys.executable).with_name("optuna"))]
    storage = ("--storage", f"sqlite:///{nbci.cwd / 'studies.db'}")
    name = json.loads(next((nbci.cwd / ".nbci/sweeps").glob("*/sweep.json")).read_bytes())["study"]
    assert re.fullmatch(r"n/search@[0-9a-f]{12}", name)
    listed = optuna_prints(*optuna, "studies", *storage)
    assert name in listed
    trials = optuna_prints(*optuna, "trials", "--study-name", name, *storage, "--format", "json")
    assert [trial["value"] for trial in json.loads(trials)] == [1, 2, 3, 4, 5, 6]


def optuna_prints(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.needs("postgresql")
def test_trials_of_a_killed_process_are_tried_again_by_the_other(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    hang = (
        f"if x == 3 and not os.path.exists({str(outside / 'go')!r}):\n"
        f"    open({str(outside / 'at')!r}, 'w').close()\n    time.sleep(60)\n"
        "assert 'NBCI_SWEEP_STORAGE' not in os.environ"
    )
    make_project(nbci.cwd, make_notebook, outside, hang)
    with postgres_server() as server:
        settings = {**SETTINGS, "NBCI_SWEEP_STORAGE": server.url("studies")}
        killed = nbci.start(*SWEEP, env=settings)
        wait_for((outside / "at").exists, "its third trial")
        (outside / "go").touch()
        other = nbci.start(*SWEEP, env=settings)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=60)

        out, told = other.communicate(timeout=120)

    assert other.returncode == 0, told
    trials = trials_of(out)
    complete = [trial for trial in trials if trial["state"] == "complete"]
    assert sorted(trial["params"]["x"] for trial in complete) == [1, 2, 3, 4, 5, 6]
    (dead,) = (trial for trial in trials if trial["state"] == "failed")
    assert (dead["params"], dead["interrupted"]) == ({"x": 3}, True)
    # Nothing that is written down has the password.
    written = [path for path in (nbci.cwd / ".nbci").rglob("*") if path.is_file()]
    assert not [path for path in written if b"quagga" in path.read_bytes()]
    record = json.loads((nbci.cwd / ".nbci/sweeps").glob("*/sweep.json").__next__().read_bytes())
    assert record["storage"].startswith("postgresql://tester:***@127.0.0.1")


def test_two_machines_that_share_results_compute_no_step_twice(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    """Each has a checkout and a cache of its own; they have a study and a remote in common."""
    make_project(nbci.cwd, make_notebook, outside, "time.sleep(0.3)")
    note = f"open({str(outside / 'loads')!r}, 'a').write('x')"
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "x = 1"),
            ("step:load cache:enabled", f"import time\n{note}\ntime.sleep(3)\ndata = 10"),
            ("step:fit cache:enabled", "loss = x + data"),
            ("metrics", "print(loss)"),
        ],
    )
    machines = [nbci.cwd, outside / "other"]
    settings = (
        f'[tool.nbci]\nsweep_storage = "sqlite:///{outside / "studies.db"}"\n'
        f'[tool.nbci.store]\nremote = "{outside / "remote"}"\n'
    )
    (nbci.cwd / "pyproject.toml").write_text(settings)
    (outside / "remote").mkdir()
    shutil.copytree(nbci.cwd, machines[1])
    processes = []
    for number, machine in enumerate(machines):
        environ = {**SETTINGS, "NBCI_CACHE": str(outside / f"cache-{number}")}
        command = (*SWEEP, "--parallel", "2")
        processes.append(nbci.start(*command, cwd=machine, env=environ))
    computed = 0
    for process in processes:
        out, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
        assert [trial["values"] for trial in trials_of(out)] == [[x + 10] for x in range(1, 7)]
        computed = json.loads(out)["computed"]["steps"]
    assert computed == 7
    assert (outside / "loads").read_text() == "x"
