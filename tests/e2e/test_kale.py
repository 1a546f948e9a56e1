"""Notebooks tagged for Kale, in each of its dialects, run unchanged and give the right numbers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.shown import document, results, run_folder
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeNotebook
    from tests.support.console import Console

_KALE: dict[str, Any] = {
    "kubeflow_notebook": {
        "autosnapshot": True,
        "docker_image": "",
        "experiment": {"id": "", "name": "candies"},
        "experiment_name": "candies",
        "pipeline_description": "Kids sharing candies",
        "pipeline_name": "candies-sharing",
        "snapshot_volumes": True,
        "steps_defaults": ["label:access-ml-pipeline:true", "annotation:owner:kids", "limit:cpu:1"],
        "volume_access_mode": "rwm",
        "volumes": [],
    }
}


def test_candies_block_and_prev_with_functions_and_parameters(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "candies.ipynb",
        [
            ("markdown", "# Candies"),
            ("imports", "import random"),
            (
                "functions",
                (
                    "def get_handful(left):\n"
                    "    if left == 0:\n"
                    "        print('There are no candies left! I want to cry :(')\n"
                    "        return 0\n"
                    "    c = random.randint(1, left)\n"
                    "    print(f'I got {c} candies!')\n"
                    "    return c"
                ),
            ),
            ("pipeline-parameters", "CANDIES = 20"),
            (
                "block:sack",
                (
                    "print(f\"Let's put in a bag {CANDIES} candies and have three kids get a "
                    'handful each")'
                ),
            ),
            (
                "block:kid1 prev:sack",
                "# kid1 gets a handful, without looking in the bag!\nkid1 = get_handful(CANDIES)",
            ),
            ("block:kid2 prev:kid1", "kid2 = get_handful(CANDIES - kid1)"),
            ("block:kid3 prev:kid2", "kid3 = get_handful(CANDIES - kid1 - kid2)"),
            ("skip", "this is not Python at all"),
            ("block:", "left = CANDIES - kid1 - kid2 - kid3"),
            ("pipeline-metrics", "print(kid1)\nprint(kid2)\nprint('candies left:', left)"),
        ],
        metadata=_KALE,
    )
    shown = document(nbci("run", notebook, "-p", "CANDIES=30", "--json"))
    assert shown["result"] == "passed"
    assert shown["pipeline"] == "candies-sharing"
    assert results(shown) == dict.fromkeys(("sack", "kid1", "kid2", "kid3"), "passed")
    metrics = {name.partition(":")[2]: value for name, value in shown["metrics"].items()}
    assert set(metrics) == {"kid1", "kid2", "candies_left"}
    assert 1 <= metrics["kid1"] <= 30
    assert metrics["candies_left"] == 30 - metrics["kid1"] - metrics["kid2"] - _kid3(
        run_folder(nbci.cwd, shown)
    )


def _kid3(folder: Path) -> int:
    executed = json.loads((folder / "steps/kid3/notebook.ipynb").read_text(encoding="utf-8"))
    printed = "".join(
        "".join(output["text"])
        for cell in executed["cells"]
        for output in cell["outputs"]
        if output.get("name") == "stdout"
    )
    return int(printed.partition("I got ")[2].partition(" ")[0]) if "I got " in printed else 0


def test_iris_step_and_prev_with_parameters_and_metrics(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "iris.ipynb",
        [
            (
                "imports",
                (
                    "from sklearn.datasets import load_iris\n"
                    "from sklearn.linear_model import LogisticRegression\n"
                    "from sklearn.metrics import accuracy_score\n"
                    "from sklearn.model_selection import train_test_split"
                ),
            ),
            ("pipeline-parameters", "test_size = 0.33\nseed = 42"),
            ("step:load-data", "iris = load_iris()"),
            (
                "step:split prev:load-data limit:cpu:2",
                (
                    "X_train, X_test, y_train, y_test = train_test_split(\n"
                    "    iris.data, iris.target, test_size=test_size, random_state=seed)"
                ),
            ),
            (
                "step:train prev:split annotation:team:iris",
                "model = LogisticRegression(max_iter=500)",
            ),
            ("", "model.fit(X_train, y_train)"),
            (
                "step:test prev:train",
                "predicted = model.predict(X_test)\naccuracy = accuracy_score(y_test, predicted)",
            ),
            ("pipeline-metrics", 'print(accuracy)\nprint("test size:", test_size)'),
        ],
    )
    shown = document(nbci("run", notebook, "--json", "-p", "seed=1"))
    assert shown["result"] == "passed", shown
    assert shown["metrics"]["test:accuracy"] > 0.9
    assert shown["metrics"]["test:test_size"] == pytest.approx(0.33)


_MODELS = ("naive", "forest", "logistic", "svm", "tree")


def test_titanic_oldest_dialect_five_models_side_by_side_joined(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    fits = [
        (
            f"block:{name} prev:featureengineering",
            (
                f"class_{name} = Majority(bias={at})\nclass_{name}.fit(train, labels)\n"
                f"acc_{name} = class_{name}.score(train, labels)"
            ),
        )
        for at, name in enumerate(_MODELS)
    ]
    notebook = make_notebook(
        "titanic.ipynb",
        [
            ("imports", "import math\nfrom statistics import mean"),
            (
                "functions",
                (
                    "class Majority:\n"
                    "    def __init__(self, bias):\n"
                    "        self.bias = bias\n"
                    "    def fit(self, rows, labels):\n"
                    "        self.threshold = mean(rows) + self.bias\n"
                    "    def score(self, rows, labels):\n"
                    "        return mean((row > self.threshold) == label for row, "
                    "label in zip(rows, labels))"
                ),
            ),
            ("block:loaddata", "passengers = list(range(100))\ndead = [False] * 50 + [True] * 50"),
            ("block:datapreprocessing prev:loaddata", "train = [float(row) for row in passengers]"),
            ("", "PREDICTION_LABEL = 'Survived'"),
            (
                "block:featureengineering prev:datapreprocessing",
                "labels = list(dead)\nassert math.isclose(train[3], 3)",
            ),
            *fits,
            (
                f"block:results prev:{';'.join(_MODELS[:2])} "
                + " ".join(f"prev:{name}" for name in _MODELS[2:]),
                "results = {name: accuracy for name, accuracy in [\n"
                + "\n".join(f"    ({name!r}, acc_{name})," for name in _MODELS)
                + "\n]}\n"
                "assert isinstance(class_svm, Majority)\n"
                "best = max(results.values())",
            ),
            ("pipeline-metrics", "print('best accuracy:', best)\nprint(acc_tree)"),
        ],
    )
    shown = document(nbci("run", notebook, "--json", "-j", "3"))
    assert shown["result"] == "passed", shown
    assert len(shown["steps"]) == 9
    assert shown["metrics"]["results:best_accuracy"] == 1.0
    assert shown["metrics"]["results:acc_tree"] == pytest.approx(0.96)


def test_cells_that_belong_to_two_blocks_and_joins_by_semicolons(
    nbci: Console, make_notebook: MakeNotebook
) -> None:
    notebook = make_notebook(
        "semicolons.ipynb",
        [
            ("block:seed", "numbers = [1, 2, 3]"),
            ("block:low;high prev:seed", "scale = 10"),
            ("block:low", "low_sum = sum(numbers)"),
            ("block:", "low_sum += scale"),
            ("block:high", "high_sum = sum(numbers) * scale"),
            (
                "block:join prev:low;high limit:nvidia.com/gpu:2 image:python:3.12",
                "total = low_sum + high_sum",
            ),
            ("pipeline-metrics", "print(total)"),
        ],
        metadata={"kubeflow_notebook": {"steps_defaults": ["limit:nvidia.com/gpu:0"]}},
    )
    completed = nbci("run", notebook, "--json", env={"CUDA_VISIBLE_DEVICES": ""})
    shown = document(completed)
    assert shown["result"] == "passed", shown
    assert shown["metrics"] == {"join:total": 76.0}
    assert "join asks for a GPU; this machine shows none" in completed.stderr


def _composition(folder: Path) -> None:
    """Notebooks of the shape of Kale 2.3's composition examples.

    The user of a variable comes after its maker.
    """
    make = write_notebook
    make(
        folder / "a.ipynb",
        [
            ("pipeline-parameters", "size = 3\nscale = 2"),
            ("step:names", "names = ['x', 'y']"),
            ("step:generate", "rows = list(range(size))"),
            ("step:assemble prev:generate prev:names", "dataset = [row * scale for row in rows]"),
            ("step:weights prev:generate", "weights = [1] * size"),
        ],
    )
    make(
        folder / "b.ipynb",
        [
            ("imports", "import math"),
            ("functions", "def rows(values):\n    return math.fsum(values)"),
            ("step:fit", "model = rows(dataset) + offset"),
            ("step:aggregate", "weight_total = sum(weights)"),
        ],
    )
    make(
        folder / "c.ipynb",
        [
            ("step:predict", "prediction = model * weight_total"),
            ("step:report prev:predict", "print('REPORT', names, prediction)"),
            ("pipeline-metrics", "print(prediction)"),
        ],
    )
    references = [_reference(name) for name in "abc"]
    parameters = _code("size = 4\noffset = 1", tags=["pipeline-parameters"])
    final = _code("print('FINAL', prediction)", tags=["step:final"])
    for name, cells in (
        ("main", [parameters, *references]),
        ("mixed", [parameters, *references, final]),
    ):
        document = {"nbformat": 4, "nbformat_minor": 5, "metadata": _KALE, "cells": cells}
        (folder / f"{name}.ipynb").write_text(json.dumps(document))


def _reference(name: str) -> dict[str, Any]:
    return _code(
        "# stands for a notebook", tags=[f"notebook:{name}"], notebook_path=f"./{name}.ipynb"
    )


def _code(source: str, **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source + str(metadata)))}"[:16],
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def test_a_composition_runs_what_it_refers_to(nbci: Console) -> None:
    """The root's parameters reach every notebook.

    A function of one notebook hides no variable of another.
    """
    _composition(nbci.cwd / "nb")
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    shown = document(nbci("run", "nb/mixed.ipynb", "--json"))
    assert results(shown) == dict.fromkeys(
        (
            "a/names",
            "a/generate",
            "a/assemble",
            "a/weights",
            "b/fit",
            "b/aggregate",
            "c/predict",
            "c/report",
            "final",
        ),
        "passed",
    )
    assert shown["metrics"] == {"c/report:prediction": 52.0}  # (2 * (0 + 1 + 2 + 3) + 1) * 4
    again = nbci("run", "nb/main.ipynb", "-p", "offset=2", "-p", "scale=1")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "REPORT ['x', 'y'] 32.0" in again.stdout
    assert "nothing to say" in nbci("lint", "nb").stdout
    planned = nbci("plan", "nb/main.ipynb").stdout
    assert "other cells of nb/main.ipynb: 1 (not run: empty" not in planned
    assert "2 (not run: stands for ./a.ipynb)" in planned


def test_each_notebook_of_a_composition_makes_once_what_is_never_the_same_twice(
    nbci: Console,
) -> None:
    _composition(nbci.cwd / "nb")
    made = [
        ("imports", "import uuid"),
        ("functions", "RUN = uuid.uuid4()\nclass C: id = uuid.uuid4()"),
    ]
    for name in "abc":
        steps = [(f"step:s{at}", f"print('OUT', '{name}', RUN, C.id)") for at in range(2)]
        write_notebook(nbci.cwd / f"nb/{name}.ipynb", [*made, *steps])
    done = nbci("run", "nb/main.ipynb")
    assert done.returncode == 0, done.stdout
    shown = re.findall(r"\[(\w)/s\d\] (OUT .*)", done.stdout)
    assert len(shown) == 6
    assert len(set(shown)) == len({printed for _, printed in shown}) == 3


def test_a_pipeline_file_and_single_steps_know_compositions(nbci: Console) -> None:
    _composition(nbci.cwd / "nb")
    (nbci.cwd / "pipelines").mkdir()
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    (nbci.cwd / "pipelines/p.yaml").write_text(
        "params: {n: 2}\nsteps:\n"
        "  all: {notebook: nb/mixed.ipynb, params: {size: '${n}'}}\n"
        "  then: {notebook: nb/a.ipynb, after: [all]}\n"
    )
    assert "error" not in nbci("lint", "pipelines/p.yaml").stdout
    planned = nbci("plan", "pipelines/p.yaml", "--out", "plan.json")
    assert planned.returncode == 0, planned.stderr
    for step in json.loads((nbci.cwd / "plan.json").read_text())["steps"]:
        if step["name"].startswith("all/"):
            ran = nbci("step", step["name"], "--plan", "plan.json", "--store", "store")
            assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FINAL 6.0" in ran.stdout  # (2 * (0 + 1) + 1) * 2


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([("gone", "./gone.ipynb")], "there is no notebook nb/gone.ipynb"),
        ([("b", "./b.ipynb")], "`dataset` is used by step b/fit and defined nowhere"),
        (
            [("helper", "./helper.ipynb"), ("user", "./user.ipynb")],
            "these hold in their own notebook",
        ),
    ],
)
def test_a_composition_that_cannot_run_is_refused_before_it_does(
    nbci: Console, cells: list[tuple[str, str]], said: str
) -> None:
    _composition(nbci.cwd / "nb")
    (nbci.cwd / "pyproject.toml").write_text("[tool.nbci]\n")
    write_notebook(
        nbci.cwd / "nb/helper.ipynb",
        [("functions", "def helper():\n    return 1"), ("step:a", "x = 1")],
    )
    write_notebook(nbci.cwd / "nb/user.ipynb", [("step:b", "print(helper(), x)")])
    made = [_code("", tags=[f"notebook:{name}"], notebook_path=path) for name, path in cells]
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}
    (nbci.cwd / "nb/root.ipynb").write_text(json.dumps(document))
    for command in ("plan", "lint"):
        refused = nbci(command, "nb/root.ipynb")
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert said in refused.stdout + refused.stderr
