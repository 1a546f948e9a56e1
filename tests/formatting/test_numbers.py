from __future__ import annotations

import math

import pytest

from nbci.formatting.numbers import counted, listed, measured, number, rough


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.9722222, "0.972222"),
        (0.97361111, "0.973611"),
        (3.0, "3"),
        (-0.0, "0"),
        (1e-9, "1e-09"),
        (1e20, "1e+20"),
        (math.nan, "NaN"),
        (-math.inf, "-infinity"),
        (-0.5, "-0.5"),
        (1797, "1797"),
    ],
)
def test_numbers(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_difference_has_four_digits() -> None:
    assert rough(0.97 - 0.961234567) == "0.008765"


@pytest.mark.parametrize(("unit", "shown"), [(None, "0.5"), ("ratio", "0.5"), ("s", "0.5 s")])
def test_units(unit: str | None, shown: str) -> None:
    assert measured(0.5, unit) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1000, "1,000 steps")]
)
def test_counts(count: int, shown: str) -> None:
    assert counted(count, "step") == shown


@pytest.mark.parametrize(
    ("names", "shown"), [((), ""), (("a", "b"), "a, b"), (("a", "b", "c", "d"), "a, b and 2 more")]
)
def test_lists(names: tuple[str, ...], shown: str) -> None:
    assert listed(names, 2) == shown
