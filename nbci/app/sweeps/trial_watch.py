"""Watches a trial while its run goes on, and stops the run where it is worse than others."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any, Literal, Protocol

from nbci.formatting.numbers import number
from nbci.pipeline.early_stopping import pattern_of
from nbci.pipeline.metric_names import step_of
from nbci.sweeps.curves import PrintedLines, is_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nbci.engine.run import OngoingRun
    from nbci.pipeline.early_stopping import Pruning
    from nbci.records.run_record import RunRecord
    from nbci.sweeps.curves import Point
    from nbci.sweeps.study_record import SweepRecord

_BETWEEN_LOOKS_SECONDS = 0.5
_MATCHING_SECONDS = 0.5


class Judge(Protocol):
    """What a trial's intermediate values are told to, and what decides about it."""

    def report(self, number: int, step: int, value: float) -> None:
        """Take the trial's value at a step."""

    def should_stop(self, number: int) -> bool:
        """Whether the trial is to end, by the values so far."""


class TooSlow(Exception):
    """A pattern that was still being matched when its time was over."""


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
        self._listening: list[StepOutputs] = []
        self._seen: set[int] = set()
        self.curve: list[Point] = []
        self.stopped: str | None = None
        self.trouble: Exception | None = None

    def listen(self, step: str) -> StepOutputs | None:
        """Who reads along in an attempt at the step; None where its values are not asked for."""
        wanted = step_of(self._pruning.on)
        if wanted is not None and step != wanted and not step.startswith(f"{wanted}/"):
            return None
        lines = None
        if self._pattern is not None:
            lines = PrintedLines(self._pattern)
        # Another attempt counts its steps from the first again.
        outputs = StepOutputs(step, lines)
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
        for step, value in points:
            if not self._counts(step):
                continue
            self.curve.append((step, value))
            # In a thread: a study on disk takes some milliseconds for each value, in which other
            # trials' kernels would have to wait.
            if await asyncio.to_thread(self._judge_point, step, value):
                self.stopped = (
                    f"the sweep stopped this trial: {self._pruning.on} was {number(value)} at "
                    f"step {step} ({self._pruning.by})"
                )
                return

    def _judge_point(self, step: int, value: float) -> bool:
        self._judge.report(self._trial, step, value)
        return self._judge.should_stop(self._trial)

    def replay(self, step: str, notebook: Mapping[str, Any]) -> None:
        """Hear what a step showed that did not run here, in its notebook of then."""
        outputs = self.listen(step)
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
        # A trial that was stopped has ended at the value for which it was.
        if self.stopped is not None:
            return
        for outputs in self._listening:
            # The last line may be one that nothing ended.
            outputs.printed("\n", "stdout")
        for step, value in self._new_points(tell):
            if self._counts(step):
                self.curve.append((step, value))
                await asyncio.to_thread(self._judge.report, self._trial, step, value)
        if not self.curve and record.result == "passed":
            self._tell_once(
                f"no value of {self._pruning.on} was seen, so nothing can be stopped by it: "
                f"{self._looked_at()}",
                tell,
            )

    def _looked_at(self) -> str:
        return "no line that its step printed matches `report`"

    def _tell_once(self, text: str, tell: Callable[[str], None]) -> None:
        if text not in self._told:
            self._told.add(text)
            tell(text)

    def _new_points(self, tell: Callable[[str], None]) -> Iterator[Point]:
        for outputs in self._listening:
            try:
                yield from outputs.take_points()
            except TooSlow:
                text = (
                    f"`report` took longer than {_MATCHING_SECONDS:g} s for what step "
                    f"{outputs.step} printed, and is not asked again there: "
                    "write it without repeats within repeats"
                )
                self._tell_once(text, tell)

    def _counts(self, step: int) -> bool:
        """Whether the next value, at this step, counts: of a step again, the first one does."""
        if step in self._seen:
            return False
        self._seen.add(step)
        return is_kept(len(self._seen) - 1)


class StepOutputs:
    """Reads along in the outputs of one attempt at a step."""

    def __init__(self, step: str, lines: PrintedLines | None) -> None:
        self.step = step
        self._lines = lines
        self._texts: list[str] = []

    def printed(self, text: str, stream: Literal["stdout", "stderr"]) -> None:
        # Read later: a step that prints much is not kept waiting for patterns.
        if self._lines is not None and stream == "stdout":
            self._texts.append(text)

    def shown(self, output: Mapping[str, Any]) -> None:
        pass

    def take_points(self) -> Iterable[Point]:
        """The values that have come since the last call; TooSlow where a pattern takes for ever."""
        if self._lines is None:
            return ()
        text = "".join(self._texts)
        self._texts.clear()
        try:
            with _time_limit(_MATCHING_SECONDS):
                return tuple(self._lines.feed(text))
        except TooSlow:
            self._lines = None
            raise


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """TooSlow once the block has taken so much time of the processor; on the main thread.

    Patterns have no time limit of their own, but look for signals while they are matched. The timer
    is another one than that by which Ctrl-C is seen through.
    """

    def give_up(*_: object) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
