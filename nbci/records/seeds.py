"""Runs with other values of a seed: how far metrics move that nothing else has moved."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from nbci.formatting.numbers import brief, number

FROM_SEEDS = "seeds"
"""The source of a parameter that is a seed of several."""


class SeedRun(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A pipeline carried out with one value of the seed.

    `run` is where: a run that belongs to the one that has this, or that one itself. `metrics` are
    by full names. `reason` says why there are none.
    """

    value: int | float
    run: str | None = None
    metrics: Mapping[str, float] | None = None
    reason: str | None = None


class Band(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Where a metric lies over the seeds: its mean, and the mean's interval of 95 %.

    It is the BCa bootstrap's; of two seeds, which have none, the lower and the higher value.
    """

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def reach(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    def __str__(self) -> str:
        return f"{number(self.mean)} ± {brief(self.reach)}"


class PairedDifference(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A metric's differences from a baseline, seed by seed; positive where it is higher now.

    `before` and `after` are the means over the `seeds` that both have, `low` and `high` the BCa
    interval of 95 % of their difference. `p_lower` and `p_higher` are one-sided p-values of the
    sign-flip permutation test: how likely it is by chance to be as low, or as high.
    """

    before: float
    after: float
    low: float
    high: float
    p_lower: float
    p_higher: float
    seeds: int

    @property
    def reach(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


class BaselineSeeds(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A baseline's pipeline on the data of the run, with the same seeds.

    `asked` and `identity` are those of the baseline, `commit` is where its code is. `differences`
    are by the full names of the run's metrics. `reason` says why it was not carried out.
    `other_files` were read by the run without being declared, and are otherwise in that commit.
    """

    asked: str
    identity: str
    commit: str | None = None
    runs: tuple[SeedRun, ...] = ()
    differences: Mapping[str, PairedDifference] | None = None
    other_files: tuple[str, ...] = ()
    reason: str | None = None


class SeedRuns(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run with several values of the seed, a parameter; the first is its own.

    `reason` says why only that one was carried out.
    """

    parameter: str
    runs: tuple[SeedRun, ...] = ()
    bands: Mapping[str, Band] | None = None
    baselines: tuple[BaselineSeeds, ...] = ()
    reason: str | None = None

    @property
    def heading(self) -> str:
        """What bands are, as the head of a column; empty where there are none."""
        if not self.bands:
            return ""
        return f"mean of {max(band.seeds for band in self.bands.values())} seeds"

    def band(self, metric: str) -> str:
        """Where the metric lies over the seeds, in words; empty where no seed moves it."""
        band = (self.bands or {}).get(metric)
        if band is None or not band.reach:
            return ""
        return str(band)

    def baseline(self, asked: str | None) -> BaselineSeeds | None:
        """What was carried out for that baseline, or None."""
        for baseline in self.baselines:
            if baseline.asked == asked:
                return baseline
        return None


NO_SEEDS = SeedRuns(parameter="")
"""Those of a run that was not asked for any."""
