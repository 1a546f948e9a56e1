"""What is measured of one column: of numbers, of values that are counted, of vectors."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

from nbci.profiles.quantile_sketch import GRID_STEP, QuantileSketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from nbci.records.profile import ColumnProfile

    Numbers = NDArray[np.float64]

FEW_NUMBERS = 64
"""Numbers of at most so many values are counted, too: quantiles say little of them."""
MOST_COUNTED = 20_000
"""Of more values than this, rare ones are forgotten while they are counted."""
MOST_PARTS = 2048
"""A vector of more parts is looked at in blocks of parts."""
_BLOCKS = 256
_KEPT_HASHES = 2048
_HASHES = 2**32
_LOOK = 512


class NumberMeasure:
    """Moments, range, quantiles, and the few values if there are no more."""

    def __init__(self, like: ColumnProfile | None = None) -> None:
        self.count = 0
        self.infinite = 0
        self.outside: int | None = None
        self._low = math.inf
        self._high = -math.inf
        self._mean = 0.0
        self._squares = 0.0
        self._sketch = QuantileSketch()
        self._few: dict[float, int] | None = {}
        self._range: tuple[float, float] | None = None
        if like is not None and like.low is not None and like.high is not None:
            self._range = _with_32_bits(like.low, like.high)
            self.outside = 0

    def add(self, values: Numbers) -> None:
        """Take numbers in; NaN is nothing."""
        import numpy as np

        finite = np.isfinite(values)
        if not finite.all():
            self.infinite += int(np.isinf(values).sum())
            values = values[finite]
        if not len(values):
            return
        # The sketch keeps samples: the ends are to be exact.
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))
        self._add_moments(values)
        self._sketch.add(values)
        self._count_few(values)
        if self._range is not None:
            self.outside = (self.outside or 0) + _count_outside(values, self._range)

    def fields(self) -> dict[str, Any]:
        """The fields of the column's profile."""
        import numpy as np

        fields: dict[str, Any] = {"infinite": self.infinite, "outside": self.outside}
        if not self.count:
            return fields
        quantiles = self._sketch.quantiles(np.linspace(0, 1, round(1 / GRID_STEP) + 1))
        quantiles[0], quantiles[-1] = self._low, self._high
        fields |= {"low": self._low, "high": self._high, "quantiles": tuple(quantiles.tolist())}
        variance = self._squares / self.count
        # Numbers near the largest that there are have squares beyond them.
        if math.isfinite(self._mean) and math.isfinite(variance):
            fields |= {"mean": self._mean, "deviation": math.sqrt(variance)}
        if self._few is not None:
            counts = {number_text(value): count for value, count in sorted(self._few.items())}
            fields |= {"counts": counts, "distinct": len(counts)}
        return fields

    def _add_moments(self, values: Numbers) -> None:
        """Chan's update of mean and squares, which loses no digits where the mean is large."""
        import numpy as np

        count = len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            apart = values - mean
            # Not np.dot, whose BLAS would keep other cores busy to no end.
            squares = float(np.square(apart, out=apart).sum())
            total = self.count + count
            step = mean - self._mean
            self._mean += step * count / total
            self._squares += squares + step * step * self.count * count / total
        self.count = total

    def _count_few(self, values: Numbers) -> None:
        import numpy as np

        if self._few is None:
            return
        # A look at some of them tells most columns apart at little cost.
        if len(np.unique(values[:_LOOK])) > FEW_NUMBERS:
            self._few = None
            return
        found, counts = np.unique(values, return_counts=True)
        for value, count in zip(found[: FEW_NUMBERS + 1].tolist(), counts.tolist(), strict=False):
            self._few[value] = self._few.get(value, 0) + count
        if len(self._few) > FEW_NUMBERS:
            self._few = None


def number_text(value: float) -> str:
    """The number as a value that is counted: shortest text that gives it back."""
    if value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return repr(value)


def _with_32_bits(low: float, high: float) -> tuple[float, float]:
    """A range in which its ends lie also as a model gets them, in 32 bits."""
    import numpy as np

    with np.errstate(over="ignore"):
        return min(low, float(np.float32(low))), max(high, float(np.float32(high)))


def _count_outside(values: Numbers, limits: tuple[float, float]) -> int:
    import numpy as np

    low, high = limits
    return int(np.count_nonzero((values < low) | (values > high)))


