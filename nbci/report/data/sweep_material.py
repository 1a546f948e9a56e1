"""What the pages of a sweep are made of, and what is said of its trials."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import number
from nbci.formatting.text import short_line
from nbci.pipeline.search_space import Range
from nbci.sweeps.standing import front_of, ranked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.pipeline.search_space import Dimension
    from nbci.sweeps.importance import Importances
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepMaterial:
    """A sweep and its trials by number; `target` is what it searched, as it is called here.

    `pages` are the addresses of the pages of trials' runs, from the folder of these pages.
    """

    sweep: SweepRecord
    trials: Sequence[TrialRecord]
    target: str
    is_going_on: bool = False
    importances: Sequence[Importances] = ()
    pages: Mapping[str, str] = field(default_factory=dict)

    @property
    def front(self) -> Sequence[TrialRecord]:
        """The best trial; of several objectives, those that no other beats in all."""
        return front_of(self.sweep, self.trials)

    @property
    def ranked(self) -> Sequence[TrialRecord]:
        """All trials, the best first."""
        return ranked(self.sweep, self.trials)

    @property
    def complete(self) -> Sequence[TrialRecord]:
        """The trials that have values."""
        return [trial for trial in self.trials if trial.state == "complete"]


def state_of(trial: TrialRecord) -> str:
    """The state as a word; what was interrupted has not failed, an earlier run is no trial."""
    if trial.earlier:
        return "earlier"
    if trial.interrupted:
        return "interrupted"
    return trial.state


def value_of(trial: TrialRecord, objective: int) -> float | None:
    """The trial's value of an objective; None where there is none that can be drawn."""
    if trial.state != "complete" or objective >= len(trial.values):
        return None
    value = trial.values[objective]
    # Records of earlier versions, or of other tools, may hold such values.
    if not math.isfinite(value):
        return None
    return value


def by_importance(material: SweepMaterial) -> Sequence[Dimension]:
    """The parameters that trials have, those first that matter most for some objective."""
    greatest: dict[str, float] = {}
    for importances in material.importances:
        for each in importances.shares:
            greatest[each.parameter] = max(each.share, greatest.get(each.parameter, 0.0))
    # A condition may never have held; of such a parameter there is nothing to see.
    searched = {name for trial in material.trials for name in trial.params}
    known = [dimension for dimension in material.sweep.space if dimension.name in searched]
    return sorted(known, key=lambda dimension: -greatest.get(dimension.name, 0.0))


def name_text(name: str) -> str:
    """A name as headings and tables show it, without what would spoil them."""
    return short_line(name, _LONGEST_VALUE)


def value_text(value: Any) -> str:
    """A parameter's value, for a cell of a table."""
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return short_line(value, _LONGEST_VALUE)
    return short_line(json.dumps(value), _LONGEST_VALUE)


def values_text(dimension: Dimension) -> str:
    """What of a parameter is searched."""
    if not isinstance(dimension, Range):
        return short_line(", ".join(map(value_text, dimension.values)), 3 * _LONGEST_VALUE)
    text = f"{number(dimension.low)} to {number(dimension.high)}"
    if dimension.log:
        return f"{text}, by orders of magnitude"
    if dimension.step is not None:
        return f"{text} by {number(dimension.step)}"
    return text


def point_text(trial: TrialRecord) -> str:
    """The parameters that were searched there, with their values."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in trial.params.items())
