"""Bringing two files together, case by case, or refusing to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from tests.behaviour.tables import pair_of

if TYPE_CHECKING:
    from tests.behaviour.tables import Columns


def test_cases_are_matched_by_id_in_any_order() -> None:
    run = {"id": ["a", "b", "c"], "label": ["x", "y", "x"], "prediction": ["x", "x", "y"]}
    baseline = {"id": ["c", "b", "a"], "label": ["x", "y", "x"], "prediction": ["x", "y", "y"]}

    found = pair_of(run, baseline)

    assert found.run.predictions.tolist() == [0, 0, 1]
    assert found.baseline.predictions.tolist() == [1, 1, 0]
    assert not found.notes


def test_only_shared_cases_are_compared_and_the_others_counted() -> None:
    run = {"id": [1, 2, 3], "label": [0, 0, 1], "prediction": [0, 1, 1]}
    baseline = {"id": [3, 4], "label": [1, 0], "prediction": [0, 0]}

    found = pair_of(run, baseline)

    assert len(found) == 1
    assert found.rows.tolist() == [2]
    assert found.notes == (
        "2 cases that only the run has: not compared",
        "1 case that only the baseline has: not compared",
    )


def test_cases_without_ids_are_matched_by_their_rows() -> None:
    run = {"label": [0.5, 1.5], "prediction": [0.5, 1.0]}

    assert len(pair_of(run, run)) == 2


def test_classes_of_both_are_one_list() -> None:
    run = {"id": [1, 2], "label": ["cat", "dog"], "prediction": ["cat", "fox"]}
    baseline = {"id": [1, 2], "label": ["cat", "dog"], "prediction": ["ape", "dog"]}

    found = pair_of(run, baseline)

    assert found.run.classes == found.baseline.classes == ("ape", "cat", "dog", "fox")
    assert found.run.predictions.tolist() == [1, 3]
    assert found.baseline.predictions.tolist() == [0, 2]
    assert found.notes == (
        "classes that the baseline does not know: fox",
        "classes that the run does not know: ape",
    )


def test_todays_label_counts_where_a_case_had_another() -> None:
    run = {"id": [1, 2], "label": ["x", "y"], "prediction": ["x", "y"]}
    baseline = {"id": [1, 2], "label": ["y", "y"], "prediction": ["x", "y"]}

    found = pair_of(run, baseline)

    assert found.baseline.labels.tolist() == [0, 1]
    assert found.notes == ("1 case had another label then: today's label counts",)


@pytest.mark.parametrize(
    ("run", "baseline", "message"),
    [
        (
            {"label": ["a"], "prediction": ["a"]},
            {"label": [0.5], "prediction": [0.5]},
            "a classification, old.csv a regression",
        ),
        (
            {"id": [1], "label": ["a"], "prediction": ["a"]},
            {"id": [2], "label": ["a"], "prediction": ["a"]},
            "have no case in common",
        ),
        (
            {"id": [1], "label": ["a"], "prediction": ["a"]},
            {"label": ["a"], "prediction": ["a"]},
            "new.csv has ids and old.csv has none",
        ),
        (
            {"label": ["a"], "prediction": ["a"]},
            {"id": [1], "label": ["a"], "prediction": ["a"]},
            "old.csv has ids and new.csv has none",
        ),
        (
            {"label": ["a", "a"], "prediction": ["a", "a"]},
            {"label": ["a"], "prediction": ["a"]},
            "neither has ids",
        ),
        (
            {"label": ["a", "b"], "prediction": ["a", "a"]},
            {"label": ["b", "b"], "prediction": ["a", "a"]},
            "have other labels in 1 row, and no ids",
        ),
    ],
)
def test_what_cannot_be_matched_is_refused(run: Columns, baseline: Columns, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pair_of(run, baseline)
