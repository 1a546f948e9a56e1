"""Searches over parameters: trials are runs that share what they have in common."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.shown import document
from tests.support.processes import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_PIPELINE = """\
params: {x: 1.0, kind: a, n: 1}
steps:
  main: {notebook: n.ipynb, params: {x: "${x}", kind: "${kind}", n: "${n}"}}
metrics: {loss: {direction: down}}
sweeps:
  best:
    params:
      x: {low: 0, high: 10}
      kind: [a, b]
      n: {low: 1, high: 3, when: "kind == 'b'"}
    objective: main/fit:loss
    budget: {trials: 6, parallel: 2}
    seed: 3
"""
_FIT = "loss = (x - 3) ** 2 + data + (n if kind == 'b' else 0)\nopen('model.txt', 'w').write(kind)"


def make_project(root: Path, make_notebook: MakeNotebook, outside: Path, fit: str = _FIT) -> None:
    """The step `load` takes a while, and leaves a line outside for each time that it runs."""
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "p.yaml").write_text(_PIPELINE)
    load = (
        f"import time\nopen({str(outside / 'loads')!r}, 'a').write('x')\ntime.sleep(1)\ndata = 10"
    )
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "x = 1.0\nkind = 'a'\nn = 1"),
            ("step:load cache:enabled", load),
            ("step:fit out:model.txt", fit),
            ("metrics", "print(loss)"),
        ],
    )


def shown(nbci: Console) -> dict[str, Any]:
    done = nbci("sweep", "show", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_trials_side_by_side_compute_nothing_twice_and_leave_the_users_files(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(nbci.cwd, make_notebook, outside)

    done = nbci("sweep", "p.yaml", "best", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not (nbci.cwd / "model.txt").exists()
    assert (outside / "loads").read_text() == "x"
    assert (found["objective"], found["direction"]) == ("main/fit:loss", "minimize")
    trials = found["trials"]
    assert [trial["number"] for trial in trials] == list(range(6))
    for trial in trials:
        x, kind = trial["params"]["x"], trial["params"]["kind"]
        assert ("n" in trial["params"]) == (kind == "b")
        loss = (x - 3) ** 2 + 10 + trial["params"].get("n", 0)
        assert (trial["state"], trial["values"]) == ("complete", [pytest.approx(loss)])
    assert found["computed"]["steps"] == 7
    assert found["reused"]["steps"] == 5
    best = min(trials, key=lambda trial: trial["values"][0])
    assert found["best"] == best["number"]
    assert shown(nbci) == found

    # A trial is a run like any other, and is no run of the project's own.
    assert json.loads(nbci("runs", "--json").stdout) == []
    rows = json.loads(nbci("runs", "--of", found["sweep"], "--json").stdout)
    assert {row["run"] for row in rows} == {trial["run"] for trial in trials}
    assert {(row["role"], row["parent"]) for row in rows} == {("trial", found["sweep"])}
    search = ("runs", "--where", f'sweep == "{found["sweep"][:-2]}"', "--sort", "main/*:loss")
    first, *_ = json.loads(nbci(*search, "--json").stdout)
    assert first["run"] == best["run"]
    assert first["params"].items() >= best["params"].items()
    compared = json.loads(nbci("compare", found["sweep"], "--json").stdout)
    assert compared["runs"][0]["run"] == best["run"]
    assert {row["run"] for row in compared["runs"]} == {trial["run"] for trial in trials}
    assert {"name": "main/fit:loss", "direction": "down", "best": [best["run"]]} in compared[
        "metrics"
    ]
    page = nbci("compare", found["sweep"], "--html").stdout.strip()
    assert best["run"] in (nbci.cwd / page).read_text()
    run = document(nbci("show", best["run"], "--json"))
    assert run["metrics"]["main/fit:loss"] == best["values"][0]
    (line,) = (line for line in nbci("sweep", "show").stdout.splitlines() if "run it with:" in line)
    _, _, command = line.partition("run it with: nbci ")
    again = document(nbci(*command.replace("'", "").split(), "--json"))
    assert again["metrics"] == run["metrics"]
    assert {step["result"] for step in again["steps"]} == {"reused"}
    assert (nbci.cwd / "model.txt").read_text() == best["params"]["kind"]

    # Another search has what this one computed, and stock Optuna reads both.
    points = ("-s", "kind=a,b", "-s", "n=1..2", "--objective", "loss", "--method", "grid")
    grid = nbci("sweep", "p.yaml", *points, "-p", "x=3", "--json")
    assert grid.returncode == 0, grid.stderr
    found = json.loads(grid.stdout)
    assert [trial["values"] for trial in found["trials"]] == [[10], [10], [11], [12]]
    assert (outside / "loads").read_text() == "x"
    assert values_in_optuna(nbci.cwd, found["sweep"]) == [10, 10, 11, 12]


def test_a_result_that_holds_in_one_folder_only_is_made_in_each_and_said(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(nbci.cwd, make_notebook, outside)
    (outside / "data.txt").write_text("10")
    load = f"import time\ntime.sleep(1)\ndata = int(open({str(outside / 'data.txt')!r}).read())"
    make_notebook(
        "n.ipynb",
        [
            ("parameters", "x = 1.0"),
            ("step:load", load),
            ("step:fit", "loss = x + data"),
            ("metrics", "print(loss)"),
        ],
    )

    search = ("-s", "x=1,2,3,4", "--method", "grid", "--parallel", "2")
    objective = ("--objective", "loss", "--direction", "minimize")
    done = nbci("sweep", "n.ipynb", *search, *objective, "--json")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["computed"]["steps"] == 4 + 2
    assert done.stderr.count("step load runs, though its result was just made") == 1
    assert "it used paths that hold only in " in done.stderr


def test_a_notebook_without_tags_is_searched_by_a_variable_of_it(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_notebook("n.ipynb", [("parameters", "x = 1.0"), "loss = x ** 2", "losses = [loss]"])
    search = ("sweep", "n.ipynb", "-s", "x=1,2", "--method", "grid", "--direction", "minimize")
    done = nbci(*search, "--objective", "los")
    assert done.returncode == 2
    assert "nothing in n.ipynb measures los" in done.stderr
    assert not (nbci.cwd / ".nbci").exists()
    # A result that was not asked for it is none for the sweep, and its own are for all.
    assert nbci("run", "n.ipynb", "-p", "x=2").returncode == 0

    done = nbci(*search, "--objective", "loss", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [trial["values"] for trial in found["trials"]] == [[1], [4]]
    assert found["computed"]["steps"] == 2
    for x in "12":
        run = document(nbci("run", "n.ipynb", "-p", f"x={x}", "--json"))
        assert {step["result"] for step in run["steps"]} == {"reused"}
    done = nbci(*search, "--objective", "losses")
    assert done.returncode == 1
    assert "trial 0: failed: " in done.stdout
    assert "losses" in json.loads(nbci("sweep", "show", "--json").stdout)["trials"][0]["error"]


def values_in_optuna(root: Path, sweep: str) -> list[float | None]:
    from optuna import load_study
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    study = root / ".nbci" / "sweeps" / sweep / "study.log"
    storage = JournalStorage(JournalFileBackend(str(study)))
    return [trial.value for trial in load_study(study_name=sweep, storage=storage).trials]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_was_stopped_goes_on_and_loses_no_finished_trial(
    nbci: Console, make_notebook: MakeNotebook, outside: Path, how: signal.Signals
) -> None:
    slow = (
        "import os, time\n"
        f"if x > 5 and not os.path.exists({str(outside / 'go')!r}):\n"
        f"    open({str(outside / 'at')!r}, 'w').write('x')\n    time.sleep(60)\n"
    )
    make_project(nbci.cwd, make_notebook, outside, fit=slow + _FIT)
    search = ("-s", "x=1,2,7,8", "--method", "grid", "--objective", "loss")
    process = nbci.start("sweep", "p.yaml", *search)
    wait_for((outside / "at").exists, "the third trial")

    process.send_signal(how)
    _, told = process.communicate(timeout=60)

    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "go on with: nbci sweep resume" in told
    before = shown(nbci)["trials"]
    assert [trial["state"] for trial in before] == ["complete", "complete", "failed"]
    assert before[2]["interrupted"]
    (outside / "go").write_text("")
    done = nbci("sweep", "resume", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["trials"][:2] == before[:2]
    assert [(trial["state"], trial["params"]["x"]) for trial in found["trials"]] == [
        *(("complete", 1), ("complete", 2), ("failed", 7)),
        *(("complete", 7), ("complete", 8)),
    ]
    assert (outside / "loads").read_text() == "x"
    # All of it is done: there is nothing to go on with, whatever it is given.
    assert json.loads(nbci("sweep", "resume", "--trials", "9", "--json").stdout) == found


def test_a_search_begins_with_what_earlier_runs_gave(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(nbci.cwd, make_notebook, outside)
    for x in ("3", "5", "50"):
        assert nbci("run", "p.yaml", "-q", "-p", f"x={x}").returncode == 0
    search = ("-s", "x=0..10", "--objective", "loss", "--trials", "1", "--json")

    done = nbci("sweep", "p.yaml", *search)

    assert done.returncode == 0, done.stderr
    assert "the search begins with 2 earlier runs of p.yaml" in done.stderr
    found = json.loads(done.stdout)
    assert [trial["earlier"] for trial in found["trials"]] == [True, True, False]
    assert [trial["values"] for trial in found["trials"][:2]] == [[10], [14]]
    assert found["best"] == 0
    fresh = nbci("sweep", "p.yaml", *search, "--fresh")
    assert len(json.loads(fresh.stdout)["trials"]) == 1
    # With other code, what they gave says nothing of this search.
    make_project(nbci.cwd, make_notebook, outside, fit=f"{_FIT}; loss += 1")
    assert len(json.loads(nbci("sweep", "p.yaml", *search).stdout)["trials"]) == 1


def test_a_file_by_which_trials_reach_each_other_is_named(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    shared = repr(str(outside / "best.txt"))
    fit = (
        f"import os\nbefore = float(open({shared}).read()) if os.path.exists({shared}) else 0\n"
        f"loss = x - before\nopen({shared}, 'w').write(str(loss))\n"
        "open('model.txt', 'w').write('x')"
    )
    make_project(nbci.cwd, make_notebook, outside, fit=fit)
    # What nbci writes into a cache that a CI keeps in the checkout is no doing of a step.
    inside = {"NBCI_CACHE": str(nbci.cwd / "cache")}
    search = ("-s", "x=1,2,3", "--method", "grid", "--objective", "loss")

    done = nbci("sweep", "p.yaml", *search, env=inside)

    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "connects runs" in line)
    assert "main/fit of trial 0 wrote it and main/fit of trial 1 read it" in line
    assert str(outside / "best.txt") in line


def test_trials_that_all_fail_alike_stop_the_sweep(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    fit = "open('model.txt', 'w').write('x')\nloss = float('nan') if x < 2 else no_name"
    make_project(nbci.cwd, make_notebook, outside, fit=fit)
    objective = ("--method", "grid", "--objective", "loss")

    done = nbci("sweep", "p.yaml", "-s", "x=1,3,4,5", *objective)

    assert done.returncode == 1
    assert "trial 0: failed: loss is nan" in done.stdout
    assert "trial 3: failed: NameError" in done.stdout
    done = nbci("sweep", "p.yaml", "-s", "x=3,4,5,6", *objective)
    assert done.returncode == 1
    assert "stopped: all trials fail with one error: NameError" in done.stderr
    assert len(shown(nbci)["trials"]) == 3


def test_each_trial_begins_with_the_projects_files(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    """A step writes over a file; another file is ignored by git, and no step declares it."""
    read = "note = open('note.txt').read()\nopen('note.txt', 'a').write('x')\n"
    fit = f"{read}loss = len(note) + int(open('secret.txt').read()) + x\n"
    make_project(nbci.cwd, make_notebook, outside, fit=f"{fit}open('model.txt', 'w').write('x')")
    subprocess.run(["git", "init", "-q", nbci.cwd], check=True)
    (nbci.cwd / ".gitignore").write_text("secret.txt\n")
    (nbci.cwd / "secret.txt").write_text("100")
    (nbci.cwd / "note.txt").write_text("mine")
    subprocess.run(["git", "-C", nbci.cwd, "add", "note.txt"], check=True)
    search = ("-s", "x=1,2,3", "--method", "grid", "--objective", "loss", "--json")

    done = nbci("sweep", "p.yaml", *search)

    # The workspace has what git does not ignore, and what an earlier run was seen to use.
    assert done.returncode == 1
    assert "secret.txt" in json.loads(done.stdout)["trials"][0]["error"]
    assert nbci("run", "p.yaml").returncode == 0
    (nbci.cwd / "note.txt").write_text("mine")
    done = nbci("sweep", "p.yaml", *search)
    assert done.returncode == 0, done.stderr
    assert [trial["values"] for trial in json.loads(done.stdout)["trials"]] == [[105], [106], [107]]
    assert (nbci.cwd / "note.txt").read_text() == "mine"


def test_what_cannot_be_searched_is_refused_before_anything_runs(
    nbci: Console, make_notebook: MakeNotebook, outside: Path
) -> None:
    make_project(nbci.cwd, make_notebook, outside)
    cases = {
        ("p.yaml", "worst"): "there is no sweep 'worst' in p.yaml",
        ("p.yaml", "-s", "x=1,2"): "a sweep needs the metric",
        ("p.yaml", "-s", "x=1,2", "--objective", "loss"): "this sweep has no end",
        ("p.yaml", "-s", "x=1,2", "--objective", "b:loss"): "this sweep has no end",
        ("p.yaml", "best", "-s", "x=1,2"): "name either a sweep of the pipeline file",
        ("p.yaml", "best", "-p", "x=1"): "x is searched, and given by -p as well",
        ("p.yaml", "best", "--objective", "other"): "whether more of other is better",
        ("p.yaml", "best", "--objective", "b:loss"): "no step measures b:loss",
        ("p.yaml", "best", "--method", "grid"): "a grid over x is infinite",
        ("show",): "there is no sweep yet",
        ("p.yaml", "best", *("--direction", "minimize") * 2): "or none does: there are 1 and 2",
    }
    for words, message in cases.items():
        done = nbci("sweep", *words)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert not (nbci.cwd / ".nbci" / "sweeps").exists()
