"""What the trials of a sweep have come to so far, and whether it is over."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import IntegrityError
from nbci.records.codec import from_json
from nbci.sweeps.space import identity
from nbci.sweeps.study_record import TrialRecord, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.sweeps.study_record import SweepRecord

FEWEST_FAILED = 3
"""So many trials that all failed in one way say that the next ones will, too."""
KILLED = "its process ended before it did"


def read_trials(text: bytes, path: str) -> tuple[TrialRecord, ...]:
    """The trials by their numbers, each as its last line has it.

    IntegrityError where a line is damaged, unless it is the last one, which a killed process may
    have left half-written.
    """
    found: dict[int, TrialRecord] = {}
    lines = text.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            trial = from_json(line, TrialRecord, f"{path}, line {number}")
        except IntegrityError:
            if number == len(lines):
                break
            raise
        found[trial.number] = trial
    return tuple(found[number] for number in sorted(found))


def without_dead(
    trials: Iterable[TrialRecord], sweep: str | None = None
) -> tuple[TrialRecord, ...]:
    """The trials of a sweep at which nobody is at work: none of them is running any more.

    Those of other sweeps, which share its study, are as they were when it last heard of them.
    """
    settled = []
    for trial in trials:
        if trial.state == "running" and trial.sweep in (None, sweep):
            settled.append(killed(trial))
        else:
            settled.append(trial)
    return tuple(settled)


def killed(trial: TrialRecord) -> TrialRecord:
    """The trial as failed, since whoever carried it out is gone."""
    return replace(trial, state="failed", error=KILLED, interrupted=True)


def ranked(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The best first, of several objectives the front; those without a value come last.

    Of the latter, those come first that got far before they were stopped.
    """
    front = front_of(sweep, trials)
    first = {trial.number for trial in front}
    others = [trial for trial in trials if trial.number not in first]
    # Of several objectives, which of the others is better is nothing that can be said.
    if len(sweep.objectives) > 1:
        return (*front, *sorted(others, key=lambda trial: trial.state != "complete"))
    return (*front, *sorted(others, key=lambda trial: (_losses(sweep, trial), -_reached(trial))))


def _reached(trial: TrialRecord) -> float:
    """The last step that a pruned trial got to; others come behind those."""
    # What failed may have got further, and says nothing of its values.
    if trial.state != "pruned" or not trial.curve:
        return -1.0
    step, _ = trial.curve[-1]
    return step


def best_of(sweep: SweepRecord, trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """The first of the best trials; None before one is complete, and of several objectives."""
    front = front_of(sweep, trials)
    if len(sweep.objectives) > 1 or not front:
        return None
    return front[0]


def front_of(sweep: SweepRecord, trials: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The trials to which no other is better: of one objective the best, of several their front.

    Of trials with equal values it is the first; in the order of the first objective.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    front: list[tuple[float, ...]] = []
    found = []
    # Sorted so, whatever is better than a trial comes before it.
    for trial in sorted(complete, key=lambda trial: (_losses(sweep, trial), trial.number)):
        losses = _losses(sweep, trial)
        if any(_is_as_good(other, losses) for other in front):
            continue
        front.append(losses)
        found.append(trial)
    return tuple(found)


def _is_as_good(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine <= others for mine, others in zip(one, other, strict=True))


def _losses(sweep: SweepRecord, trial: TrialRecord) -> tuple[float, ...]:
    """The values of a trial, all of them such that less is better; infinite without values."""
    if trial.state != "complete":
        return tuple(math.inf for _ in sweep.objectives)
    losses = []
    for objective, value in zip(sweep.objectives, trial.values, strict=True):
        losses.append(-value if objective.direction == "maximize" else value)
    return tuple(losses)


def counted(trials: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The trials that have ended and use up the budget.

    Those that were interrupted do not, and neither do runs from before the sweep.
    """
    return tuple(
        trial
        for trial in trials
        if trial.state != "running" and not trial.interrupted and not trial.earlier
    )


def interrupted_points(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The trials that were interrupted, and that no later one of the same point has replaced."""
    last = {}
    for trial in trials:
        last[identity(trial.params)] = trial
    return tuple(trial for trial in last.values() if trial.interrupted)


def work_of(trials: Iterable[TrialRecord]) -> tuple[Work, Work]:
    """What all trials computed, and what they reused."""
    computed = reused = Work()
    for trial in trials:
        computed, reused = computed + trial.computed, reused + trial.reused
    return computed, reused


def common_error(trials: Iterable[TrialRecord]) -> str | None:
    """The error with which all trials failed so far, once these are enough to stop for it."""
    # A trial that took its error from an equal one says nothing new.
    ended = [trial for trial in counted(trials) if trial.same_as is None]
    errors = {trial.error for trial in ended}
    if len(ended) < FEWEST_FAILED or any(trial.state != "failed" for trial in ended):
        return None
    # Errors that differ may be those of single points.
    if len(errors) > 1:
        return None
    return errors.pop()


def is_over(sweep: SweepRecord, trials: Sequence[TrialRecord], begun: int, seconds: float) -> bool:
    """Whether no further trial is to begin.

    `begun` are the trials that have begun and are not interrupted, those that run among them;
    `seconds` is how long the sweep has been going on.
    """
    # Those that still run count: every lane would begin one more than was asked for.
    if sweep.trials is not None and begun >= sweep.trials:
        return True
    if sweep.minutes is not None and seconds >= sweep.minutes * 60:
        return True
    if sweep.no_better_in is None:
        return False
    ended = counted(trials)
    # Before the first value there is nothing that another could be better than.
    front = front_of(sweep, trials)
    if not front:
        return False
    newest = max(trial.number for trial in front)
    later = [trial for trial in ended if trial.number > newest]
    return len(later) >= sweep.no_better_in
