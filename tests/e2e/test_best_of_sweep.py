"""What comes after a search: the best one's files, its gates, and its release."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

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
