"""Performance without labels, against what it is found to be when the labels are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.isotonic import IsotonicRegression

from nbci.behaviour.estimated_performance import _curve, calibrate, estimate_performance
from nbci.behaviour.predictions import Predictions, predictions_of
from nbci.errors import UsageError

RNG = np.random.default_rng(7)


def cases(rows: int, hardness: float) -> tuple[Any, Any, Any]:
    """Labels, predictions and scores of a calibrated classifier of cats and dogs."""
    likely = 1 / (1 + np.exp(-RNG.normal(0, hardness, rows)))
    labels = np.where(RNG.random(rows) < likely, "dog", "cat")
    predicted = np.where(likely >= 0.5, "dog", "cat")
    return labels, predicted, np.maximum(likely, 1 - likely)


def predictions(labels: Any, predicted: Any, scores: Any) -> Predictions:
    table = pa.table({"label": labels, "prediction": predicted, "score": scores})
    return predictions_of(table, "predictions.csv")


@pytest.mark.parametrize("distort", [lambda score: score, lambda score: score**8, np.log])
@pytest.mark.parametrize("hardness", [4.0, 1.0])
def test_it_is_what_is_found_later(distort: Any, hardness: float) -> None:
    labels, predicted, scores = cases(20_000, 3.0)
    reference = predictions(labels, predicted, distort(scores))
    labels, predicted, scores = cases(20_000, hardness)

    found = estimate_performance(calibrate(reference), predicted.tolist(), distort(scores))

    assert found is not None
    right = labels == predicted
    assert found.accuracy == pytest.approx(right.mean(), abs=0.015)
    precision = np.mean([right[predicted == name].mean() for name in ("cat", "dog")])
    recall = np.mean([right[labels == name].mean() for name in ("cat", "dog")])
    assert found.precision == pytest.approx(precision, abs=0.015)
    assert found.recall == pytest.approx(recall, abs=0.015)
    assert 0.002 < found.error < 0.01


def test_the_calibration_is_that_of_another_library() -> None:
    scores, right = RNG.random(500), (RNG.random(500) < 0.6).astype(float)
    asked = np.linspace(0.01, 0.99, 200)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, right).predict(asked)
    curve = _curve(scores, right, np.ones(500))
    ours = np.interp(asked, curve.scores, curve.shares)
    assert np.abs(ours - expected).mean() < 0.02
    assert (np.diff(ours) >= 0).all()


def test_of_three_classes_the_recall_is_not_told() -> None:
    names = ["a", "b", "c"] * 40
    known = calibrate(predictions(names, names, [0.9] * 120))
    found = estimate_performance(known, names, np.full(120, 0.9))
    assert found is not None
    assert (found.accuracy, found.precision, found.recall) == (1, 1, None)


def test_cases_without_a_score_are_counted() -> None:
    reference = calibrate(predictions(*cases(200, 3.0)))
    found = estimate_performance(reference, ["cat", "dog"], np.array([np.nan, 0.9]))
    assert found is not None
    assert (found.rows, found.missing) == (1, 1)
    assert estimate_performance(reference, ["cat"], np.array([np.nan])) is None
    assert estimate_performance(reference, [], np.array([])) is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"label": ["a"], "prediction": ["a"]}, "no scores of classes"),
        ({"label": [1.5], "prediction": [1.0]}, "no scores of classes"),
        ({"label": ["a"], "prediction": ["a"], "score": [0.5]}, "are of 1 case, at least 30"),
    ],
)
def test_what_calibrates_nothing_is_refused(table: Any, message: str) -> None:
    reference = predictions_of(pa.table(table), "predictions.csv")
    with pytest.raises(UsageError, match=message):
        calibrate(reference)
