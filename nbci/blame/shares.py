"""Share a change out over the parts that may have caused it, by Shapley's rule.

A part's share is its gain, averaged over all orders in which the parts can be made new one after
another. It is the only rule by which the shares add up to the whole change, parts that do the same
have the same share, and a part that never changes anything has none:
https://en.wikipedia.org/wiki/Shapley_value
"""

from __future__ import annotations

from itertools import chain, combinations
from math import factorial, fsum
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.blame.subsets import join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.blame.subsets import Measure, Subset

_NONE: Subset = frozenset()


class Sharing(Struct, frozen=True, kw_only=True):
    """How a change is shared out over `units`: parts by number, mostly one each.

    `alone` and `last` are the changes where only this unit is new, and where only this one is old.
    `interactions` is what the units made new one at a time leave of the whole change; `strongest`
    are two units with what they do together beyond each alone, None where there is no such pair.
    """

    units: tuple[Subset, ...]
    shares: tuple[float, ...]
    alone: tuple[float, ...]
    last: tuple[float, ...]
    interactions: float
    strongest: tuple[int, int, float] | None


def share_out(units: Sequence[Subset], measure: Measure) -> Sharing:
    """Share out what making all of the units new changes.

    Units that do not work apart become one. None and all of them together have to work.
    """
    while True:
        subsets = list(_subsets(range(len(units))))
        found = measure([union(units, subset) for subset in subsets])
        values: dict[Subset, float] = {}
        broken = None
        for subset in subsets:
            value = found[union(units, subset)]
            if value is not None:
                values[subset] = value
            elif broken is None:
                broken = subset
        if broken is None:
            return _sharing(units, values)
        units = join(units, broken, measure)


def union(units: Sequence[Subset], chosen: Iterable[int]) -> Subset:
    """The parts of the chosen units."""
    return _NONE.union(*(units[number] for number in chosen))


def _subsets(members: Sequence[int]) -> Iterator[Subset]:
    """All subsets, the smaller ones first."""
    sizes = range(len(members) + 1)
    return map(frozenset, chain.from_iterable(combinations(members, size) for size in sizes))


def _sharing(units: Sequence[Subset], values: Mapping[Subset, float]) -> Sharing:
    numbers = range(len(units))
    everything = frozenset(numbers)
    nothing, whole = values[_NONE], values[everything]
    alone = [values[frozenset((number,))] - nothing for number in numbers]
    return Sharing(
        units=tuple(units),
        shares=tuple(_shapley(number, len(units), values) for number in numbers),
        alone=tuple(alone),
        last=tuple(whole - values[everything - {number}] for number in numbers),
        interactions=fsum((whole, -nothing, *(-change for change in alone))),
        strongest=_strongest(alone, values),
    )


def _shapley(unit: int, count: int, values: Mapping[Subset, float]) -> float:
    others = [number for number in range(count) if number != unit]
    gains = []
    for before in _subsets(others):
        # The share of all orders in which just these come before the unit.
        weight = factorial(len(before)) * factorial(count - len(before) - 1) / factorial(count)
        gains.append(weight * (values[before | {unit}] - values[before]))
    return fsum(gains)


def _strongest(
    alone: Sequence[float], values: Mapping[Subset, float]
) -> tuple[int, int, float] | None:
    strongest = None
    for one, other in combinations(range(len(alone)), 2):
        both = values[frozenset((one, other))] - values[_NONE]
        beyond = fsum((both, -alone[one], -alone[other]))
        if beyond and (strongest is None or abs(beyond) > abs(strongest[2])):
            strongest = one, other, beyond
    return strongest
