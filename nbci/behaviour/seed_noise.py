"""How far metrics move with the seed, and whether a difference is more than that."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nbci.behaviour.significance import mean_interval
from nbci.closeness import are_close
from nbci.errors import UsageError
from nbci.pipeline.metric_names import meant_by, short_name
from nbci.pipeline.rules import exact
from nbci.records.seeds import Band, PairedDifference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Literal

    from nbci.records.seeds import SeedRun

_LIBRARIES = ("numpy", "scipy")
_FEWEST_RESAMPLED = 3
_MOST_FLIPS = 2**12
"""All flips of twelve pairs; of more, so many at random."""
_RANDOM = 0


def check_statistics() -> None:
    """UsageError where what computes intervals is not installed."""
    missing = [name for name in _LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"runs with several seeds need {', '.join(missing)}, not installed here",
            hint="pip install 'nbci[behaviour]'",
        )


def bands_of(runs: Sequence[SeedRun]) -> dict[str, Band]:
    """The band of each metric that two of the runs have, and that is finite there."""
    bands = {}
    for name in (runs[0].metrics or {}) if runs else ():
        values = list(filter(math.isfinite, _values(runs, name).values()))
        if len(values) > 1:
            bands[name] = _band(values)
    return bands


def differences_of(
    runs: Sequence[SeedRun], baseline: Sequence[SeedRun]
) -> dict[str, PairedDifference]:
    """The differences of each metric that both have with two of the same seeds."""
    differences = {}
    known = dict.fromkeys(_names(baseline))
    for name in dict.fromkeys(_names(runs)):
        # The step that measures it may have had another name then.
        meant = meant_by(name, known) or meant_by(short_name(name), known)
        if len(meant) != 1:
            continue
        after, before = _values(runs, name), _values(baseline, meant[0])
        pairs = []
        for seed, value in after.items():
            if seed in before and math.isfinite(value) and math.isfinite(before[seed]):
                pairs.append((before[seed], value))
        if len(pairs) > 1:
            differences[name] = paired_difference(pairs)
    return differences


def _names(runs: Sequence[SeedRun]) -> Iterator[str]:
    for run in runs:
        yield from run.metrics or {}


def _values(runs: Sequence[SeedRun], name: str) -> Mapping[float, float]:
    """The metric's values, by seeds."""
    values = {}
    for run in runs:
        if run.metrics is not None and name in run.metrics:
            values[run.value] = run.metrics[name]
    return values


def _band(values: Sequence[float]) -> Band:
    low, high = _interval(values)
    return Band(mean=_mean(values), low=low, high=high, seeds=len(values))


def _mean(values: Sequence[float]) -> float:
    # In decimals, as gates count: a mean is not to miss a bound by binary rounding.
    return float(sum(map(exact, values)) / len(values))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    import numpy as np

    low, high = min(values), max(values)
    # Two values, and those that only rounding tells apart, leave nothing to correct a bias by.
    if len(values) < _FEWEST_RESAMPLED or are_close(low, high):
        return low, high
    interval = mean_interval(np.asarray(values, dtype=float))
    return interval.low, interval.high


def paired_difference(pairs: Sequence[tuple[float, float]]) -> PairedDifference:
    """The difference of pairs of values, before and after."""
    differences = [float(exact(after) - exact(before)) for before, after in pairs]
    low, high = _interval(differences)
    return PairedDifference(
        before=_mean([before for before, _ in pairs]),
        after=_mean([after for _, after in pairs]),
        low=low,
        high=high,
        p_lower=_p_value(differences, "less"),
        p_higher=_p_value(differences, "greater"),
        seeds=len(pairs),
    )


def _p_value(differences: Sequence[float], side: Literal["less", "greater"]) -> float:
    """The share of all ways to flip signs that give a mean as far on that side."""
    import numpy as np
    from scipy.stats import permutation_test

    found = permutation_test(
        (np.asarray(differences, dtype=float),),
        np.mean,
        permutation_type="samples",
        n_resamples=_MOST_FLIPS,
        alternative=side,
        rng=np.random.default_rng(_RANDOM),
    )
    return float(found.pvalue)
