"""Subsets of the parts that differ: which are enough for a change, and which only work together.

What is enough is found by delta debugging, `ddmin` of Zeller and Hildebrandt, "Simplifying and
Isolating Failure-Inducing Input" (2002), https://doi.org/10.1109/32.988498.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Subset = frozenset[int]
"""Parts by number: these are new, all others old."""

Measure = Callable[[Sequence[Subset]], Mapping[Subset, float | None]]
"""Gives the metric for each subset; None for one that does not work."""


def join(units: Sequence[Subset], broken: Subset, measure: Measure) -> list[Subset]:
    """The units, with those joined that only work together.

    `broken` are numbers of units that do not work without some of the others, which none and all of
    them do. Takes as many measurements as there are units, at most.
    """

    def works(numbers: Subset) -> bool:
        parts: Subset = frozenset()
        for number in numbers:
            parts |= units[number]
        return measure([parts])[parts] is not None

    # What has to be new, too, and of the new ones those that ask for it: nothing that can be left
    # out stays in either.
    missing = frozenset(range(len(units))) - broken
    for number in sorted(missing):
        if works(broken | missing - {number}):
            missing -= {number}
    asking = broken
    for number in sorted(broken):
        if not works(asking - {number}):
            asking -= {number}

    together = asking | missing
    first = min(together)
    joined = []
    for number, unit in enumerate(units):
        if number == first:
            parts: Subset = frozenset()
            joined.append(parts.union(*(units[each] for each in together)))
        elif number not in together:
            joined.append(unit)
    return joined


def smallest_sufficient(
    parts: Sequence[int], suffices: Callable[[Sequence[int]], bool]
) -> list[int]:
    """Parts that suffice, and do not where any one of them is left out; all of them have to.

    >>> smallest_sufficient(range(10), lambda parts: {2, 7} <= set(parts))
    [2, 7]
    """
    found, pieces = list(parts), 2
    while len(found) > 1:
        smaller = next(filter(suffices, _candidates(found, pieces)), None)
        if smaller is not None:
            # What is left of a complement is in one piece less, a piece is cut in two anew.
            pieces = max(pieces - 1, 2) if len(smaller) * 2 > len(found) else 2
            found = smaller
        elif pieces >= len(found):
            break
        else:
            pieces = min(pieces * 2, len(found))
    return found


def _candidates(parts: Sequence[int], pieces: int) -> Iterator[list[int]]:
    """Each piece, then each complement of one."""
    bounds = [len(parts) * number // pieces for number in range(pieces + 1)]
    spans = list(pairwise(bounds))
    for start, end in spans:
        yield list(parts[start:end])
    # The complements of two halves are the halves.
    if pieces > 2:
        for start, end in spans:
            yield [*parts[:start], *parts[end:]]
