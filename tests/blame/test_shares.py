"""Shares of a change add up, and are what Shapley's rule says."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.blame.shares import share_out
from nbci.blame.subsets import join, smallest_sufficient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.blame.subsets import Measure, Subset


def measuring(value: Callable[[Subset], float | None]) -> Measure:
    def measure(subsets: Sequence[Subset]) -> dict[Subset, float | None]:
        return {subset: value(subset) for subset in subsets}

    return measure


def apart(count: int) -> list[Subset]:
    return [frozenset((part,)) for part in range(count)]


@given(st.integers(1, 5), st.integers(0, 10**6))
def test_shares_are_the_mean_gain_over_all_orders(count: int, seed: int) -> None:
    numbers = random.Random(seed)
    table: dict[Subset, float] = {}

    def value(subset: Subset) -> float:
        return table.setdefault(subset, numbers.uniform(-1, 1))

    sharing = share_out(apart(count), measuring(value))

    gains: list[list[float]] = [[] for _ in range(count)]
    for order in itertools.permutations(range(count)):
        for place, part in enumerate(order):
            before = frozenset(order[:place])
            gains[part].append(value(before | {part}) - value(before))
    for share, gained in zip(sharing.shares, gains, strict=True):
        assert share == pytest.approx(math.fsum(gained) / len(gained), abs=1e-12)
    whole = value(frozenset(range(count))) - value(frozenset())
    assert math.fsum(sharing.shares) == pytest.approx(whole, abs=1e-12)
    assert sharing.interactions == pytest.approx(whole - math.fsum(sharing.alone), abs=1e-12)


def test_a_part_that_changes_nothing_has_exactly_nothing() -> None:
    sharing = share_out(apart(3), measuring(lambda new: 0.1 + 0.7 * (0 in new) + 0.3 * (1 in new)))

    assert sharing.shares[2] == 0.0
    assert sharing.alone[2] == 0.0
    assert sharing.last[2] == 0.0


def test_what_two_do_together_is_named() -> None:
    sharing = share_out(apart(3), measuring(lambda new: float({0, 2} <= new) + float(1 in new)))

    assert sharing.shares == (0.5, 1.0, 0.5)
    assert sharing.interactions == 1.0
    assert sharing.strongest == (0, 2, 1.0)


def test_parts_that_only_work_together_are_joined() -> None:
    def value(new: Subset) -> float | None:
        # Part 3 needs part 1, and the other way round.
        if (1 in new) != (3 in new):
            return None
        return float(len(new))

    sharing = share_out(apart(4), measuring(value))

    assert sharing.units == (frozenset((0,)), frozenset((1, 3)), frozenset((2,)))
    assert sharing.shares == (1.0, 2.0, 1.0)


@given(st.integers(2, 6), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=5))
def test_whatever_asks_for_whatever_ends_in_units_that_work(
    count: int, needs: set[tuple[int, int]]
) -> None:
    rules = [(one % count, other % count) for one, other in needs]
    calls = 0

    def value(new: Subset) -> float | None:
        nonlocal calls
        calls += 1
        if any(one in new and other not in new for one, other in rules):
            return None
        return float(sum(new))

    sharing = share_out(apart(count), measuring(value))

    assert frozenset().union(*sharing.units) == frozenset(range(count))
    assert sum(map(len, sharing.units)) == count
    assert math.fsum(sharing.shares) == pytest.approx(sum(range(count)))
    assert calls <= count * (2**count + 2 * count)


def test_only_those_that_ask_for_each_other_are_joined() -> None:
    units = apart(6)
    broken = frozenset((0, 2, 4))

    def value(new: Subset) -> float | None:
        return None if 4 in new and 5 not in new else 0.0

    joined = join(units, broken, measuring(value))

    assert joined == [frozenset((part,)) for part in range(4)] + [frozenset((4, 5))]


@given(st.integers(1, 40), st.data())
def test_the_smallest_that_suffice_are_found(count: int, data: st.DataObject) -> None:
    needed = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=4))
    asked = 0

    def suffices(parts: Sequence[int]) -> bool:
        nonlocal asked
        asked += 1
        return needed <= set(parts)

    assert smallest_sufficient(range(count), suffices) == sorted(needed)
    assert asked <= count * count + 3 * count


@given(st.lists(st.integers(-5, 9), min_size=1, max_size=12))
def test_none_of_those_that_are_found_can_be_left_out(weights: list[int]) -> None:
    target = sum(weights)

    def suffices(parts: Sequence[int]) -> bool:
        return abs(sum(weights[part] for part in parts) - target) <= abs(target) / 10

    found = smallest_sufficient(range(len(weights)), suffices)

    assert suffices(found)
    if len(found) > 1:
        assert not any(suffices([each for each in found if each != part]) for part in found)
