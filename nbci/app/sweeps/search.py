"""The search itself: asks for points, carries trials out side by side, tells what they gave."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.app.sweeps.outcome import end_of
from nbci.engine.interruption import interruptible
from nbci.errors import UsageError
from nbci.formatting.durations import now_utc
from nbci.sweeps.space import grid, identity
from nbci.sweeps.standing import common_error, interrupted_points, is_over
from nbci.sweeps.study_record import TrialRecord, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nbci.app.sweeps.lane import Lane
    from nbci.app.sweeps.study import Study
    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord

_COUNTED_POINTS = 100_000
"""A space with more points than that is not searched through to its end."""


class Search:
    """One sweep while it goes on; `ended` is called with each trial that has ended.

    `earlier` are the trials that it had before this process. Of equal points, the first is carried
    out, and the others have its values.
    """

    def __init__(
        self,
        sweep: SweepRecord,
        folder: SweepFolder,
        study: Study,
        earlier: Sequence[TrialRecord],
        ended: Callable[[TrialRecord], None],
    ) -> None:
        self._sweep = sweep
        self._folder = folder
        self._study = study
        self._ended = ended
        self._began = time.monotonic()
        self._lanes: Sequence[Lane] = ()
        self._given = self._points_to_begin_with(earlier)
        self._firsts: dict[str, asyncio.Future[TrialRecord] | TrialRecord] = {}
        self.trials = {trial.number: trial for trial in earlier}
        for trial in earlier:
            # What was interrupted has no outcome that an equal one could take.
            if not trial.interrupted:
                self._firsts.setdefault(identity(trial.params), trial)
        self._size = self._count_points()
        self.is_interrupted = False
        self.trouble: Exception | None = None
        self.common_error: str | None = None

    async def go_on(self, lanes: Sequence[Lane]) -> None:
        """Carry trials out until the search is over, has come to trouble or is interrupted."""
        self._lanes = lanes
        # What came before, such as copies of the project, takes nothing from the first trials.
        self._began = time.monotonic()
        with interruptible(self._interrupt):
            await asyncio.gather(*map(self._work, lanes))

    async def _work(self, lane: Lane) -> None:
        """Carry out one trial after another."""
        try:
            while not self._is_over():
                asked = self._ask()
                if asked is None:
                    return
                await self._try(lane, asked)
        except asyncio.CancelledError:
            # Raised by the watchdog of signals, in whatever kept the loop from running.
            self._interrupt()
        except Exception as error:  # noqa: BLE001 - raised once all trials have ended
            self.trouble = self.trouble or error
            self._end_trials()

    def _is_over(self) -> bool:
        if self.is_interrupted or self.trouble is not None or self.common_error is not None:
            return True
        # Where all points are known, nothing better can be found.
        if self._size is not None and len(self._firsts) >= self._size:
            return True
        trials = tuple(self.trials[number] for number in sorted(self.trials))
        begun = sum(not trial.interrupted for trial in trials)
        return is_over(self._sweep, trials, begun, time.monotonic() - self._began)

    def _ask(self) -> TrialRecord | None:
        """The next trial, begun and written down; None where there is no further point."""
        point = next(self._given, None)
        if point is None and self._sweep.method == "grid":
            return None
        # A given point is in the study, too: samplers learn from it.
        number, chosen = self._study.ask(point)
        trial = TrialRecord(number=number, state="running", params=chosen, started_utc=now_utc())
        self.trials[number] = trial
        # Before it runs: after a kill it is known that it had begun.
        self._folder.add_trial(trial)
        return trial

    async def _try(self, lane: Lane, trial: TrialRecord) -> None:
        """Carry a trial out, or take the values of an equal one."""
        key = identity(trial.params)
        first = self._firsts.get(key)
        if isinstance(first, asyncio.Future):
            first = await first
        if self.is_interrupted:
            self._end(_interrupted(trial))
            return
        if first is not None and not first.interrupted:
            self._end(_like(trial, first))
            # Where all points are known, none of them takes any time.
            await asyncio.sleep(0)
            return

        future = self._firsts[key] = asyncio.get_running_loop().create_future()
        ended = _interrupted(trial)
        try:
            ended = await self._carry_out(lane, trial)
        finally:
            # Whatever came of it: others may be waiting.
            future.set_result(ended)
            if ended.interrupted:
                del self._firsts[key]
        self._end(ended)

    async def _carry_out(self, lane: Lane, trial: TrialRecord) -> TrialRecord:
        try:
            record = await lane.carry_out(trial.number, dict(trial.params))
        except UsageError as error:
            # With these values the pipeline cannot be planned; with others it may.
            return replace(trial, state="failed", error=error.message, ended_utc=now_utc())
        return end_of(trial, record, self._sweep.objective)

    def _end(self, trial: TrialRecord) -> None:
        """Write down what came of a trial."""
        # First in our own record: the study is mended by it where this process is killed now.
        self._folder.add_trial(trial)
        self.trials[trial.number] = trial
        self._study.tell(trial)
        self._ended(trial)
        self.common_error = self.common_error or common_error(self.trials.values())

    def _interrupt(self) -> None:
        self.is_interrupted = True
        self._end_trials()

    def _end_trials(self) -> None:
        for lane in self._lanes:
            lane.interrupt()

    def _points_to_begin_with(self, earlier: Sequence[TrialRecord]) -> Iterator[Point]:
        """The points that are not for the method to choose: interrupted ones, those of a grid."""
        known = {identity(trial.params) for trial in earlier}
        for trial in interrupted_points(earlier):
            yield dict(trial.params)
        if self._sweep.method != "grid":
            return
        for point in grid(self._sweep.space, self._sweep.own_values):
            if identity(point) not in known:
                yield point

    def _count_points(self) -> int | None:
        """How many points the space has; None where it is infinite, or very large."""
        if any(dimension.values is None for dimension in self._sweep.space):
            return None
        points = grid(self._sweep.space, self._sweep.own_values)
        count = sum(1 for _ in islice(points, _COUNTED_POINTS))
        if count == _COUNTED_POINTS:
            return None
        return count


def _interrupted(trial: TrialRecord) -> TrialRecord:
    return replace(trial, state="failed", error="interrupted", interrupted=True)


def _like(trial: TrialRecord, first: TrialRecord) -> TrialRecord:
    """The trial with the values of an earlier one of the same point."""
    return replace(
        first,
        number=trial.number,
        same_as=first.number,
        started_utc=trial.started_utc,
        ended_utc=now_utc(),
        seconds=0.0,
        computed=Work(),
        reused=Work(),
    )
