"""How the values of a run were chosen: by a search, of which it carries out one trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from nbci.formatting.numbers import counted, number
from nbci.records.seeds import Band, SeedRun


class Distribution(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The values of one objective over the trials that have one, in the order of the trials.

    `chosen` is that of the trial that was chosen. The quartiles are interpolated.
    """

    metric: str
    direction: Literal["minimize", "maximize"]
    chosen: float
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    values: tuple[float, ...]


class Chosen(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The trial whose values a run has, and the search that it was chosen from.

    `run` is the one that the trial was, `name` the sweep's in its file. `space` has the dimensions
    by parameter. Trials of equal points count once, interrupted ones not at all. `is_best` says
    that no other trial is better, of several objectives not in all of them. It is to be confirmed
    by `confirm_step`, or with `confirm_seeds` further values of the seed `confirm_parameter`, where
    one of these is given.
    """

    sweep: str
    trial: int
    params: Mapping[str, Any]
    space: Mapping[str, Mapping[str, Any]]
    method: str
    seed: int
    objectives: tuple[Distribution, ...]
    is_best: bool
    run: str | None = None
    name: str | None = None
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    confirm_step: str | None = None
    confirm_seeds: int | None = None
    confirm_parameter: str | None = None

    @property
    def of(self) -> int:
        """How many trials it was chosen from."""
        return self.complete + self.pruned + self.failed

    @property
    def metrics(self) -> str:
        """The objectives, in words."""
        return " and ".join(each.metric for each in self.objectives)

    @property
    def sentence(self) -> str:
        """How it was chosen, for people: `best of 16 trials of sweep ID by step:metric`."""
        of = f"of {counted(self.of, 'trial')} of sweep {self.sweep}"
        if not self.is_best:
            return f"trial {self.trial} {of}, though another was better by {self.metrics}"
        if len(self.objectives) > 1:
            return f"one {of} to which none was better in all of {self.metrics}"
        return f"best {of} by {self.metrics}"


class ConfirmedValue(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An objective where no trial had looked: `metric` is its full name there.

    `chosen` is what the trial had. `band` is where it lies over several seeds.
    """

    objective: str
    metric: str
    chosen: float
    value: float
    band: Band | None = None

    def __str__(self) -> str:
        text = number(self.value)
        # Where no seed moves it, there is no interval to show.
        if self.band is not None and self.band.reach:
            text = str(self.band)
        return f"{self.metric} {text} ({number(self.chosen)} when it was chosen)"


class Confirmed(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a chosen trial gave where no trial had looked: in a `step`, or with other `seeds`.

    `metrics` are by full names: those of the step, or the means over the seeds of the `parameter`,
    of which `bands` has the intervals. `reason` says why there are none.
    """

    step: str | None = None
    parameter: str | None = None
    seeds: tuple[SeedRun, ...] = ()
    metrics: Mapping[str, float] | None = None
    bands: Mapping[str, Band] | None = None
    values: tuple[ConfirmedValue, ...] = ()
    reason: str | None = None

    @property
    def how(self) -> str:
        """How it was confirmed, in words."""
        if self.step is not None:
            return f"by step {self.step}"
        number_of = sum(run.metrics is not None for run in self.seeds)
        return f"as the mean of {counted(number_of, 'seed')} that no trial saw"

    @property
    def sentence(self) -> str:
        """What came of it, for people."""
        if self.reason is not None:
            return f"not confirmed: {self.reason}"
        if not self.values:
            return f"{self.how}, where none of the objectives was measured"
        return f"{', '.join(map(str, self.values))}, {self.how}"
