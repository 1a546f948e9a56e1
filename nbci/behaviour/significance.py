"""How far a difference between two models may be chance: p-values and intervals.

scipy does the arithmetic where it has it; what stands here puts it together for a million paired
cases at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
_MOST_RESAMPLED = 10_000
"""Above so many cases the mean's distribution is normal to more digits than are shown."""
_RESAMPLES = 2000
_SEED = 0
"""The same run gives the same interval each time that its report is made."""


class Interval(Struct, frozen=True):
    """The bounds within which a figure lies with a confidence of 95 %."""

    low: float
    high: float


def mcnemar(broken: Any, fixed: Any) -> Any:
    """The exact two-sided p-values of McNemar's test, for counts or arrays of counts.

    Under the null hypothesis each case that only one model has right is a fair coin's throw.
    """
    import numpy as np
    from scipy.special import bdtr

    # scipy.stats has this as `binom.cdf`, and takes a second to be imported.
    fewer = np.minimum(broken, fixed)
    return np.minimum(1.0, 2 * bdtr(fewer, np.add(broken, fixed), 0.5))


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The p-values, corrected by Holm's method for how many of them there are.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    import numpy as np

    order = np.argsort(p_values, kind="stable")
    stricter = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(stricter))
    return corrected


def share_interval(successes: float, total: float) -> Interval:
    """Wilson's score interval of a share, which stays within 0 and 1 for few cases, too."""
    z = _standard_errors()
    share = successes / total
    middle = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    scale = 1 + z * z / total
    return Interval(low=(middle - reach) / scale, high=(middle + reach) / scale)


def mean_interval(
    values: NDArray[np.float64], weights: NDArray[np.float64] | None = None
) -> Interval:
    """The interval of the mean: a BCa bootstrap of few cases, the normal one of many.

    With weights it is the normal one of the weighted mean, by its linearised variance.
    """
    import numpy as np

    if len(values) < 2 or not np.ptp(values):
        mean = float(np.average(values, weights=weights))
        return Interval(low=mean, high=mean)
    if weights is not None or len(values) > _MOST_RESAMPLED:
        return _normal_interval(values, weights)

    from scipy.stats import bootstrap

    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=_RESAMPLES,
        batch=max(1, 1_000_000 // len(values)),
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return Interval(low=float(found.low), high=float(found.high))


def _normal_interval(values: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Interval:
    import numpy as np

    if weights is None:
        mean = float(np.mean(values))
        error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    else:
        mean = float(np.average(values, weights=weights))
        shares = weights / weights.sum()
        error = math.sqrt(float(np.sum((shares * (values - mean)) ** 2)))
    reach = _standard_errors() * error
    return Interval(low=mean - reach, high=mean + reach)


def _standard_errors() -> float:
    """How many of them an interval reaches to each side."""
    from scipy.special import ndtri

    return float(ndtri((1 + CONFIDENCE) / 2))


def paired_t(counts: Any, sums: Any, squares: Any) -> Any:
    """The two-sided p-values of paired t-tests, of many groups at once.

    Of each group of differences: their number, their sum, and the sum of their squares. A group
    whose differences are all equal gives 1 where they are 0, else 0; one of a single case gives 1.
    """
    import numpy as np
    from scipy.special import stdtr

    means = sums / counts
    # Rounding may leave a sum of squares a little below what it cannot be less than.
    spread = np.maximum(0.0, squares - counts * means**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(spread / (counts - 1) / counts)
        statistics = np.abs(means) / errors
        p_values = 2 * stdtr(counts - 1, -statistics)
    p_values = np.where(means == 0, 1.0, p_values)
    return np.where(counts < 2, 1.0, p_values)
