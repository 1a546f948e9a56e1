"""The quantiles of a stream of numbers, in memory that grows with the logarithm of their count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

GRID_STEP = 0.01
"""The share of the rows between two quantiles of a profile."""
CAPACITY = 4096
"""Of so many numbers all are kept, and their quantiles are exact."""


class QuantileSketch:
    """Sorted samples, of which those at level n stand for 2**n numbers each.

    Two full samples of a level become one of the next, of every second number. This is the
    compactor of Z. Karnin, K. Lang and E. Liberty, Optimal quantile approximation in streams,
    2016, with one capacity for all levels; the halves are taken in turn and not by lot, so that
    the same data always give the same sketch.
    """

    def __init__(self) -> None:
        self._low: list[Numbers] = []
        self._low_count = 0
        self._levels: dict[int, Numbers] = {}
        self._turn = 0

    def add(self, values: Numbers) -> None:
        """Take numbers in, which are finite."""
        import numpy as np

        start = 0
        # In blocks of CAPACITY * 2**n, so that each number that is kept stands for 2**n of them.
        while len(values) - start >= CAPACITY:
            level = ((len(values) - start) // CAPACITY).bit_length() - 1
            step = 1 << level
            block = np.sort(values[start : start + CAPACITY * step])
            # A copy: a view would keep the whole block.
            self._push(block[step // 2 :: step].copy(), level)
            start += CAPACITY * step
        rest = values[start:]
        if len(rest):
            self._low.append(rest.copy())
            self._low_count += len(rest)
        if self._low_count >= CAPACITY:
            self._empty_low()

    def merge(self, other: QuantileSketch) -> None:
        """Take in what another sketch has seen."""
        for level, sample in other._levels.items():
            self._push(sample, level)
        for values in other._low:
            self.add(values)

    def quantiles(self, shares: Numbers) -> Numbers:
        """The numbers below which the shares (0 to 1) lie, interpolated between neighbours.

        There must be a number. Of at most `CAPACITY` numbers they are those of `numpy.quantile`.
        """
        import numpy as np

        parts = [*self._low]
        weights = [np.ones(self._low_count)]
        for level, sample in self._levels.items():
            parts.append(sample)
            weights.append(np.full(len(sample), float(1 << level)))
        values = np.concatenate(parts)
        order = np.argsort(values, kind="stable")
        heavy = np.concatenate(weights)[order]
        # Each stands in the middle of the ranks that it stands for.
        ranks = np.cumsum(heavy) - (heavy + 1) / 2
        total = heavy.sum()
        found: Numbers = np.interp(shares * (total - 1), ranks, values[order])
        return found

    def _empty_low(self) -> None:
        import numpy as np

        values = np.concatenate(self._low)
        self._low, self._low_count = [], 0
        self.add(values)

    def _push(self, sample: Numbers, level: int) -> None:
        import numpy as np

        while (present := self._levels.pop(level, None)) is not None:
            both: Any = np.concatenate([present, sample])
            both.sort(kind="stable")
            sample = both[self._turn :: 2].copy()
            self._turn = 1 - self._turn
            level += 1
        self._levels[level] = sample


def rank_error(count: int) -> float:
    """How far the share below a quantile is off at most, of a sketch of so many numbers.

    It is no proven bound: of three million numbers, tests find a third of it.
    """
    if count <= CAPACITY:
        return 0.0
    return 2 / CAPACITY
