"""Watches a trial while its run goes on, and stops the run where it is worse than others."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nbci.app.sweeps.value_sources import (
    GrowingFile,
    Lines,
    Scraps,
    StepOutputs,
    TooSlow,
    files_of,
)
from nbci.engine.interruption import run_in_abandonable_thread
from nbci.errors import InfrastructureError
from nbci.formatting.numbers import number
from nbci.pipeline.early_stopping import pattern_of
from nbci.pipeline.metric_names import short_name, step_of
from nbci.sweeps.curves import is_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.engine.run import OngoingRun
    from nbci.pipeline.early_stopping import Pruning
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.sweeps.curves import Point
    from nbci.sweeps.study_record import SweepRecord

T = TypeVar("T")

_BETWEEN_LOOKS_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0
_LONG_SECONDS = 10.0
"""In which a step would have shown a value, had it had one to show."""


class Judge(Protocol):
    """What a trial's intermediate values are told to, and what decides about it."""

    def report(self, number: int, step: int, value: float) -> None:
        """Take the trial's value at a step."""

    def should_stop(self, number: int) -> bool:
        """Whether the trial is to end, by the values so far."""


async def ask_study(question: Callable[..., T], *arguments: Any) -> T:
    """Ask the study in a thread; InfrastructureError where it does not answer.

    It takes some milliseconds for each value, in which other trials' kernels would have to wait; a
    database that went away may take for ever.
    """
    asked = run_in_abandonable_thread(question, *arguments)
    try:
        return await asyncio.wait_for(asked, _PATIENCE_SECONDS)
    except TimeoutError:
        raise InfrastructureError(
            f"the study has not answered for {_PATIENCE_SECONDS:g} s",
            hint="once it does, go on: nbci sweep resume",
        ) from None


