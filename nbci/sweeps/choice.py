"""Which trial of a sweep is taken for what comes after it, and what is kept of the choice."""

from __future__ import annotations

from statistics import quantiles
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.records.chosen import Chosen, Distribution
from nbci.records.codec import plain
from nbci.sweeps.standing import front_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.sweeps.study_record import SweepRecord, TrialRecord


_SHOWN = 10


def choose_trial(
    sweep: SweepRecord, trials: Sequence[TrialRecord], number: int | None = None
) -> TrialRecord:
    """The trial of that number, or the best one; UsageError where none is, or several are."""
    if number is not None:
        return _numbered(sweep, trials, number)
    front = front_of(sweep, trials)
    if not front:
        raise UsageError(
            f"no trial of sweep {sweep.sweep} has a value",
            hint=f"nbci sweep show {sweep.sweep} says what became of them",
        )
    # Which of them is wanted is no question of numbers.
    if len(sweep.objectives) > 1:
        listed = ", ".join(str(trial.number) for trial in front[:_SHOWN])
        raise UsageError(
            f"sweep {sweep.sweep} has {len(sweep.objectives)} objectives, so no trial is the best",
            hint=f"name one of the front with --trial N: {listed}",
        )
    return front[0]


def _numbered(sweep: SweepRecord, trials: Sequence[TrialRecord], number: int) -> TrialRecord:
    for trial in trials:
        if trial.number == number:
            break
    else:
        raise UsageError(
            f"sweep {sweep.sweep} has no trial {number}",
            hint=f"nbci sweep show {sweep.sweep} lists them",
        )
    if trial.state != "complete":
        raise UsageError(
            f"trial {number} of sweep {sweep.sweep} is {trial.state}, and has no value",
            hint=f"nbci sweep show {sweep.sweep} lists those that have one",
        )
    return trial


def evidence_of(sweep: SweepRecord, trials: Sequence[TrialRecord], trial: TrialRecord) -> Chosen:
    """How that trial, which has its values, was chosen among the others."""
    tried = list(_tried(trials))
    first = trial.number if trial.same_as is None else trial.same_as
    front = [each.number for each in front_of(sweep, tried)]
    space = {}
    for dimension in sweep.space:
        fields = plain(dimension)
        space[fields.pop("name")] = fields
    states = [each.state for each in tried]
    return Chosen(
        sweep=sweep.sweep,
        trial=trial.number,
        run=trial.run,
        name=sweep.name,
        params=trial.params,
        space=space,
        method=sweep.method,
        seed=sweep.seed,
        objectives=tuple(_distributions(sweep, tried, trial)),
        # One that is as good as the best is no worse choice.
        is_best=first in front or trial.values in [each.values for each in front_of(sweep, tried)],
        complete=states.count("complete"),
        pruned=states.count("pruned"),
        failed=states.count("failed"),
    )


def _tried(trials: Iterable[TrialRecord]) -> Iterable[TrialRecord]:
    """The trials that the choice was among; runs from before the sweep are some of them."""
    for each in trials:
        # Who looked at one point twice had no second chance.
        if each.state != "running" and not each.interrupted and each.same_as is None:
            yield each


def _distributions(
    sweep: SweepRecord, tried: Sequence[TrialRecord], trial: TrialRecord
) -> Iterable[Distribution]:
    for at, objective in enumerate(sweep.objectives):
        values = [each.values[at] for each in tried if each.state == "complete"]
        ordered = sorted(values)
        lower, median, upper = _quartiles(ordered)
        yield Distribution(
            metric=objective.metric,
            direction=objective.direction,
            chosen=trial.values[at],
            minimum=ordered[0],
            lower_quartile=lower,
            median=median,
            upper_quartile=upper,
            maximum=ordered[-1],
            values=tuple(values),
        )


def _quartiles(ordered: Sequence[float]) -> tuple[float, float, float]:
    # Of one value, `quantiles` knows none.
    if len(ordered) == 1:
        return ordered[0], ordered[0], ordered[0]
    lower, median, upper = quantiles(ordered, n=4, method="inclusive")
    return lower, median, upper
