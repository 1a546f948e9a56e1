"""The trials of a sweep as one process knows them: it begins them, and writes down their ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord


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
        self._given = self._points_to_begin_with(earlier)
        self._firsts: dict[str, TrialRecord] = {}
        self.known = {trial.number: trial for trial in earlier}
        for trial in earlier:
            self._remember(trial)
        # A very large space is not searched through to its end.
        self._size = count_points(sweep.space, sweep.own_values)
        self._told: set[str] = set()
        self.common_error: str | None = None

    def begin(self, worker: str | None = None) -> TrialRecord | None:
        """The next trial, begun and written down; None where there is no further point."""
        point = next(self._given, None)
        if point is None and self.sweep.method == "grid":
            return None
        # A given point is in the study, too: samplers learn from it.
        number, chosen = self._study.ask(point)
        trial = TrialRecord(
            number=number, state="running", params=chosen, started_utc=now_utc(), worker=worker
        )
        self.known[number] = trial
        # Before it runs: after a kill it is known that it had begun.
        self._folder.add_trial(trial)
        return trial

    def note(self, trial: TrialRecord) -> None:
        """Write down what is known of a trial that goes on."""
        self._folder.add_trial(trial)
        self.known[trial.number] = trial

    def end(self, trial: TrialRecord) -> None:
        """Write down what came of a trial."""
        # First in our own record: the study is mended by it where this process is killed now.
        self._folder.add_trial(trial)
        self.known[trial.number] = trial
        self._remember(trial)
        self._study.tell(trial)
        self.common_error = self.common_error or common_error(self.known.values())

    def watch(self, trial: TrialRecord) -> TrialWatch | None:
        """What stops the trial while it runs; None where no trial is to be stopped."""
        if self.sweep.prune is None:
            return None
        return TrialWatch(self.sweep, self.sweep.prune, trial.number, self._study, self._told)

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
        # What was interrupted has no outcome that an equal one could take.
        if trial.state != "running" and not trial.interrupted:
            self._firsts.setdefault(identity(trial.params), trial)

    def _points_to_begin_with(self, earlier: Sequence[TrialRecord]) -> Iterator[Point]:
        """The points that are not for the method to choose: interrupted ones, those of a grid."""
        known = {identity(trial.params) for trial in earlier}
        for trial in interrupted_points(earlier):
            yield dict(trial.params)
        if self.sweep.method != "grid":
            return
        for point in grid(self.sweep.space, self.sweep.own_values):
            if identity(point) not in known:
                yield point


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
    )
