"""What comes after a search: the best one's files, its gates, and its release."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from nbci.git.process import Git
from nbci.registry.read import read_manifest
from tests.e2e.shown import document

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

pytestmark = pytest.mark.slow

_PIPELINE = """\
params: {x: 1}
steps:
  main: {notebook: n.ipynb, params: {x: "${x}"}}
metrics: {loss: {direction: down}}
sweeps:
  best: {params: {x: [1, 2, 4]}, objective: main/fit:loss, method: grid}
"""


def make_project(root: Path, make_notebook: MakeNotebook, pipeline: str = _PIPELINE) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "p.yaml").write_text(pipeline)
    fit = "loss = abs(x - 3) + x / 10\nopen('model.txt', 'w').write(str(x))"
    cells = [("parameters", "x = 1"), ("step:fit out:model.txt", fit), ("metrics", "print(loss)")]
    make_notebook("n.ipynb", cells)


def test_the_best_ones_files_are_checked_out_and_nobodys_own_are_lost(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    model = nbci.cwd / "model.txt"
    model.write_text("mine")

    done = nbci("sweep", "p.yaml", "best", "--checkout", "best", "--json")

    assert done.returncode == 0, done.stderr
    assert model.read_text() == "2"
    assert "what stood at model.txt is kept nowhere else" in done.stderr
    aside = list((nbci.cwd / ".nbci").rglob("model.txt"))
    assert "mine" in [path.read_text() for path in aside]
    done = nbci("sweep", "checkout", "--trial", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("of trial 2 of sweep ")
    assert model.read_text() == "4"
    refused = nbci("sweep", "checkout", "--trial", "9")
    assert refused.returncode == 2
    assert "has no trial 9" in refused.stderr
    both = ("--objective", "main/fit:loss", "--objective", "main/fit:kb", "--direction", "minimize")
    refused = nbci("sweep", "p.yaml", "best", *both, "--direction", "minimize", "--checkout=best")
    assert refused.returncode == 2
    assert "of several objectives no trial is the best" in refused.stderr


def test_a_sweep_is_planned_without_a_kernel(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_project(nbci.cwd, make_notebook)
    assert nbci("run", "p.yaml", "-p", "x=4").returncode == 0

    found = json.loads(nbci("plan", "p.yaml", "--sweep", "--json").stdout)

    assert (found["name"], found["points"], found["trials"]) == ("best", 3, 3)
    (fit,) = found["steps"]
    assert (fit["step"], fit["params"], fit["times"]) == ("main/fit", ["x"], 3)
    assert (fit["looked_at"], fit["standing"]) == (3, 1)
    assert found["seconds"] == pytest.approx(2 * fit["seconds"])
    search = ("-s", "x=1..9:2", "--method", "grid", "--objective", "main/fit:loss")
    assert "5 points, all of them are tried" in nbci("sweep", "p.yaml", *search, "-n").stdout
    refused = nbci("plan", "p.yaml", "--sweep", "--format", "tree")
    assert (refused.returncode, "--sweep goes with" in refused.stderr) == (2, True)
    assert not (nbci.cwd / ".nbci" / "sweeps").exists()


_MODEL = """\
gates:
  - {metric: main/fit:loss, at_most: 2}
models:
  line: {path: build/model.txt, stage: production, branches: [main], framework: plain}
