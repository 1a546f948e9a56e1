"""The trials of a sweep as one process knows them: it begins them, and writes down their ends."""

from __future__ import annotations

import os
import platform
from collections import deque
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.app.sweeps.trial_watch import TrialWatch
from nbci.formatting.durations import now_utc
from nbci.sweeps.outlook import count_points
from nbci.sweeps.space import grid, identity
from nbci.sweeps.standing import common_error, interrupted_points, is_over
from nbci.sweeps.study_record import TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.app.sweeps.study import Study
    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.app.sweeps.trial_watch import Judge
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord


SILENT = "it was silent for so long that others took it for dead"


class Trials:
    """Chooses the points of a sweep and keeps its record; `known` are the trials by number.

    `earlier` are the trials that the sweep had before this process.
    """

    def __init__(
        self,
        sweep: SweepRecord,
        folder: SweepFolder,
        study: Study,
        earlier: Sequence[TrialRecord],
    ) -> None:
        self.sweep = sweep
        self._folder = folder
        self._study = study
        self._again = deque(dict(trial.params) for trial in interrupted_points(earlier))
        self._grid: Iterator[Point] = iter(())
        if sweep.method == "grid":
            self._grid = grid(sweep.space, sweep.own_values)
        self._taken: dict[str, int] = {}
        self._firsts: dict[str, TrialRecord] = {}
        self.known: dict[int, TrialRecord] = {}
        for trial in earlier:
            self._remember(trial)
        # A very large space is not searched through to its end.
        self._size = count_points(sweep.space, sweep.own_values)
        self._told: set[str] = set()
        self.common_error: str | None = None

    def begin(self, worker: str | None = None) -> TrialRecord | None:
        """The next trial, begun and written down; None where there is no further point."""
        if not self._study.is_shared:
            return self._begin(worker)
        with self._study.alone():
            self._learn()
            # Others may have used up the budget since it was looked at.
            if self.is_over(0.0):
                return None
            return self._begin(f"{platform.node()}:{os.getpid()}/{worker}")

    def _begin(self, worker: str | None) -> TrialRecord | None:
        point = self._next_given()
        if point is None and self.sweep.method == "grid":
            return None
        # A given point is in the study, too: samplers learn from it.
        number, chosen = self._study.ask(point)
        trial = TrialRecord(
            number=number, state="running", params=chosen, started_utc=now_utc(), worker=worker
        )
        if self._study.is_shared:
            trial = replace(trial, sweep=self.sweep.sweep)
        # Before it runs: after a kill it is known that it had begun.
        self._folder.add_trial(trial)
        self._study.note(trial)
        self._remember(trial)
        return trial

    def note(self, trial: TrialRecord) -> None:
        """Write down what is known of a trial that goes on."""
        self._folder.add_trial(trial)
        self._remember(trial)

    def end(self, trial: TrialRecord) -> None:
        """Write down what came of a trial."""
        # First in our own record: the study is mended by it where this process is killed now.
        self._folder.add_trial(trial)
        self._remember(trial)
        if not self._study.tell(trial):
            trial = replace(trial, state="failed", values=(), error=SILENT, interrupted=True)
            self._folder.add_trial(trial)
            self._remember(trial)
            self._again.append(dict(trial.params))
        self.common_error = self.common_error or common_error(self.known.values())

    def watch(self, trial: TrialRecord) -> TrialWatch | None:
        """What stops the trial while it runs; None where no trial is to be stopped."""
        if self.sweep.prune is None:
            return None
        return TrialWatch(self.sweep, self.sweep.prune, trial.number, self._study, self._told)

    def look_around(self) -> None:
        """Learn what became of the trials of other processes."""
        if self._study.is_shared:
            with self._study.alone():
                self._learn()

    def _learn(self) -> None:
        for trial in self._study.records():
            # Of its own trials, this process knows more than it told.
            if trial.sweep == self.sweep.sweep or self.known.get(trial.number) == trial:
                continue
            # Written down here, too: it is shown without asking the database.
            self._folder.add_trial(trial)
            self._remember(trial)
            if trial.interrupted:
                self._again.append(dict(trial.params))

    @property
    def others_go_on(self) -> bool:
        """Whether other processes have trials that have not ended, as far as is known."""
        mine = (None, self.sweep.sweep)
        return any(
            trial.state == "running" and trial.sweep not in mine for trial in self.known.values()
        )

    @property
    def beat_seconds(self) -> float | None:
        """How often `beat` is to be called while trials go on; None where nobody asks."""
        return self._study.beat_seconds

    def beat(self) -> None:
        """Tell other processes that the trials here go on."""
        self._study.beat()

    @property
    def judge(self) -> Judge:
        """What decides by intermediate values which trials go on."""
        return self._study

    def first_like(self, trial: TrialRecord) -> TrialRecord | None:
        """The first trial of the same point that has ended and was not interrupted."""
        return self._firsts.get(identity(trial.params))

    def is_over(self, seconds: float, making: int = 0) -> bool:
        """Whether no further trial is to begin.

        `seconds` is how long the sweep has been going on, `making` how many points are carried out
        just now.
        """
        if self.common_error is not None:
            return True
        # Where all points are known, nothing better can be found.
        if self._size is not None and len(self._firsts) + making >= self._size:
            return True
        begun = sum(not trial.interrupted and not trial.earlier for trial in self.known.values())
        return is_over(self.sweep, self.in_order, begun, seconds)

    @property
    def in_order(self) -> tuple[TrialRecord, ...]:
        """All of them, by number."""
        return tuple(self.known[number] for number in sorted(self.known))

    def _remember(self, trial: TrialRecord) -> None:
        self.known[trial.number] = trial
        point = identity(trial.params)
        if not trial.interrupted:
            self._taken[point] = trial.number
        # What was interrupted has no outcome that an equal one could take, and is free again.
        elif self._taken.get(point) == trial.number:
            del self._taken[point]
        if trial.state != "running" and not trial.interrupted:
            self._firsts.setdefault(point, trial)

    def _next_given(self) -> Point | None:
        """The next point that is not for the method to choose: an interrupted one, one of a grid.

        One that another process has begun meanwhile is left out.
        """
        while self._again:
            point = self._again.popleft()
            if identity(point) not in self._taken:
                return point
        for point in self._grid:
            if identity(point) not in self._taken:
                return point
        return None


def like(trial: TrialRecord, first: TrialRecord) -> TrialRecord:
    """The trial as ended, with what came of an earlier one of the same point."""
    return TrialRecord(
        number=trial.number,
        state=first.state,
        params=trial.params,
        values=first.values,
        run=first.run,
        error=first.error,
        same_as=first.number,
        started_utc=trial.started_utc,
        ended_utc=now_utc(),
        seconds=0.0,
        worker=trial.worker,
        curve=first.curve,
        sweep=trial.sweep,
        rung=first.rung,
        resource=first.resource,
    )
