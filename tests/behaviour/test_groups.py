"""Columns of all types, sorted into groups."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from nbci.behaviour.groups import groups_of

_COUNT = 100


@pytest.mark.parametrize(
    ("column", "first", "groups"),
    [
        (pa.array(["a", "b"] * 50), "a", 2),
        (pa.array([True, None] * 50), "True", 2),
        (pa.array([place % 3 for place in range(_COUNT)]), "0", 3),
        (pa.array(range(_COUNT)), "0 … 19", 5),
        (pa.array([Decimal(place) / 4 for place in range(_COUNT)]), "0 … 4.75", 5),
        # As a float each of them is 2 to the power of 63.
        (
            pa.array([2**63 + place for place in range(_COUNT)], pa.uint64()),
            "9.22337e+18 … 9.22337e+18",
            1,
        ),
        (
            pa.array([date(2026, 1, 1) + timedelta(days=place) for place in range(_COUNT)]),
            "2026-01-01 … 2026-01-20",
            5,
        ),
        (pa.nulls(_COUNT), "(none)", 1),
        (
            pa.array([(place % 2, 1, 1) for place in range(_COUNT)], pa.month_day_nano_interval()),
            "MonthDayNano(months=0, days=1, nanoseconds=1)",
            2,
        ),
    ],
)
def test_values_are_groups_and_many_numbers_are_bins(
    column: pa.Array, first: str, groups: int
) -> None:
    notes: list[str] = []

    (found,) = groups_of({"column": column}, 10, notes)

    assert found.values[0] == (first,)
    assert len(found.values) == groups
    assert found.counts.sum() == _COUNT
    assert not notes
