"""Pipeline files end to end.

Expansion, matrix, metrics as parameters, conditions, and the notebooks they leave.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.e2e.shown import document, results, run_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_PIPELINE = """\
pipeline: whole
params: {C: 1.0, deploy: false}
steps:
  prepare:
    notebook: nb/prepare.ipynb
    outs: [data/rows.json]
  train:
    notebook: nb/train.ipynb
    deps: [data/rows.json]
    matrix: {model: [low, high]}
    params: {model: "${matrix.model}", C: "${C}", size: "${prepare/split:size}"}
    env: {SCALE: "10"}
    cwd: project
    metrics: ["scores-${matrix.model}.json"]
  compare:
    notebook: nb/compare.ipynb
    after: [train]
    params: {low: "${train/low:score}", high: "${train/high:score}"}
  deploy:
    notebook: nb/deploy.ipynb
    after: [compare]
    outs: [deployed.txt]
    when: deploy
  announce: {notebook: nb/deploy.ipynb, deps: [deployed.txt]}
  tidy: {notebook: nb/tidy.ipynb, after: [deploy]}
metrics: {best: {direction: up}}
"""


def _project(make_notebook: MakeNotebook, root: Path) -> Path:
    make_notebook(
        "nb/prepare.ipynb",
        [
            ("step:load", "rows = [1, 2, 3]"),
            (
                "step:split prev:load",
                (
                    "import json, os\nos.makedirs('../data', exist_ok=True)\n"
                    "with open('../data/rows.json', 'w') as file:\n"
                    "    json.dump(rows, file)\nsize = len(rows)"
                ),
            ),
            ("metrics", "print(size)"),
        ],
    )
    make_notebook(
        "nb/train.ipynb",
        [
            ("parameters", "model = 'low'\nC = 2.0\nsize = 0"),
            (
                "import json, os\nrows = json.load(open('data/rows.json'))\n"
                "assert size == len(rows), size\n"
                "score = (min(rows) if model == 'low' else max(rows)) * C * "
                "float(os.environ['SCALE'])\n"
                "with open(f'scores-{model}.json', 'w') as file:\n"
                "    json.dump({'score': score}, file)"
            ),
            ("out:${model}-${matrix.model}.txt", "open(f'{model}-{model}.txt', 'w').close()"),
        ],
    )
    make_notebook(
        "nb/compare.ipynb",
        [
            ("parameters", "low = 0.0\nhigh = 0.0"),
            "best = max(low, high)",
            ("metrics", "print(best)"),
        ],
    )
    make_notebook("nb/deploy.ipynb", ["open('../deployed.txt', 'w').close()"])
    make_notebook("nb/tidy.ipynb", ["tidy = True"])
    (root / "pyproject.toml").write_text("[tool.nbci]\n")
    (root / "pipelines").mkdir()
    path = root / "pipelines/whole.yaml"
    path.write_text(_PIPELINE)
    return path


def test_a_pipeline_file_with_everything_in_it(nbci: Console, make_notebook: MakeNotebook) -> None:
    path = _project(make_notebook, nbci.cwd)
    completed = nbci("run", path, "-p", "C=2", "--json")
    shown = document(completed)
    assert completed.returncode == 0, completed.stderr
    expected = dict.fromkeys(
        ("prepare/load", "prepare/split", "train/low", "train/high", "compare", "tidy"), "passed"
    )
    assert results(shown) == expected | {"deploy": "skipped", "announce": "skipped"}
    assert shown["metrics"] == {
        "prepare/split:size": 3.0,
        "train/low:score": 20.0,
        "train/high:score": 60.0,
        "compare:best": 60.0,
    }
    assert shown["short_metrics"] == {"size": "prepare/split:size", "best": "compare:best"}
    folder = run_folder(nbci.cwd, shown)
    assert {path.name for path in (folder / "notebooks").iterdir()} == {
        "prepare.ipynb",
        "train-low.ipynb",
        "train-high.ipynb",
        "compare.ipynb",
        "tidy.ipynb",
    }
    for notebook in folder.rglob("*.ipynb"):
        _is_valid(notebook)
    outs = {out["path"] for step in shown["steps"] for out in step.get("outs", ())}
    assert outs == {
        *("data/rows.json", "scores-low.json", "scores-high.json"),
        *("low-low.txt", "high-high.txt"),
    }


def _is_valid(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(read)
    return read


@pytest.mark.parametrize("minor", [2, 5])
def test_what_an_old_notebook_leaves_is_valid(
    nbci: Console, make_notebook: MakeNotebook, minor: int
) -> None:
    path = make_notebook(
        "old.ipynb",
        [
            ("markdown", "# Old"),
            ("parameters", "C = 1\nD = C"),
            ("step:a", "x = C + D\nx"),
            ("step:b", "print(x)\n1 / 0"),
            ("step:c", "x"),
        ],
    )
    source = json.loads(path.read_text())
    source["nbformat_minor"] = minor
    for cell in source["cells"] if minor < 5 else ():
        del cell["id"]
    path.write_text(json.dumps(source))
    completed = nbci("run", path, "-p", "C=5", "--json")
    assert completed.returncode == 1, completed.stderr
    folder = run_folder(nbci.cwd, document(completed))
    for notebook in folder.rglob("*.ipynb"):
        _is_valid(notebook)
    merged = _is_valid(folder / "notebooks/old.ipynb")
    shown = [cell for cell in merged["cells"] if cell["cell_type"] == "code" and cell["outputs"]]
    assert [cell["outputs"][0]["output_type"] for cell in shown] == ["execute_result", "stream"]
    assert shown[0]["outputs"][0]["data"]["text/plain"] in ("10", ["10"])
    assert all(cell["metadata"]["nbci"]["seconds"] >= 0 for cell in shown)


def test_the_order_may_come_from_the_variables(nbci: Console, make_notebook: MakeNotebook) -> None:
    make_notebook(
        "n.ipynb",
        [
            ("step:left", "left = 1"),
            ("step:right", "right = 2"),
            ("step:last", "total = left + right"),
            ("metrics", "print(total)"),
        ],
    )
    (nbci.cwd / "p.yaml").write_text(
        "pipeline: p\norder: dataflow\nsteps:\n  n: {notebook: n.ipynb}\n"
    )
    shown = document(nbci("run", "p.yaml", "--json"))
    assert shown["metrics"] == {"n/last:total": 3.0}
    plan = json.loads((run_folder(nbci.cwd, shown) / "plan.json").read_text())
    assert {step["name"]: set(step.get("after", ())) for step in plan["steps"]} == {
        "n/left": set(),
        "n/right": set(),
        "n/last": {"n/left", "n/right"},
    }


def test_a_run_started_elsewhere_belongs_to_the_notebooks_project(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "project/nb/n.ipynb", [("metrics", "import os\nhere = len(os.listdir('.'))")]
    )
    (nbci.cwd / "project/.git").mkdir()
    (nbci.cwd / "elsewhere").mkdir()
    completed = nbci("run", notebook, "--json", cwd=nbci.cwd / "elsewhere")
    shown = document(completed)
    assert shown["metrics"] == {"n:here": 1.0}
    assert shown["target"] == "nb/n.ipynb"
    assert document(nbci("show", "--json", cwd=nbci.cwd / "project/nb"))["run"] == shown["run"]
    assert list((nbci.cwd / "elsewhere").iterdir()) == []
