"""The samples do what their notebooks say, on real data."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.support.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.samples import SampleRun


def test_digits_are_read_well(digits: SampleRun) -> None:
    assert digits.shown["result"] == "passed"
    assert digits.shown["metrics"]["digits/predict:accuracy"] >= 0.97
    assert [step["name"] for step in digits.shown["steps"]] == [
        f"digits/{name}"
        for name in ("preprocess", "train", "predict", "confusion", "roc", "package")
    ]


@pytest.mark.parametrize("sample", ["digits", "wine"])
def test_a_sample_is_no_example_of_what_nbci_warns_of(
    sample: str, request: pytest.FixtureRequest
) -> None:
    run: SampleRun = request.getfixturevalue(sample)
    records = [
        json.loads(path.read_bytes()) for path in (run.folder / "steps").glob("**/record.json")
    ]
    assert len(records) >= 5
    assert [warning for record in records for warning in record.get("warnings", ())] == []


def test_digits_draw_their_figures(digits: SampleRun) -> None:
    merged = json.loads((digits.folder / "notebooks" / "digits.ipynb").read_bytes())
    nbformat.validate(nbformat.from_dict(merged))
    drawn = [
        cell["metadata"]["nbci"]["step"]
        for cell in merged["cells"]
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert {"digits/confusion", "digits/roc"} <= set(drawn)
    images = list((digits.folder / "report" / "images").rglob("*.png"))
    assert len(images) >= 2


def test_digits_record_what_their_charts_are_made_of(digits: SampleRun) -> None:
    report = digits.folder / "report"
    asked = Console(digits.project)(
        "report", digits.folder.name
    )  # a quick run leaves its charts for later
    assert asked.returncode == 0, asked.stderr
    page = (report / "index.html").read_text(encoding="utf-8")
    assert 'alt="Confusion matrix of 10 classes: 9' in page
    assert 'alt="ROC curve of 10: AUC: ' in page
    assert len(list((report / "figures").rglob("*.svg"))) == 2


def test_digits_show_which_images_a_change_breaks(checkout: Callable[[str], Path]) -> None:
    nbci = Console(checkout("broken"))
    for cost in ("1", "0.1"):
        done = nbci("run", "pipelines/digits.yaml", "-p", f"C={cost}", "--json")
        assert done.returncode == 0, done.stderr
    report = nbci.cwd / ".nbci" / "runs" / json.loads(done.stdout)["run"] / "report"
    page = (report / "index.html").read_text(encoding="utf-8")
    turned = re.search(r"450 cases: \d+ fixed, (\d+) broken", page)
    assert turned is not None
    shown = min(int(turned[1]), 20)
    assert shown >= 10
    assert "expected calibration error" in page
    assert len(re.findall(r"\d taken for \d</strong>", page)) == shown
    assert len(list((report / "images" / "digits__predict").glob("case-*.png"))) == shown


def test_wine_is_predicted_by_two_models(wine: SampleRun) -> None:
    rows = (wine.project / "build/wine/cases.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "id,label,prediction,score,model,show"
    assert len(rows) == 1 + 2 * wine.shown["metrics"]["prepare/split:test_count"]


def test_the_merged_notebook_keeps_the_order_of_the_source(digits: SampleRun) -> None:
    source = json.loads((digits.project / "notebooks" / "digits.ipynb").read_bytes())
    merged = json.loads((digits.folder / "notebooks" / "digits.ipynb").read_bytes())
    assert [cell["source"] for cell in merged["cells"]] == [
        cell["source"] for cell in source["cells"]
    ]
    times = [
        cell["metadata"]["nbci"]["seconds"]
        for cell in merged["cells"]
        if cell["cell_type"] == "code" and "nbci" in cell["metadata"]
    ]
    assert len(times) >= 8
    assert all(seconds >= 0 for seconds in times)


@pytest.mark.parametrize("model", ["logistic", "forest"])
def test_wines_are_told_apart(wine: SampleRun, model: str) -> None:
    assert wine.shown["metrics"][f"evaluate:{model}_accuracy"] >= 0.9
    assert wine.shown["metrics"][f"train/{model}:cv_accuracy"] >= 0.9
    assert (wine.project / "build" / "wine" / "models" / f"{model}.joblib").is_file()


def test_wine_is_split_80_to_20(wine: SampleRun) -> None:
    metrics = wine.shown["metrics"]
    assert (
        metrics["prepare/split:train_count"] + metrics["prepare/split:test_count"]
        == metrics["ingest:wine_count"]
    )
    assert metrics["prepare/split:test_count"] / metrics["ingest:wine_count"] == pytest.approx(
        0.2, abs=0.01
    )


def test_the_address_of_the_database_reaches_no_file(wine: SampleRun, wine_database: str) -> None:
    secret = wine_database.encode()
    holding = [
        path for path in wine.project.rglob("*") if path.is_file() and secret in path.read_bytes()
    ]
    assert holding == []
    assert len([path for path in wine.folder.rglob("*") if path.is_file()]) > 20
