"""How good answers are, beside what scikit-learn makes of the same answers and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import precision_recall_fscore_support

from nbci.behaviour.estimated_performance import calibrate
from nbci.behaviour.predictions import predictions_of
from nbci.monitoring.performance import Performance

if TYPE_CHECKING:
    from nbci.records.profile import Calibration

METRICS = ("precision", "recall", "f1")


def cases(rows: int, hardness: float, seed: int) -> tuple[Any, Any, Any]:
    """Labels, answers and scores of a calibrated classifier: 0 or 1, three of ten are 1."""
    rng = np.random.default_rng(seed)
    likely = 1 / (1 + np.exp(-rng.normal(-0.8, hardness, rows)))
    labels = (rng.random(rows) < likely).astype(int)
    return labels, (likely >= 0.5).astype(int), np.maximum(likely, 1 - likely)


def logged(labels: Any, answers: Any, scores: Any = None) -> pa.RecordBatch:
    columns = {"answer.label": pa.array(answers), "label": pa.array(labels)}
    if scores is not None:
        columns["answer.score"] = pa.array(scores)
    return pa.record_batch(columns)


def expected(labels: Any, answers: Any, **asked: Any) -> Any:
    found = precision_recall_fscore_support(labels, answers, zero_division=0.0, **asked)
    return pytest.approx(found[:3])


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    labels, answers, scores = cases(20_000, 2.0, seed=1)
    table = pa.table({"label": labels, "prediction": answers, "score": scores})
    return calibrate(predictions_of(table, "predictions.csv"))


def test_of_two_classes_it_is_what_is_found_later(calibration: Calibration) -> None:
    labels, answers, scores = cases(20_000, 1.0, seed=2)
    performance = Performance(calibration)
    # In batches of other sizes, and without the labels.
    for part in np.split(np.arange(len(labels)), [1, 700, 12_000]):
        unknown = pa.nulls(len(part), pa.int64())
        performance.add(logged(unknown, answers[part], scores[part]))
    found = performance.metrics()
    assert "accuracy" not in found
    of_one = precision_recall_fscore_support(labels, answers, average="binary")
    of_all = precision_recall_fscore_support(labels, answers, average="macro")
    for place, name in enumerate(METRICS):
        assert found[f"estimated_{name}"] == pytest.approx(of_one[place], abs=0.02)
        assert found[f"estimated_macro_{name}"] == pytest.approx(of_all[place], abs=0.02)


@pytest.mark.parametrize("answer", [0, 1, None])
def test_of_labels_it_is_what_scikit_learn_says(
    calibration: Calibration, answer: int | None
) -> None:
    labels, answers, _ = cases(300, 1.0, seed=3)
    if answer is not None:
        answers = np.full(300, answer)
    performance = Performance(calibration)
    performance.add(logged(labels, answers))
    found = performance.metrics()
    assert [found[name] for name in METRICS] == expected(labels, answers, average="binary")
    macro = [found[f"macro_{name}"] for name in METRICS]
    assert macro == expected(labels, answers, average="macro")


def test_of_three_classes_there_are_means_only() -> None:
    rng = np.random.default_rng(4)
    labels, answers = rng.integers(0, 3, (2, 300))
    table = pa.table({"label": labels, "prediction": labels, "score": np.full(300, 0.9)})
    performance = Performance(calibrate(predictions_of(table, "predictions.csv")))
    performance.add(logged(labels, answers, np.full(300, 0.9)))
    found = performance.metrics()
    macro = [found[f"macro_{name}"] for name in METRICS]
    assert macro == expected(labels, answers, average="macro")
    assert found["estimated_macro_precision"] == 1.0
    assert not {"precision", "estimated_recall", "estimated_macro_recall"} & set(found)


def test_a_label_of_a_third_class_leaves_none_for_one_alone(calibration: Calibration) -> None:
    performance = Performance(calibration)
    performance.add(logged([0, 1, 2], [0, 1, 1]))
    found = performance.metrics()
    assert "precision" not in found
    assert found["macro_precision"] == pytest.approx((1 + 0.5 + 0) / 3)
