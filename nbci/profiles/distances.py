"""How far two distributions are apart, and how far that may be chance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from nbci.records.profile import ColumnProfile

    Numbers = NDArray[np.float64]

LEAST_SHARE = 1e-4
"""A bin without rows counts as this: a logarithm of nothing has no value."""
_LEAST_EXPECTED = 5.0
_MOST_BINS = 10
_ROWS_OF_BIN = 10
_VISIBLE = 0.01
_POINTS = 201


def stability_index(reference: Numbers, window: Numbers, rows: int) -> float:
    """The population stability index of two tables of shares, each of which sums to 1.

    `rows` is the number of rows of the smaller side. A share is at least half a row and at least
    `LEAST_SHARE`: otherwise one empty bin of a small window would be more than all others.
    """
    import numpy as np

    least = max(LEAST_SHARE, 0.5 / max(rows, 1))
    before = np.maximum(reference, least)
    now = np.maximum(window, least)
    return float(np.sum((now - before) * np.log(now / before)))


def jensen_shannon(reference: Numbers, window: Numbers) -> float:
    """The Jensen-Shannon distance to the base of 2: 0 for equal shares, 1 for disjoint ones."""
    import numpy as np
    from scipy.special import rel_entr

    # Unlike the relative entropy, each side is compared with something that is nowhere 0.
    middle = (reference + window) / 2
    divergence = np.sum(rel_entr(reference, middle) + rel_entr(window, middle)) / 2
    return math.sqrt(min(1.0, max(0.0, float(divergence) / math.log(2))))


def chi2_p_value(reference: Numbers, window: Numbers) -> float:
    """The p-value of the chi-squared test of homogeneity, of two tables of counts.

    Values of which fewer than 5 rows are expected on a side are put together.
    """
    import numpy as np
    from scipy.special import chdtrc

    table = np.stack([reference, window])
    sides = table.sum(axis=1)
    if not sides.all():
        return 1.0
    least = table.sum(axis=0) * sides.min() / sides.sum()
    # The test's distribution is none for a handful of rows.
    rare = least < _LEAST_EXPECTED
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    totals = table.sum(axis=0)
    table, totals = table[:, totals > 0], totals[totals > 0]
    if len(totals) < 2:
        return 1.0
    expected = np.outer(sides, totals) / sides.sum()
    statistic = float(np.sum((table - expected) ** 2 / expected))
    return float(chdtrc(len(totals) - 1, statistic))


def ks_p_value(statistic: float, rows: int, others: int) -> float:
    """The p-value of a two-sample Kolmogorov-Smirnov statistic, from its limiting distribution.

    With the correction for few rows of M. Stephens, Use of the Kolmogorov-Smirnov statistics
    without extensive tables, 1970.
    """
    from scipy.special import kolmogorov

    root = math.sqrt(rows * others / (rows + others))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * statistic))


class Distribution:
    """The distribution function of a column of numbers, as far as its profile tells it.

    At `places`, in order, it goes up from `left` to `right`; between them it is a straight line.
    Of counts it is exact; of quantiles, the place of what lies between two of them is unknown.
    """

    def __init__(self, column: ColumnProfile, *, has_tails: bool = True) -> None:
        """`column` has numbers, and at least one.

        Without tails, the outermost steps of the grid are at the quantiles next to them. A single
        number that is out of all proportion would else stretch its hundredth of the rows.
        """
        self.rows = column.values
        self.is_exact = bool(column.counts) and not column.others
        if self.is_exact:
            self._read_counts(column)
        else:
            self._read_quantiles(column, has_tails=has_tails)

    def _read_counts(self, column: ColumnProfile) -> None:
        import numpy as np

        counted = sorted((float(value), count) for value, count in (column.counts or {}).items())
        places, counts = np.array(counted).T
        sums = np.cumsum(counts)
        self.places: Numbers = places
        self.right: Numbers = sums / sums[-1]
        self.left: Numbers = np.concatenate([[0.0], self.right[:-1]])

    def _read_quantiles(self, column: ColumnProfile, *, has_tails: bool) -> None:
        import numpy as np

        quantiles = np.array(column.quantiles)
        if not has_tails and len(quantiles) > 2:
            quantiles[0], quantiles[-1] = quantiles[1], quantiles[-2]
        last = len(quantiles) - 1
        self.places, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
        # Of equal quantiles, each end lies somewhere within a step of the grid: half of it is off.
        reach = np.where(counts > 1, 0.5, 0.0)
        self.left = np.maximum(first - reach, 0.0) / last
        self.right = np.minimum(first + counts - 1 + reach, float(last)) / last
        self.left[0], self.right[-1] = 0.0, 1.0

    @property
    def is_discrete(self) -> bool:
        """Whether it is known to have few values, with enough rows for most of them."""
        return self.is_exact and len(self.places) * _LEAST_EXPECTED <= self.rows

    def up_to(self, values: Numbers) -> Numbers:
        """The share of the rows that are at most the values."""
        return self._at(values, self.right)

    def below(self, values: Numbers) -> Numbers:
        """The share of the rows that are less than the values."""
        return self._at(values, self.left)

    def quantile(self, shares: Numbers) -> Numbers:
        """The smallest values that so many rows are at most."""
        import numpy as np

        heights = np.stack([self.left, self.right], axis=1).ravel()
        return np.interp(shares, heights, np.repeat(self.places, 2))

    def _at(self, values: Numbers, heights: Numbers) -> Numbers:
        import numpy as np

        before = np.searchsorted(self.places, values, side="right") - 1
        within = np.clip(before, 0, len(self.places) - 1)
        after = np.minimum(within + 1, len(self.places) - 1)
        width = self.places[after] - self.places[within]
        # How far between the two places the value is.
        way = np.divide(
            values - self.places[within], width, out=np.zeros_like(values), where=width > 0
        )
        found = self.right[within] + way * (self.left[after] - self.right[within])
        exactly = self.places[within] == values
        found = np.where(exactly, heights[within], found)
        found = np.where(before < 0, 0.0, found)
        return np.where(values > self.places[-1], 1.0, found)


def bins_of(distribution: Distribution, rows: int) -> Numbers:
    """The edges of bins with about the same share each, for `shares_of`.

    There are ten of them, or fewer if the smaller side has fewer than a hundred `rows`. A value
    that has a visible share of its own becomes a bin: its edge is there twice.
    """
    import numpy as np

    number = min(_MOST_BINS, max(2, rows // _ROWS_OF_BIN))
    places = distribution.places
    if not distribution.is_discrete or len(places) > 2 * number:
        places = np.unique(distribution.quantile(np.linspace(0, 1, number + 1)[1:-1]))
    steps = distribution.up_to(places) - distribution.below(places)
    is_bin = (steps > _VISIBLE) & (steps * distribution.rows >= _LEAST_EXPECTED)
    is_bin |= len(distribution.places) == 1
    return np.repeat(places, np.where(is_bin, 2, 1))


def shares_of(distribution: Distribution, edges: Numbers) -> Numbers:
    """The share of the rows in each bin, below the first edge and beyond the last one included."""
    import numpy as np

    # Of a doubled edge, the first one ends the bin before the value.
    is_first_of_two = np.append(edges[:-1] == edges[1:], False)
    heights = np.where(is_first_of_two, distribution.below(edges), distribution.up_to(edges))
    return np.clip(np.diff(np.concatenate([[0.0], heights, [1.0]])), 0.0, 1.0)


def wasserstein(reference: Distribution, window: Distribution) -> float:
    """The area between the distribution functions, in the unit of the values."""
    import numpy as np

    # Between two such places both are straight lines.
    places = np.union1d(reference.places, window.places)
    begin = reference.up_to(places)[:-1] - window.up_to(places)[:-1]
    end = reference.below(places)[1:] - window.below(places)[1:]
    sums = np.abs(begin) + np.abs(end)
    # Where the two cross, the area is that of two triangles.
    crossing = np.divide(begin**2 + end**2, sums, out=np.zeros_like(sums), where=sums > 0)
    heights = np.where(begin * end < 0, crossing, sums) / 2
    return float(np.sum(heights * np.diff(places)))


def ks_statistic(reference: Distribution, window: Distribution) -> float:
    """The largest distance between the distribution functions."""
    import numpy as np

    places = np.union1d(reference.places, window.places)
    at = np.abs(reference.up_to(places) - window.up_to(places))
    before = np.abs(reference.below(places) - window.below(places))
    return float(max(at.max(), before.max()))


def count_tables(
    reference: Mapping[str, int], others: int, window: ColumnProfile
) -> tuple[Numbers, Numbers]:
    """Counts of two columns, side by side: of each value that both name, and of all others.

    Where the reference names all values, each new one of the window has a place of its own.
    """
    import numpy as np

    now = dict(window.counts or {})
    values = [*reference]
    if not others:
        values.extend(value for value in now if value not in reference)
    before_counts = [float(reference.get(value, 0)) for value in values]
    now_counts = [float(now.get(value, 0)) for value in values]
    left = window.values - sum(now_counts)
    return np.array([*before_counts, float(others)]), np.array([*now_counts, left])


def normal_distances(reference: ColumnProfile, window: ColumnProfile) -> dict[str, float]:
    """The mean over a vector's parts of the distances of two normal distributions.

    Profiles have only the means and deviations of the parts. `psi` is the symmetric
    Kullback-Leibler divergence, of which the index is the form for bins; `wasserstein` is the
    distance of the means in the reference's deviations (the root of the mean square);
    `jensen_shannon` is integrated on a grid.
    """
    import numpy as np

    before, now = np.array(reference.means), np.array(window.means)
    spread, spread_now = np.array(reference.deviations), np.array(window.deviations)
    least = 1e-9 * max(1.0, float(np.abs(before).max()))
    # Parts that never change have no deviation to measure with: those of the whole vector have.
    usual = max(float(np.sqrt(np.mean(spread**2))), least)
    spread = np.maximum(spread, usual * 1e-2)
    spread_now = np.maximum(spread_now, usual * 1e-2)
    apart = now - before
    ratio = (spread / spread_now) ** 2
    divergence = (ratio + 1 / ratio) / 2 - 1 + apart**2 * (spread**-2 + spread_now**-2) / 2
    return {
        "psi": float(np.mean(divergence)),
        "wasserstein": float(np.sqrt(np.mean((apart / spread) ** 2))),
        "jensen_shannon": _normal_jensen_shannon(apart / spread, spread_now / spread),
    }


def _normal_jensen_shannon(apart: Any, ratio: Any) -> float:
    """That of the standard normal distribution and those so far away and so wide; their mean."""
    import numpy as np

    distances = []
    for shift, width in zip(apart.tolist(), ratio.tolist(), strict=True):
        low, high = min(-8.0, shift - 8 * width), max(8.0, shift + 8 * width)
        edges = np.unique(
            np.concatenate(
                [
                    np.linspace(-8, 8, _POINTS),
                    shift + width * np.linspace(-8, 8, _POINTS),
                    [low, high],
                ]
            )
        )
        distances.append(_jensen_shannon_of_normals(edges, shift, width))
    return float(np.mean(distances))


def _jensen_shannon_of_normals(edges: Numbers, shift: float, width: float) -> float:
    import numpy as np
    from scipy.special import ndtr

    return jensen_shannon(np.diff(ndtr(edges)), np.diff(ndtr((edges - shift) / width)))