"""


@pytest.fixture
def git(nbci: Console, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """The repository of the project, with an origin and a folder as DVC remote beside it."""
    for name in ("BRANCH_NAME", "GIT_BRANCH", "CHANGE_ID", "CHANGE_TARGET", "BUILD_URL"):
        # The tests themselves may run on Jenkins.
        monkeypatch.delenv(name, raising=False)
    (outside / "remote").mkdir()
    subprocess.run(["git", "init", "-q", "--bare", outside / "origin.git"], check=True)
    subprocess.run(["git", "init", "-q", nbci.cwd], check=True)
    (nbci.cwd / ".dvc").mkdir()
    (nbci.cwd / ".dvc" / "config").write_text(
        f"[core]\n    remote = storage\n['remote \"storage\"']\n    url = {outside}/remote\n"
    )
    (nbci.cwd / ".gitignore").write_text("/build\n/.dvc/tmp\n/.dvc/cache\n")
    return Git(nbci.cwd)


def commit(git: Git, outside: Path) -> None:
    git("add", ".")
    git("commit", "-qm", "a project")
    git("remote", "add", "origin", str(outside / "origin.git"))
    git("push", "-q", "origin", "main")


def make_model_project(root: Path, make_notebook: MakeNotebook, pipeline: str) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "p.yaml").write_text(pipeline)
    fit = (
        "import os\nos.makedirs('build', exist_ok=True)\nloss = abs(x - 3) + x / 10\n"
        "open('build/model.txt', 'w').write(str(x))"
    )
    cells = [
        ("parameters", "x = 1"),
        ("step:fit out:build/model.txt", fit),
        ("metrics", "print(loss)"),
        ("step:after", "twice = 2 * x"),
    ]
    make_notebook("n.ipynb", cells)


def test_the_best_one_goes_through_the_gates_and_says_of_which_search_it_is(
    nbci: Console, make_notebook: MakeNotebook, outside: Path, git: Git
) -> None:
    make_model_project(nbci.cwd, make_notebook, _PIPELINE + _MODEL)
    commit(git, outside)
    searched = nbci("sweep", "p.yaml", "best", "--json")
    assert searched.returncode == 0, searched.stderr
    sweep = json.loads(searched.stdout)["sweep"]

    # The worst one, which the gates refuse; it is a run all the same.
    refused = nbci("sweep", "promote", "--trial", "0")
    assert refused.returncode == 3, refused.stderr
    assert "the gates refuse run" in refused.stderr
    assert "warning: a gate judges main/fit:loss, and by this very metric" in refused.stderr

    done = nbci("sweep", "promote", "--json")

    assert done.returncode == 0, done.stderr
    promoted = json.loads(done.stdout)
    chosen = promoted["chosen"]
    assert (chosen["sweep"], chosen["trial"], chosen["complete"]) == (sweep, 1, 3)
    (objective,) = chosen["objectives"]
    assert objective["values"] == pytest.approx([2.1, 1.2, 1.4])
    assert (objective["minimum"], objective["median"]) == pytest.approx((1.2, 1.4))
    assert chosen["space"] == {"x": {"type": "choices", "values": [1, 2, 4]}}
    run = document(nbci("show", promoted["run"], "--json"))
    assert run["chosen"] == chosen
    assert {step["name"]: step["result"] for step in run["steps"]} == {
        "main/fit": "reused",
        "main/after": "passed",
    }
    assert run["params"]["x"] == {"value": 2, "source": "sweep"}
    (warning,) = run["warnings"]
    assert "a gate judges main/fit:loss, and by this very metric the run was chosen" in warning

    sentence = f"best of 3 trials of sweep {sweep} by main/fit:loss"
    manifest = read_manifest(git, promoted["commit"])
    assert manifest is not None
    assert manifest.chosen is not None
    assert manifest.chosen.sentence == sentence
    assert f"Nbci-Chosen: {sentence}" in git("log", "-1", "--format=%B", promoted["commit"])
    assert sentence in git("cat-file", "blob", f"{promoted['commit']}:.nbci/release.md")
    assert sentence in nbci("audit").stdout
    assert sentence in nbci("lineage", "line@v1.0.0").stdout
    report = nbci.cwd / ".nbci" / "runs" / promoted["run"] / "report"
    assert sentence in (report / "index.html").read_text()
    summary = (report / "summary.md").read_text().replace("\\", "")
    assert f"chosen as the {sentence}" in summary

    # Again: it is that run and that version, and no other.
    again = nbci("sweep", "promote")
    assert again.returncode == 0, again.stderr
    assert f"line v1.0.0 is in production already, from run {promoted['run']}" in again.stdout
    # Who gives the same values by hand claims no search.
    assert nbci("run", "p.yaml", "-p", "x=2", "--quiet").returncode == 0
    assert "chosen" not in document(nbci("show", "latest", "--json"))
    (nbci.cwd / "p.yaml").write_text(_PIPELINE)
    refused = nbci("sweep", "promote")
    assert refused.returncode == 2
    assert "have changed since it began" in refused.stderr


_CONFIRMED = """\
params: {x: 1, seed: 0}
steps:
  main: {notebook: n.ipynb, params: {x: "${x}", seed: "${seed}"}}
  check: {notebook: check.ipynb, after: [main], deps: [build/model.txt, held_out.txt], cwd: project}
metrics: {loss: {direction: down}}
gates:
  - {metric: main/fit:loss, of: confirmed, at_most: 2}
sweeps:
  best: {params: {x: [1, 2, 4]}, objective: main/fit:loss, method: grid, confirm: check}