class ValueCounts:
    """How often each value occurs: exactly for up to `MOST_COUNTED` values.

    Beyond it, the rare ones are forgotten and counts are too low by at most the rows divided by
    half of `MOST_COUNTED` (J. Misra and D. Gries, Finding repeated elements, 1982). How many values
    there are is then told by the smallest hashes, to about 3 % (Z. Bar-Yossef and others, Counting
    distinct elements in a data stream, 2002).
    """

    def __init__(self) -> None:
        self.rows = 0
        self._counts: dict[str, int] = {}
        self._hashes: NDArray[np.uint64] | None = None

    def add(self, values: Iterable[str], counts: Iterable[int]) -> None:
        """Take in values, each of them once, with the rows that have it."""
        kept = self._counts
        new = []
        for value, count in zip(values, counts, strict=True):
            self.rows += count
            # Many values are seen once, so a Counter's update would be no quicker.
            kept[value] = kept.get(value, 0) + count
            new.append(value)
        if self._hashes is not None:
            self._note_hashes(new)
        if len(kept) > MOST_COUNTED:
            if self._hashes is None:
                self._note_hashes(kept)
            self._forget_rare()

    @property
    def distinct(self) -> int:
        """How many values there are; about, when there are many."""
        if self._hashes is None:
            return len(self._counts)
        if len(self._hashes) < _KEPT_HASHES:
            return len(self._hashes)
        share = (float(self._hashes[-1]) + 1) / _HASHES
        return round((_KEPT_HASHES - 1) / share)

    @property
    def is_exact(self) -> bool:
        """Whether no value was forgotten."""
        return self._hashes is None

    def count(self, value: str) -> int:
        """The rows of that value that are known."""
        return self._counts.get(value, 0)

    def most_frequent(self, number: int) -> dict[str, int]:
        """So many values, the most frequent first; those of one count in the order of the text."""
        ordered = sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))
        return dict(ordered[:number])

    def _note_hashes(self, values: Iterable[str]) -> None:
        import numpy as np

        found = [zlib.crc32(value.encode("utf-8", "surrogatepass")) for value in values]
        hashes = _scattered(np.array(found, dtype=np.uint64))
        if self._hashes is not None:
            hashes = np.concatenate([self._hashes, hashes])
        self._hashes = np.unique(hashes)[:_KEPT_HASHES]

    def _forget_rare(self) -> None:
        half = MOST_COUNTED // 2
        limit = sorted(self._counts.values(), reverse=True)[half]
        kept = {}
        for value, count in self._counts.items():
            if count > limit:
                kept[value] = count - limit
        self._counts = kept


def _scattered(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Checksums of texts that are alike are alike, too: mix their 32 bits (MurmurHash3)."""
    import numpy as np

    mask = np.uint64(0xFFFFFFFF)
    mixed: Any = hashes ^ (hashes >> 16)
    mixed = (mixed * np.uint64(0x85EBCA6B)) & mask
    mixed ^= mixed >> 13
    mixed = (mixed * np.uint64(0xC2B2AE35)) & mask
    scattered: NDArray[np.uint64] = mixed ^ (mixed >> 16)
    return scattered


class VectorMeasure:
    """Means and deviations of the parts, and of the norm what is measured of numbers."""

    def __init__(self, width: int, norm_like: ColumnProfile | None = None) -> None:
        self.width = width
        self.norm = NumberMeasure(norm_like)
        self._count = 0
        self._means: Any = 0.0
        self._squares: Any = 0.0

    def add(self, rows: Numbers) -> None:
        """Take in vectors, a row each, of finite parts."""
        import numpy as np

        count = len(rows)
        if not count:
            return
        self.norm.add(np.sqrt(np.einsum("ij,ij->i", rows, rows)))
        # Numbers for each pixel of an image would make a profile larger than the image.
        parts = rows
        if self.width > MOST_PARTS:
            edges = np.linspace(0, self.width, _BLOCKS + 1).astype(int)
            parts = np.add.reduceat(rows, edges[:-1], axis=1) / np.diff(edges)
        means = parts.mean(axis=0)
        squares = ((parts - means) ** 2).sum(axis=0)
        total = self._count + count
        step = means - self._means
        self._means = self._means + step * count / total
        self._squares = self._squares + squares + step * step * self._count * count / total
        self._count = total

    def fields(self) -> dict[str, Any]:
        """The fields of the column's profile."""
        import numpy as np

        if not self._count:
            return {"width": self.width}
        deviations = np.sqrt(self._squares / self._count)
        return {
            "width": self.width,
            "means": tuple(self._means.tolist()),
            "deviations": tuple(deviations.tolist()),
        }


def listed_counts(counts: ValueCounts, most: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """The `wanted` values that occur, and the most frequent ones, at most `most` of those."""
    found = counts.most_frequent(most)
    for value in wanted:
        if value not in found and counts.count(value):
            found[value] = counts.count(value)
    return found
