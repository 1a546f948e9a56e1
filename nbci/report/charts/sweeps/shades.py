"""How good a value is among all, as one of few shades: from the worst to the best."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from nbci.formatting.numbers import number
from nbci.report.charts.palette import LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.pipeline.search_space import Direction


class Shades:
    """The shades of an objective's values: each has about as many of them."""

    def __init__(self, values: Iterable[float], direction: Direction) -> None:
        self._sign = 1.0 if direction == "maximize" else -1.0
        # By rank: a few values far off would leave all others one shade.
        self._ordered = sorted(self._sign * value for value in values)

    def rank(self, value: float) -> float:
        """The share of the values that it is better than; equal ones count half."""
        if not self._ordered:
            return 1.0
        place = self._sign * value
        below = bisect_left(self._ordered, place)
        equal = bisect_right(self._ordered, place) - below
        if equal == len(self._ordered):
            return 1.0
        return (below + equal / 2) / len(self._ordered)

    def level(self, value: float) -> int:
        """The number of the shade, from 0."""
        return level_of(self.rank(value))

    @property
    def ends(self) -> tuple[str, str]:
        """The worst and the best value, as a legend says them."""
        if not self._ordered:
            return "", ""
        worst, best = self._sign * self._ordered[0], self._sign * self._ordered[-1]
        return f"worst {number(worst)}", f"best {number(best)}"


def level_of(rank: float) -> int:
    """The number of a rank's shade."""
    return min(int(rank * len(LEVELS)), len(LEVELS) - 1)
