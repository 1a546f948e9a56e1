"""Which JSON and tables are charts, and what is said of those that are wrong."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.report.charts.chart import Chart, Confusion, Curves, Importance, Unusable
from nbci.report.charts.shapes import KINDS, chart_of, chart_of_rows
from tests.support.console import ROOT

PAGE = ROOT / "docs" / "pictures.md"
MATRIX = Confusion(labels=("cat", "dog"), counts=((8.0, 2.0), (1.0, 9.0)))


def curve(chart: Chart | None) -> Curves:
    assert isinstance(chart, Curves)
    return chart


@pytest.mark.parametrize(
    "record",
    [
        {"chart": "confusion_matrix", "labels": ["cat", "dog"], "matrix": [[8, 2], [1, 9]]},
        {"labels": ["cat", "dog"], "matrix": [[8, 2], [1, 9]]},
        {
            "chart": "confusion_matrix",
            "actual": ["cat"] * 10 + ["dog"] * 10,
            "predicted": ["cat"] * 8 + ["dog"] * 2 + ["cat"] + ["dog"] * 9,
        },
        [
            {"actual": a, "predicted": p}
            for a, p in [("cat", "cat")] * 8 + [("cat", "dog")] * 2 + [("dog", "cat")]
        ]
        + [{"actual": "dog", "predicted": "dog"}] * 9,
        [
            {"target": "cat", "predicted": "cat", "count": 8},
            {"target": "cat", "predicted": "dog", "count": 2},
            {"target": "dog", "predicted": "cat", "count": 1},
            {"target": "dog", "predicted": "dog", "count": 9},
        ],
    ],
)
def test_a_confusion_matrix_in_any_of_its_shapes(record: Any) -> None:
    assert chart_of(record) == MATRIX


@pytest.mark.parametrize(
    "record",
    [
        {"chart": "roc", "fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1]},
        {"fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1], "thresholds": ["Infinity", 0.7, 0.1]},
        {"chart": "roc", "curves": {"": {"fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1]}}},
        {"chart": "roc", "curves": [{"name": "", "fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1]}]},
        {
            "roc": [
                {"fpr": 0, "tpr": 0, "threshold": 1},
                {"fpr": 0.5, "tpr": 0.8},
                {"fpr": 1, "tpr": 1},
            ]
        },
        [{"fpr": "0", "tpr": "0"}, {"fpr": "0.5", "tpr": "0.8"}, {"fpr": "1", "tpr": "1"}],
    ],
)
def test_a_roc_curve_in_any_of_its_shapes(record: Any) -> None:
    chart = curve(chart_of(record))
    assert chart.kind == "roc"
    assert [(line.name, line.x, line.y) for line in chart.lines] == [("", (0, 0.5, 1), (0, 0.8, 1))]


def test_a_confusion_matrix_has_the_title_that_it_was_given() -> None:
    pairs = {"chart": "confusion_matrix", "actual": ["a"], "predicted": ["a"], "title": "Held out"}
    for record in (pairs, {"labels": ["a"], "matrix": [[1]], "title": "Held out"}):
        chart = chart_of(record)
        assert chart is not None
        assert chart.title == "Held out"


def test_curves_have_names() -> None:
    record = {
        "chart": "precision_recall",
        "title": "Held out",
        "curves": {
            "svm": {"precision": [0.5, 1], "recall": [1, 0]},
            "forest": {"precision": [0.6, 1], "recall": [1, 0]},
        },
    }
    chart = curve(chart_of(record))
    assert [line.name for line in chart.lines] == ["svm", "forest"]
    assert (chart.title, chart.x_label, chart.y_label) == ("Held out", "recall", "precision")


@pytest.mark.parametrize("names", [("predicted", "observed"), ("prob_pred", "prob_true")])
def test_calibration_goes_by_our_names_and_by_those_of_scikit_learn(names: tuple[str, str]) -> None:
    chart = curve(chart_of({"chart": "calibration", names[0]: [0.1, 0.9], names[1]: [0.2, 0.8]}))
    assert chart.lines[0].x == (0.1, 0.9)
    assert chart.lines[0].y == (0.2, 0.8)


@pytest.mark.parametrize(
    "record",
    [
        {"chart": "feature_importance", "importance": {"hue": 0.2, "alcohol": 0.5}},
        {"chart": "feature_importance", "features": ["hue", "alcohol"], "importance": [0.2, 0.5]},
        [{"feature": "hue", "importance": "0.2"}, {"feature": "alcohol", "importance": "0.5"}],
    ],
)
def test_importance_in_any_of_its_shapes(record: Any) -> None:
    assert chart_of(record) == Importance(names=("hue", "alcohol"), values=(0.2, 0.5))


def test_a_learning_curve_keeps_its_gaps() -> None:
    record = {
        "chart": "learning_curve",
        "x_label": "epoch",
        "series": {"train": [3, 2, 1], "validation": [4, None, "NaN"]},
    }
    chart = curve(chart_of(record))
    assert chart.x_label == "epoch"
    assert list(chart.lines[0].x) == [1, 2, 3]
    assert str(chart.lines[1].y) == "(4.0, nan, nan)"


def test_a_table_with_steps_is_a_learning_curve_of_its_other_columns() -> None:
    rows = [
        {"timestamp": 1, "epoch": at, "loss": 1 / at, "val_loss": 2 / at, "note": "fine"}
        for at in range(1, 5)
    ]
    chart = curve(chart_of_rows(rows))
    assert chart.kind == "learning_curve"
    assert chart.x_label == "epoch"
    assert [line.name for line in chart.lines] == ["loss", "val_loss"]


@pytest.mark.parametrize(
    "record",
    [
        {"precision": 0.9, "recall": 0.8},
        {"accuracy": 0.9},
        [{"x": 1, "y": 2}],
        [{"actual": 1.5, "predicted": 1.25}, {"actual": 2.5, "predicted": 2.25}],
        [1, 2, 3],
        [],
        {},
        "roc",
        None,
        {"roc": []},
    ],
)
def test_what_is_something_else_is_passed_over(record: Any) -> None:
    assert chart_of(record) is None


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"chart": "pie"}, "the chart 'pie' is not known; known are confusion_matrix, roc"),
        ({"chart": "roc"}, "it has no fpr and tpr"),
        ({"chart": "roc", "fpr": [0, 1], "tpr": [0]}, "fpr has 2 numbers and tpr has 1"),
        ({"chart": "roc", "fpr": [0, "x"], "tpr": [0, 1]}, "fpr has 'x', which is no number"),
        ({"chart": "roc", "fpr": [0, [1]], "tpr": [0, 1]}, "fpr has something that is no number"),
        ({"chart": "roc", "fpr": 3, "tpr": [0, 1]}, "fpr is no list"),
        ({"chart": "roc", "fpr": [None], "tpr": ["NaN"]}, "it has no points"),
        ({"chart": "roc", "curves": {"a": 3}}, "a curve is an object with two lists"),
        ({"labels": ["a", "b"], "matrix": [[1, 2]]}, "the matrix has 1 rows for 2 labels"),
        (
            {"labels": ["a", "b"], "matrix": [[1, 2], [3]]},
            "the row of b has 1 numbers for 2 labels",
        ),
        (
            {"labels": ["a"], "matrix": [[float("nan")]]},
            "the row of a has something that is no count",
        ),
        ({"labels": ["a"], "matrix": [[-1]]}, "the row of a has something that is no count"),
        ({"labels": [], "matrix": []}, "the matrix is empty"),
        (
            {"chart": "confusion_matrix", "actual": [1], "predicted": [1, 2]},
            "actual has 1 entries and predicted has 2",
        ),
        (
            {"chart": "feature_importance", "features": ["a"], "importance": [1, 2]},
            "1 features have 2 numbers",
        ),
        ({"chart": "learning_curve", "series": {}}, "it has no series"),
        (
            {"chart": "learning_curve", "x": [1], "series": {"loss": [1, 2]}},
            "x has 1 numbers and loss has 2",
        ),
        ([{"actual": at, "predicted": at} for at in range(3000)], "it has 3,000 classes"),
    ],
)
def test_what_is_wrong_is_said(record: Any, said: str) -> None:
    with pytest.raises(Unusable) as error:
        chart_of(record)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    "text", re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
)
def test_the_shapes_of_the_documentation_are_charts(text: str) -> None:
    assert chart_of(json.loads(text)) is not None


def test_the_documentation_shows_every_kind() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f'"chart": "{kind}"' in text for kind in KINDS)


def test_numbers_beyond_all_measure_are_gaps() -> None:
    chart = curve(chart_of({"chart": "learning_curve", "series": {"loss": [1, 10**400, 1e300, 2]}}))
    assert str(chart.lines[0].y) == "(1.0, nan, nan, 2.0)"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = (
    "chart title labels matrix fpr tpr precision recall prob_pred prob_true predicted "
    "actual target count curves series"
    " x importance features feature epoch step name"
).split()


@given(
    st.dictionaries(st.sampled_from(KEYS), JSON)
    | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON), min_size=1)
)
def test_any_json_is_a_chart_or_none_or_told_to_be_wrong(record: Any) -> None:
    for kind in (
        None,
        "roc",
        "confusion_matrix",
        "feature_importance",
        "learning_curve",
        "calibration",
    ):
        shown = {**record, "chart": kind} if kind and isinstance(record, dict) else record
        with contextlib.suppress(Unusable):
            chart_of(json.loads(json.dumps(shown)))
