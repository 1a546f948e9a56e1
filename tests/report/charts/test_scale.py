"""Where values stand along an axis."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.formatting.numbers import MINUS
from nbci.pipeline.search_space import Choices, Range
from nbci.report.charts.scale import (
    CategoryScale,
    numbers_of,
    scale_of,
    scale_of_objective,
    tick_text,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def texts(*values: float, is_log: bool = False, is_whole: bool = False) -> list[str]:
    return [tick.text for tick in numbers_of(values, is_log=is_log, is_whole=is_whole).ticks]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0, 1.0), ["0", "0.5", "1"]),
        ((0.0, 24.0), ["0", "10", "20"]),
        ((0.9821, 0.9824), ["0.9821", "0.9822", "0.9823", "0.9824"]),
        ((-1e300, 1e300), [f"{MINUS}1e300", f"{MINUS}5e299", "0", "5e299", "1e300"]),
        ((1e-300, 3e-300), ["1e-300", "2e-300", "3e-300"]),
    ],
)
def test_ticks_are_round_numbers(values: tuple[float, ...], expected: list[str]) -> None:
    assert texts(*values) == [text.replace("-", MINUS) for text in expected]


def test_ticks_of_whole_numbers_are_whole() -> None:
    assert texts(0, 2, is_whole=True) == ["0", "1", "2"]
    assert texts(3, 3, is_whole=True) == ["3"]


def test_ticks_of_orders_of_magnitude_are_powers_of_ten() -> None:
    assert texts(0.01, 1000, is_log=True) == ["0.01", "0.1", "1", "10", "100", "1000"]
    assert texts(2, 30, is_log=True) == ["2", "5", "10", "20"]
    assert len(texts(1e-300, 1e300, is_log=True)) <= 7


@given(st.lists(FINITE, min_size=1), st.booleans())
def test_every_value_has_a_place_between_the_ends(values: list[float], is_log: bool) -> None:
    scale = numbers_of(values, is_log=is_log)
    for value in values:
        share = scale.share(value)
        if is_log and value <= 0:
            assert share is None
        else:
            assert share is not None
            assert -1e-9 <= share <= 1 + 1e-9
    ticks = scale.ticks
    assert len(ticks) <= 12
    assert all(math.isfinite(tick.share) for tick in ticks)


@given(st.lists(FINITE, min_size=2, max_size=9))
def test_the_better_end_of_an_objective_is_never_cut_off(values: list[float]) -> None:
    best = scale_of_objective(values, "maximize").share(max(values))
    assert best is not None
    assert best <= 1 + 1e-9


def test_a_metric_over_many_orders_of_magnitude_stands_on_a_logarithmic_axis() -> None:
    assert scale_of_objective([1e-6, 1.0], "minimize").is_log
    assert not scale_of_objective([0.5, 1.0], "minimize").is_log
    assert not scale_of_objective([-1.0, 1e6], "minimize").is_log


def test_categories_stand_in_columns_and_numbers_among_them_in_order() -> None:
    scale = scale_of(Choices(name="n", values=(10, 1, 3)), [])
    assert [tick.text for tick in scale.ticks] == ["1", "3", "10"]
    assert scale.share(3) == 0.5
    mixed = CategoryScale([True, 1, 1.0, None, "a"])
    assert len({mixed.share(value) for value in (True, 1, 1.0, None, "a")}) == 5
    assert mixed.share("b") is None


def test_a_parameter_has_room_for_values_outside_of_what_is_searched() -> None:
    scale = scale_of(Range(name="x", low=0.0, high=1.0), [4.0])
    share = scale.share(4.0)
    assert share is not None
    assert share < 1
    assert scale_of(Choices(name="k", values=("a",)), ["b"]).share("b") == 0.75


def test_numbers_are_written_without_what_a_computer_adds() -> None:
    assert tick_text(20.0, 1) == "20"
    assert tick_text(0.0001, 2) == "0.0001"
    assert tick_text(-2.50e-12, 3) == f"{MINUS}2.5e{MINUS}12"
