"""The search itself: carries out side by side the trials that are begun, and ends them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.app.sweeps.outcome import end_of
from nbci.app.sweeps.rungs import climb
from nbci.app.sweeps.trials import like
from nbci.engine.interruption import interruptible
from nbci.errors import InfrastructureError, UsageError
from nbci.formatting.durations import now_utc
from nbci.sweeps.space import identity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.app.sweeps.lane import Lane
    from nbci.app.sweeps.sweep_listener import Listener
    from nbci.app.sweeps.trials import Trials
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_POLL_SECONDS = 1.0
_TICK_SECONDS = 1.0


class Search:
    """One sweep while it goes on here; `listener` is told of its trials.

    Of equal points, the first is carried out, and the others have its values.
    """

    def __init__(self, sweep: SweepRecord, trials: Trials, listener: Listener) -> None:
        self._sweep = sweep
        self._trials = trials
        self._listener = listener
        self._began = time.monotonic()
        self._lanes: Sequence[Lane] = ()
        self._making: dict[str, asyncio.Event] = {}
        self.is_interrupted = False
        self.trouble: Exception | None = None

    async def go_on(self, lanes: Sequence[Lane]) -> None:
        """Carry trials out until the search is over, has come to trouble or is interrupted."""
        self._lanes = lanes
        # What came before, such as copies of the project, takes nothing from the first trials.
        self._began = time.monotonic()
        with interruptible(self._interrupt):
            beside = [asyncio.create_task(self._beat()), asyncio.create_task(self._tick())]
            try:
                await asyncio.gather(*map(self._work, lanes))
            finally:
                for task in beside:
                    task.cancel()

    async def _tick(self) -> None:
        """Tell who listens that time passes."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._listener.ticked()

    async def _beat(self) -> None:
        """Tell other processes now and then that the trials here go on."""
        while self._trials.beat_seconds is not None:
            await asyncio.sleep(self._trials.beat_seconds)
            # A server that is away for a moment costs nothing before a trial ends.
            with contextlib.suppress(InfrastructureError):
                self._trials.beat()

    async def _work(self, lane: Lane) -> None:
        """Carry out one trial after another."""
        try:
            while not self._is_stopping:
                trial = None
                if not self._is_over():
                    trial = self._trials.begin(lane.name)
                if trial is not None:
                    self._listener.trial_begun(trial)
                    await self._try(lane, trial)
                elif self._trials.others_go_on and not self._is_out_of_time:
                    # Some of them may die, and leave their points to be tried again.
                    await asyncio.sleep(_POLL_SECONDS)
                    self._trials.look_around()
                else:
                    return
        except asyncio.CancelledError:
            # Raised by the watchdog of signals, in whatever kept the loop from running.
            self._interrupt()
        except Exception as error:  # noqa: BLE001 - raised once all trials have ended
            self.trouble = self.trouble or error
            self._end_trials()

    @property
    def _is_stopping(self) -> bool:
        return self.is_interrupted or self.trouble is not None

    @property
    def _is_out_of_time(self) -> bool:
        if self._trials.common_error is not None:
            return True
        minutes = self._sweep.minutes
        return minutes is not None and time.monotonic() - self._began >= minutes * 60

    def _is_over(self) -> bool:
        if self._is_stopping:
            return True
        return self._trials.is_over(time.monotonic() - self._began, len(self._making))

    async def _try(self, lane: Lane, trial: TrialRecord) -> None:
        """Carry a trial out, or take the values of an equal one."""
        key = identity(trial.params)
        # Of several that waited for one that was interrupted, the next one carries it out.
        while key in self._making:
            await self._making[key].wait()
        if self._is_stopping:
            self._end(_interrupted(trial))
            return
        first = self._trials.first_like(trial)
        if first is not None:
            self._end(like(trial, first))
            # Where all points are known, none of them takes any time.
            await asyncio.sleep(0)
            return

        made = self._making[key] = asyncio.Event()
        try:
            self._end(await self._carry_out(lane, trial))
        finally:
            del self._making[key]
            # Whatever came of it: others may be waiting.
            made.set()

    async def _carry_out(self, lane: Lane, trial: TrialRecord) -> TrialRecord:
        try:
            if self._sweep.fidelity is not None:
                return await climb(
                    lane, trial, self._sweep, self._trials.judge, lambda: self._is_stopping
                )
            watch = self._trials.watch(trial)
            record = await lane.carry_out(trial.number, dict(trial.params), watch)
        except UsageError as error:
            # With these values the pipeline cannot be planned; with others it may.
            return replace(trial, state="failed", error=error.message, ended_utc=now_utc())
        return end_of(trial, record, self._sweep.objectives, watch)

    def _end(self, trial: TrialRecord) -> None:
        self._trials.end(trial)
        self._listener.ended(self._sweep, trial)

    def _interrupt(self) -> None:
        self.is_interrupted = True
        self._end_trials()

    def _end_trials(self) -> None:
        for lane in self._lanes:
            lane.interrupt()


def _interrupted(trial: TrialRecord) -> TrialRecord:
    return replace(trial, state="failed", error="interrupted", interrupted=True)
