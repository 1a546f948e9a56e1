"""How far a sweep is: which of its trials run, what came of the others, how long it will take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.sweeps.outlook import count_points
from nbci.sweeps.saved_time import Time, times_of, total_of
from nbci.sweeps.standing import counted, front_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_NEWEST = 20
"""Trials whose times say how long the next ones take: the first compute what others reuse."""


@dataclass(slots=True)
class RunningTrial:
    """A trial that goes on here: since when, and the step that began last."""

    trial: TrialRecord
    since: float
    step: str | None = None


class SweepProgress:
    """Is told what happens in a sweep; `now` gives seconds."""

    def __init__(self, sweep: SweepRecord, now: Callable[[], float]) -> None:
        self.sweep = sweep
        self._now = now
        self._began = now()
        self._trials: dict[int, TrialRecord] = {}
        self._running: dict[int, RunningTrial] = {}
        self._seconds: list[float] = []
        # Once: a grid is gone through for it.
        self._size = count_points(sweep.space, sweep.own_values)

    def know(self, trials: Sequence[TrialRecord]) -> None:
        """Take over the trials that the sweep had before."""
        for trial in trials:
            self._trials[trial.number] = trial

    def begin(self, trial: TrialRecord) -> None:
        """A trial begins here."""
        self._trials[trial.number] = trial
        self._running[trial.number] = RunningTrial(trial, self._now())

    def begin_step(self, number: int, step: str) -> None:
        """A step of a trial runs now."""
        # What runs aside of it, such as a check of its result, may go on after its end.
        if number in self._running:
            self._running[number].step = step

    def end(self, trial: TrialRecord) -> None:
        """A trial has ended."""
        self._trials[trial.number] = trial
        self._running.pop(trial.number, None)
        # One that equals another takes no time, and says nothing of those that do.
        if trial.seconds is not None and trial.same_as is None and not trial.interrupted:
            self._seconds.append(trial.seconds)

    @property
    def running(self) -> Sequence[RunningTrial]:
        """The trials that go on here, in the order in which they began."""
        return tuple(self._running.values())

    @property
    def counts(self) -> Mapping[str, int]:
        """How many trials are in which state; those that were interrupted are tried again."""
        found: dict[str, int] = {}
        for trial in self._trials.values():
            state: str = trial.state
            if trial.interrupted:
                state = "interrupted"
            # A run from before the sweep tells what its point gave, and is no trial.
            if trial.earlier:
                state = "earlier"
            found[state] = found.get(state, 0) + 1
        return found

    @property
    def done(self) -> int:
        """How many trials of the budget have ended."""
        return len(counted(self._trials.values()))

    @property
    def asked_for(self) -> int | None:
        """How many trials there will be at most; None where only time ends the sweep."""
        known = [count for count in (self.sweep.trials, self._size) if count is not None]
        return min(known, default=None)

    @property
    def front(self) -> Sequence[TrialRecord]:
        """The best trials so far."""
        return front_of(self.sweep, self._trials.values())

    @property
    def time(self) -> Time:
        """What was computed and reused so far."""
        return total_of(times_of(self._trials[number] for number in sorted(self._trials)))

    @property
    def seconds(self) -> float:
        """How long the sweep has been going on."""
        return self._now() - self._began

    @property
    def seconds_left(self) -> float | None:
        """About how long it still takes; None where nothing says it yet."""
        ends = []
        if self.sweep.minutes is not None:
            ends.append(self.sweep.minutes * 60 - self.seconds)
        if self.asked_for is not None and self._seconds:
            newest = self._seconds[-_NEWEST:]
            # Those that run count whole: how far they are, nobody knows.
            missing = self.asked_for - self.done
            ends.append(missing * sum(newest) / len(newest) / self.sweep.parallel)
        if not ends:
            return None
        return max(min(ends), 0.0)

    def running_for(self, running: RunningTrial) -> float:
        """How long a trial has been going on."""
        return self._now() - running.since