class TrialWatch:
    """The intermediate values of one trial; `curve` has those that count.

    `stopped` says why the run was stopped. `trouble` is what kept the judge from judging.
    """

    def __init__(
        self,
        sweep: SweepRecord,
        pruning: Pruning,
        trial: int,
        judge: Judge,
        told: set[str],
    ) -> None:
        """`told` are the notices of the sweep so far: none is worth saying for each trial."""
        self._pruning = pruning
        self._pattern = None
        if sweep.report is not None:
            self._pattern = pattern_of(sweep.report, None)
        self._trial = trial
        self._judge = judge
        self._told = told
        self._root: Path | None = None
        self._plan: Plan | None = None
        self._listening: list[StepOutputs] = []
        self._giver: str | None = None
        self._seen: set[int] = set()
        self._has_judged = False
        self._left: Sequence[Point] = ()
        self.curve: list[Point] = []
        self.stopped: str | None = None
        self.trouble: Exception | None = None

    def look_in(self, root: Path, plan: Plan) -> None:
        """The trial is about to run in this folder, by this plan."""
        self._root, self._plan = root, plan

    def listen(self, step: str) -> StepOutputs | None:
        """Who reads along in an attempt at the step; None where its values are not asked for."""
        # Another attempt counts its steps from the first again.
        return self._listen(step, is_new=True)

    def _listen(self, step: str, *, is_new: bool) -> StepOutputs | None:
        wanted = step_of(self._pruning.on)
        if wanted is not None and step != wanted and not step.startswith(f"{wanted}/"):
            return None
        lines = scraps = None
        files: list[GrowingFile] = []
        name = short_name(self._pruning.on)
        if self._pattern is not None:
            lines = Lines(self._pattern)
        else:
            scraps = Scraps(name)
            if self._plan is not None and self._root is not None:
                paths = files_of(self._plan.step(step), self._root, name)
                files = [GrowingFile(path, name, is_new=is_new) for path in paths]
        outputs = StepOutputs(step, lines, scraps, files)
        self._listening.append(outputs)
        return outputs

    async def attend(self, run: OngoingRun, tell: Callable[[str], None]) -> None:
        """Carry the run out, and look meanwhile for the values that its steps show."""
        has_ended = asyncio.Event()
        looking = asyncio.ensure_future(self._look_again_and_again(run, has_ended, tell))
        try:
            await run.execute()
        finally:
            has_ended.set()
            # What it is telling the study just now is told to its end.
            await looking

    async def _look_again_and_again(
        self, run: OngoingRun, has_ended: asyncio.Event, tell: Callable[[str], None]
    ) -> None:
        while self.stopped is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(has_ended.wait(), _BETWEEN_LOOKS_SECONDS)
            if has_ended.is_set():
                return
            try:
                await self._judge_points(tuple(self._new_points(tell)))
            except Exception as error:  # noqa: BLE001 - raised once the kernels have ended
                self.trouble = error
                self.stopped = f"the sweep stopped: {error}"
            if self.stopped is not None:
                run.stop(self.stopped)

    async def _judge_points(self, points: Sequence[Point]) -> None:
        for at, (step, value) in enumerate(points, start=1):
            if not self._counts(step):
                continue
            self.curve.append((step, value))
            self._has_judged = True
            if await ask_study(self._judge_point, step, value):
                self.stopped = (
                    f"the sweep stopped this trial: {self._pruning.on} was {number(value)} at "
                    f"step {step} ({self._pruning.by})"
                )
                self._left = points[at:]
                return

    def _judge_point(self, step: int, value: float) -> bool:
        self._judge.report(self._trial, step, value)
        return self._judge.should_stop(self._trial)

    def replay(self, step: str, notebook: Mapping[str, Any]) -> None:
        """Hear what a step showed that did not run here, in its notebook of then."""
        outputs = self._listen(step, is_new=False)
        if outputs is None:
            return
        for cell in notebook["cells"]:
            for output in cell.get("outputs", ()):
                if output["output_type"] == "stream":
                    outputs.printed("".join(output["text"]), output["name"])
                else:
                    outputs.shown(output)

    async def finish(self, record: RunRecord, tell: Callable[[str], None]) -> None:
        """Take what was left when the run had ended; what kept the judge from judging is raised."""
        if self.trouble is not None:
            raise self.trouble
        # A trial that was stopped has ended at the value for which it was, if not too late.
        if self.stopped is not None and record.result != "passed":
            return
        for outputs in self._listening:
            # The last line may be one that nothing ended.
            outputs.printed("\n", "stdout")
        for step, value in (*self._left, *self._new_points(tell)):
            if self._counts(step):
                self.curve.append((step, value))
                await ask_study(self._judge.report, self._trial, step, value)
        problem = self._why_of_no_use(record)
        if problem is not None:
            self._tell_once(f"nothing can be stopped by {self._pruning.on}: {problem}", tell)

    def _why_of_no_use(self, record: RunRecord) -> str | None:
        """Why the values of a trial that passed are none by which it could have been stopped."""
        if record.result != "passed" or self._has_judged:
            return None
        if not self.curve:
            return f"no value was seen; {self._looked_at()}"
        # What was reused, or took no time, shows all of its values at once.
        was_long = [step for step in record.steps if (step.seconds or 0.0) > _LONG_SECONDS]
        if any(step.result == "passed" for step in was_long):
            return "its values are there only when its step has ended"
        return None

    def _looked_at(self) -> str:
        if self._pattern is not None:
            return "no line that its step printed matches `report`"
        return (
            "neither a scrap, nor a file that its step declares, nor one of DVCLive's has it; "
            "`report` would read it out of what is printed"
        )

    def _tell_once(self, text: str, tell: Callable[[str], None]) -> None:
        if text not in self._told:
            self._told.add(text)
            tell(text)

    def _new_points(self, tell: Callable[[str], None]) -> Iterator[Point]:
        for outputs in self._listening:
            try:
                points = outputs.take()
            except TooSlow as error:
                self._tell_once(str(error), tell)
                continue
            if not points:
                continue
            self._giver = self._giver or outputs.step
            if outputs.step == self._giver:
                yield from points
            else:
                on = self._pruning.on
                text = (
                    f"{on} has values of the steps {self._giver} and {outputs.step}: only the "
                    f"former count; say which, as in {self._giver}:{short_name(on)}"
                )
                self._tell_once(text, tell)

    def _counts(self, step: int) -> bool:
        """Whether the next value, at this step, counts: of a step again, the first one does."""
        if step in self._seen:
            return False
        self._seen.add(step)
        return is_kept(len(self._seen) - 1)
