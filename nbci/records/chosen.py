"""How the values of a run were chosen: by a search, of which it carries out one trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from nbci.formatting.numbers import counted


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
    that no other trial is better, of several objectives not in all of them.
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
