"""Baselines whose model is measured again, on the data of the run that is judged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.test_prove import commit_all, git, state_of
from tests.support.dvc import dvc, make_repository

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_PIPELINE = """\
pipeline: digits
params: {bias: 0.0}
steps:
  train: {notebook: train.ipynb, params: {bias: "${bias}"}, deps: [train.csv], outs: [model.json]}
  evaluate:
    notebook: evaluate.ipynb
    after: [train]
    deps: [test.csv, model.json]
    outs: [cases.csv]
metrics:
  accuracy: {direction: up}
gates:
  - {metric: accuracy, baseline: BASELINE, max_drop: 0.05REMEASURE}
models:
  digits: {path: model.json, evaluate: EVALUATE, branches: [main]}
"""
_TRAIN = (
    "import csv, json\n"
    "cut = max(float(row[0]) for row in csv.reader(open('train.csv')) if row[1] == 'a') + bias\n"
    "json.dump({'cut': cut}, open('model.json', 'w'))"
)
_EVALUATE = (
    "import csv, json\n"
    "cut = json.load(open('model.json'))['cut']\n"
    "rows = [(float(x), label) for x, label in csv.reader(open('test.csv'))]\n"
    "right = [(('a' if x <= cut else 'b') == label) for x, label in rows]\n"
    "accuracy = sum(right) / len(right)\n"
    "open('cases.csv', 'w').write(str(right))"
)


def make_project(
    root: Path,
    make_notebook: MakeNotebook,
    *,
    baseline: str = "champion",
    remeasure: str = "",
    evaluate: str = "evaluate",
    code: str = _EVALUATE,
) -> None:
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / ".gitignore").write_text(".nbci\nmodel.json\ncases.csv\n__pycache__\n")
    (root / "train.csv").write_text("1,a\n2,a\n3,b\n")
    easy = "".join(f"{x},{'a' if x <= 2 else 'b'}\n" for x in range(10))
    (root / "test.csv").write_text(easy)
    make_notebook("train.ipynb", [("parameters", "bias = 0.0"), _TRAIN])
    make_notebook("evaluate.ipynb", [code, ("metrics", "print(accuracy)")])
    text = _PIPELINE.replace("BASELINE", baseline).replace("EVALUATE", evaluate)
    if remeasure:
        remeasure = f", remeasure: {remeasure}"
    (root / "p.yaml").write_text(text.replace("REMEASURE", remeasure))


def promoted(nbci: Console) -> None:
    """Release the newest run as the first version."""
    root = nbci.cwd
    make_repository(root)
    dvc(root, "remote", "add", "--default", "store", str(root.parent / f"{root.name}-remote"))
    git(root, "checkout", "-q", "-B", "main")
    commit_all(root)
    done = nbci("run", "p.yaml")
    assert done.returncode == 0, done.stderr
    git(root, "config", "user.name", "n")
    git(root, "config", "user.email", "n@example.com")
    done = nbci("promote", "latest", "--no-push")
    assert done.returncode == 0, done.stderr


def judged(nbci: Console, *options: str) -> tuple[int, dict[str, Any]]:
    done = nbci("run", "p.yaml", "--json", *options)
    document: dict[str, Any] = json.loads(done.stdout)
    assert document.get("verdict"), done.stderr
    return done.returncode, document


def make_the_data_harder(root: Path) -> None:
    """Half of the cases become ones that no model of this kind can tell."""
    hard = "".join(f"{x},{'b' if x <= 2 else 'a'}\n" for x in range(10))
    (root / "test.csv").write_text((root / "test.csv").read_text() + hard)


def test_the_recorded_value_misleads_where_the_data_moved_and_the_model_is_measured_again(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    make_project(nbci.cwd, make_notebook)
    promoted(nbci)
    make_the_data_harder(nbci.cwd)
    before = state_of(nbci.cwd)
    del before["cases.csv"]

    code, shown = judged(nbci)
    gate = shown["verdict"]["gates"][0]
    assert (code, gate["result"], gate["found"]) == (0, "passed", 0.5)
    assert (gate["baseline"], gate["remeasured"], gate["recorded"]) == (0.5, 0.5, 1.0)
    # The user's own files are as the run itself left them.
    assert state_of(nbci.cwd).items() >= before.items()

    (nbci.cwd / "p.yaml").write_text(
        (nbci.cwd / "p.yaml").read_text().replace("max_drop: 0.05", "max_drop: 0.05, remeasure: no")
    )
    code, shown = judged(nbci)
    gate = shown["verdict"]["gates"][0]
    assert (code, gate["result"], gate["baseline"]) == (3, "failed", 1.0)
    assert "remeasured" not in gate
