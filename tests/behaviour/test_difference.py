"""What is said of two models' behaviour, against scikit-learn and counts by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, mean_absolute_error

from nbci.behaviour.difference import differ
from nbci.behaviour.paired import Outcomes
from tests.behaviour.tables import pair_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nbci.behaviour.difference import Difference
    from tests.behaviour.tables import Columns

_RANDOM = np.random.default_rng(7)
_LABELS = _RANDOM.choice(["a", "b", "c"], 500)


def _mostly_right(share: float) -> NDArray[np.str_]:
    guesses = _RANDOM.choice(["a", "b", "c"], len(_LABELS))
    return np.where(_RANDOM.uniform(size=len(_LABELS)) < share, _LABELS, guesses)


def _classification(**more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    cases = {"id": np.arange(len(_LABELS)), "label": _LABELS, **more}
    return (
        {**cases, "prediction": _mostly_right(0.6)},
        {**cases, "prediction": _mostly_right(0.8)},
    )


def _differ(run: Columns, baseline: Columns) -> Difference:
    return differ(pair_of(run, baseline))


def test_metrics_and_confusion_agree_with_scikit_learn() -> None:
    run, baseline = _classification()

    found = _differ(run, baseline)

    accuracy = found.metrics[0]
    assert accuracy.run == pytest.approx(accuracy_score(_LABELS, run["prediction"]))
    assert accuracy.baseline == pytest.approx(accuracy_score(_LABELS, baseline["prediction"]))
    assert accuracy.change == pytest.approx(accuracy.run - accuracy.baseline)
    assert accuracy.change_interval.low < accuracy.change < accuracy.change_interval.high
    assert accuracy.p_value < 0.001
    assert found.confusion is not None
    expected = confusion_matrix(_LABELS, run["prediction"])
    assert found.confusion.run == tuple(map(tuple, expected.tolist()))


def test_weights_count_in_metrics() -> None:
    weights = _RANDOM.uniform(size=len(_LABELS))
    run, baseline = _classification(weight=weights)

    found = _differ(run, baseline)

    expected = accuracy_score(_LABELS, run["prediction"], sample_weight=weights)
    assert found.metrics[0].run == pytest.approx(expected)


def test_outcomes_are_counted() -> None:
    cases = {"id": [1, 2, 3, 4, 5], "label": list("aabbb")}
    run = {**cases, "prediction": list("abbaa")}
    baseline = {**cases, "prediction": list("aaaab")}

    found = _differ(run, baseline)

    assert found.outcomes == Outcomes(both_right=1, fixed=1, broken=2, both_wrong=1)
    assert found.negative_flip_rate == pytest.approx(0.4)


def test_broken_cases_are_shown_by_confidence() -> None:
    cases = {"id": ["p", "q", "r"], "label": list("aab"), "show": ["P", "Q", "R"]}
    run = {**cases, "prediction": list("bbb"), "score": [0.6, 0.9, 0.9]}
    baseline = {**cases, "prediction": list("aab"), "score": [0.5, 0.5, 0.5]}

    examples = _differ(run, baseline).examples

    assert [example.id for example in examples] == ["q", "p"]
    assert examples[0].show == "Q"
    assert examples[0].row == 2
    assert (examples[0].label, examples[0].prediction, examples[0].before) == ("a", "b", "a")


def test_a_slice_that_lost_comes_first() -> None:
    country = np.where(np.arange(500) % 5 == 0, "fr", "de")
    run, baseline = _classification(country=country)
    run["prediction"] = np.where(country == "fr", "none", baseline["prediction"])

    first = _differ(run, baseline).slices.changes[0]

    assert (first.columns, first.values, first.cases) == (("country",), ("fr",), 100)
    assert first.run == 0
    assert first.broken == round(first.baseline * 100)
    assert first.corrected < 1e-10


def test_numbers_are_sliced_in_bins_and_missing_ones_are_a_slice() -> None:
    age = np.arange(500.0)
    age[:60] = np.nan
    run, baseline = _classification(age=age)

    slices = _differ(run, baseline).slices.changes

    values = sorted(change.values[0] for change in slices)
    assert len(values) == 6
    assert "(none)" in values
    assert sum(change.cases for change in slices) == 500
    assert "60 … 147" in values


def test_pairs_that_are_a_single_slice_again_are_left_out() -> None:
    country = np.where(np.arange(500) % 5 == 0, "fr", "de")
    language = np.where(country == "fr", "French", "German")
    run, baseline = _classification(country=country, language=language)

    slices = _differ(run, baseline).slices.changes

    assert {change.columns for change in slices} == {("country",), ("language",)}


def test_pairs_of_columns_are_slices() -> None:
    run, baseline = _classification(
        country=np.where(np.arange(500) % 2 == 0, "fr", "de"),
        sex=np.where(np.arange(500) % 3 == 0, "f", "m"),
    )

    slices = _differ(run, baseline).slices.changes

    pairs = {change.values: change.cases for change in slices if len(change.columns) == 2}
    assert pairs == {("fr", "f"): 84, ("fr", "m"): 166, ("de", "f"): 83, ("de", "m"): 167}


def test_a_column_without_large_values_is_said() -> None:
    run, baseline = _classification(name=[f"n{number}" for number in range(500)])

    found = _differ(run, baseline)

    assert not found.slices.compared
    assert "no value of name has 50 cases" in found.notes


def test_calibration_is_the_gap_between_confidence_and_accuracy() -> None:
    cases = {"id": range(10), "label": ["a"] * 10, "score": [0.8] * 10}
    run = {**cases, "prediction": ["a"] * 6 + ["b"] * 4}
    baseline = {**cases, "prediction": ["a"] * 8 + ["b"] * 2}

    found = _differ(run, baseline).calibration

    assert found is not None
    assert found.run == pytest.approx(0.2)
    assert found.baseline == pytest.approx(0.0)


def test_scores_that_are_no_probabilities_are_said() -> None:
    run = {"id": [1], "label": ["a"], "prediction": ["a"], "score": [3.5]}

    found = _differ(run, run)

    assert found.calibration is None
    assert any("not from 0 to 1" in note for note in found.notes)


def test_a_regression_compares_errors() -> None:
    truth = _RANDOM.normal(size=400)
    cases = {"id": np.arange(400), "label": truth}
    run = {**cases, "prediction": truth + _RANDOM.normal(0, 1.0, 400)}
    baseline = {**cases, "prediction": truth + _RANDOM.normal(0, 0.5, 400)}

    found = _differ(run, baseline)

    error = found.metrics[0]
    assert error.name == "mean_absolute_error"
    assert error.run == pytest.approx(mean_absolute_error(truth, run["prediction"]))
    assert 0 < error.change_interval.low < error.change < error.change_interval.high
    assert found.outcomes is None
    assert [quantile.share for quantile in found.quantiles] == [0.05, 0.25, 0.5, 0.75, 0.95]
    worst = np.argmax(np.abs(run["prediction"] - truth) - np.abs(baseline["prediction"] - truth))
    assert found.examples[0].id == str(worst)


def test_equal_models_differ_in_nothing() -> None:
    run, _ = _classification()

    found = _differ(run, run)

    assert found.metrics[0].change == 0
    assert found.metrics[0].p_value == 1
    assert not found.examples


def test_one_class_only_is_compared() -> None:
    run = {"id": [1, 2], "label": ["a", "a"], "prediction": ["a", "a"]}

    found = _differ(run, run)

    assert found.outcomes == Outcomes(both_right=2, fixed=0, broken=0, both_wrong=0)