"""


def make_confirmed_project(root: Path, make_notebook: MakeNotebook) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "p.yaml").write_text(_CONFIRMED)
    (root / "held_out.txt").write_text("0.5")
    fit = (
        "import os\nos.makedirs('build', exist_ok=True)\nloss = abs(x - 3) + x / 10 + seed\n"
        "open('build/model.txt', 'w').write(str(loss))"
    )
    cells = [("parameters", "x = 1\nseed = 0"), ("step:fit out:build/model.txt", fit)]
    make_notebook("n.ipynb", [*cells, ("metrics", "print(loss)")])
    read = "loss = float(open('build/model.txt').read()) + float(open('held_out.txt').read())"
    make_notebook("check.ipynb", [("step:see", read), ("metrics", "print(loss)")])


def test_a_gate_asks_for_a_value_that_no_trial_saw(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_confirmed_project(nbci.cwd, make_notebook)

    # Of a run that no sweep chose, its own value is judged, and that is said.
    own = document(nbci("run", "p.yaml", "-p", "x=2", "--json"))
    (gate,) = own["verdict"]["gates"]
    assert (gate["asked"], gate["found"]) == ("at most 2, confirmed", pytest.approx(1.2))
    assert gate["reason"] == "0.8 to spare (no sweep chose this run: its own value)"

    done = nbci("sweep", "p.yaml", "best", "--json")
    assert done.returncode == 0, done.stderr
    assert {trial["computed"]["steps"] for trial in json.loads(done.stdout)["trials"]} <= {0, 1}

    done = nbci("sweep", "confirm", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["chosen"]["confirm_step"] == "check"
    assert found["confirmed"]["metrics"] == {"check/see:loss": pytest.approx(1.7)}
    run = document(nbci("show", found["run"], "--json"))
    (gate,) = run["verdict"]["gates"]
    assert (gate["metric"], gate["found"]) == ("check/see:loss", pytest.approx(1.7))
    assert gate["reason"] == "0.3 to spare (confirmed by step check)"
    assert run["warnings"] == []

    # With seeds it is their mean, without the one that the trial had.
    done = nbci("sweep", "confirm", "--seeds", "3")
    assert done.returncode == 3, done.stderr
    assert (
        "main/fit:loss 3.2 ± 1 (1.2 when it was chosen), as the mean of 3 seeds that no trial saw"
        in done.stdout
    )
    assert "misses by 1.2 (confirmed as the mean of 3 seeds that no trial saw)" in done.stdout
    refused = nbci("sweep", "confirm", "--step", "main/fit")
    assert (refused.returncode, "trials run the step main/fit" in refused.stderr) == (2, True)
    short = ("--objective", "loss", "--direction", "minimize")
    refused = nbci("sweep", "p.yaml", "best", *short)
    assert (refused.returncode, "trials run the step check" in refused.stderr) == (2, True)


def test_on_agents_the_best_one_is_confirmed_as_well(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_confirmed_project(nbci.cwd, make_notebook)
    place = nbci.cwd / "p.yaml"
    place.write_text(place.read_text().replace("[1, 2, 4]", "[2]"))
    worker = ("--state", ".nbci/b/state", "--worker", "1", "--store", ".nbci/b/store")
    plan = (*("--plan", ".nbci/b/plan.json", "--store", ".nbci/b/store"), "--bring", ".nbci/b/left")
    out = ("--out", ".nbci/b/plan.json", "--leave", ".nbci/b/left/0")
    end = ("--results", ".nbci/b", "--carry", ".nbci/b/carry")
    for words in (
        ("sweep", "next", "p.yaml", "best", "--parallel", "1", *worker, *out),
        ("step", *plan, "--stage", "1", "--leave", ".nbci/b/left/1"),
        ("sweep", "tell", *worker, "--bring", ".nbci/b/left"),
        ("sweep", "end", "--state", ".nbci/b/state", "--store", ".nbci/b/store", *out, *end),
        ("step", *plan, "--stage", "1", "--leave", ".nbci/b/left/1"),
    ):
        done = nbci(*words)
        assert done.returncode == 0, done.stderr

    run = document(nbci("finish", *plan, "--json"))

    (gate,) = run["verdict"]["gates"]
    assert gate["reason"] == "0.3 to spare (confirmed by step check)"
    assert run["chosen"]["confirm_step"] == "check"
    assert run["confirmed"]["metrics"] == {"check/see:loss": pytest.approx(1.7)}
