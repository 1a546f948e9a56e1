"""The display for logs: plain lines, each with the name of its step, in the order things happen."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Literal

from nbci.cli.live.human import HumanStream
from nbci.cli.live.progress import RunProgress, StepProgress
from nbci.cli.live.summary import (
    ended_words,
    failed_word,
    failure_headline,
    summary_lines,
    traceback_lines,
)
from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.formatting.terminal import one_line
from nbci.formatting.text import text_of_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TextIO

    from nbci.plan.model import Plan
    from nbci.records.run_record import CellRun, Failure, RunRecord, StepRecord

# Some CIs end a build that prints nothing for minutes, and people wonder sooner.
HEARTBEAT_SECONDS = 30.0
# A progress bar is redrawn many times a second; in a log each state would be a line.
PROGRESS_SECONDS = 5.0
_HEARTBEAT_STEPS = 5
_CELL_SHOWN = 60
_NEVER = float("-inf")


class LineDisplay:
    """Writes lines `[step] text`.

    A cell is named only when it prints something, which keeps logs short.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        runs_folder: Path,
        now: Callable[[], float] = monotonic,
        summary: bool = True,
    ) -> None:
        self._stream = HumanStream(stream)
        self._runs_folder = runs_folder
        self._summary = summary
        self._now = now
        self._progress = RunProgress(now)
        self._written_at = now()
        # Steps whose present cell has been named.
        self._named: set[str] = set()
        # For each step and stream: when a progress bar was shown last, and its state then.
        self._bars: dict[tuple[str, str], tuple[float, str]] = {}
        self._noticed: set[str] = set()

    def run_started(self, run: str, plan: Plan) -> None:
        """Report the run, its pipeline and the warnings of its plan."""
        self._progress.begin(run, plan)
        self._write(f"run {run}: {plan.pipeline}, {counted(len(plan.steps), 'step')}")
        for warning in plan.warnings:
            self.noticed(f"warning: {warning}")

    def step_started(self, step: str, attempt: int) -> None:
        """Report the start of the step, and the number of an attempt after the first."""
        self._progress.step(step).begin(attempt, self._now())
        if attempt == 1:
            self._say(step, "started")
        else:
            self._say(step, f"attempt {attempt} started")

    def cell_started(
        self, step: str, number: int | None, first_line: str, index: int, total: int
    ) -> None:
        """Note the cell; it is named when it prints something."""
        # The line without an end is still the cell's before.
        self._flush(step)
        self._progress.step(step).begin_cell(number, first_line, index, total)
        self._named.discard(step)

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        """Show complete lines, and a progress bar every PROGRESS_SECONDS."""
        state = self._progress.step(step)
        lines = state.take(text, stream)
        self._show(state, self._without_shown_bar(step, stream, lines))
        printed = state.printed[stream]
        if printed.redrawn and printed.current.strip():
            self._show_bar(state, stream, printed.current)

    def cell_ended(self, step: str, cell: CellRun) -> None:
        """Show output that did not end with a newline."""
        self._flush(step)

    def step_retried(self, step: str, failure: Failure, delay_seconds: float) -> None:
        """Report why the attempt failed, and when the next one starts."""
        self._flush(step)
        attempt = self._progress.step(step).attempt
        self._say(step, f"attempt {attempt} failed: {failure_headline(failure)}")
        self._say(step, f"next attempt in {duration(delay_seconds)}")

    def step_ended(self, record: StepRecord) -> None:
        """Report the result of the step; a failure with its traceback and hint."""
        self._flush(record.name)
        self._progress.end(record)
        for warning in record.warnings:
            self._say(record.name, f"warning: {one_line(warning)}")
        if record.failure is not None:
            self._say_failure(record.name, record.failure)
        else:
            self._say(record.name, ended_words(record))

    def steps_reused(self, records: Sequence[StepRecord]) -> None:
        """Report where the results come from, in one write: there may be hundreds of steps."""
        lines = []
        for record in records:
            self._progress.end(record)
            for warning in record.warnings:
                lines.append(f"[{record.name}] warning: {one_line(warning)}")
            lines.append(f"[{record.name}] {ended_words(record)}")
        self._write(*lines)

    def noticed(self, text: str) -> None:
        """Show a notice, once a run."""
        if text not in self._noticed:
            self._noticed.add(text)
            self._write(one_line(text))

    def run_ended(self, record: RunRecord) -> None:
        """Show what is left: unfinished lines, warnings, the summary."""
        for step in self._progress.steps:
            self._flush(step)
        for warning in record.warnings:
            self.noticed(f"warning: {warning}")
        if self._summary:
            self._write(*summary_lines(record, self._progress, self._runs_folder))

    def tick(self) -> None:
        """Report the running steps after HEARTBEAT_SECONDS without output; called every second."""
        if self._now() - self._written_at < HEARTBEAT_SECONDS:
            return
        running = self._progress.in_state("running")
        for step in running[:_HEARTBEAT_STEPS]:
            self._say(step.name, self._still_running(step))
        if len(running) > _HEARTBEAT_STEPS:
            self._write(f"{counted(len(running) - _HEARTBEAT_STEPS, 'more step')} still running")

    def close(self) -> None:
        """Do nothing: all lines are written."""

    def _still_running(self, step: StepProgress) -> str:
        text = "still running"
        if step.total:
            cell = f"cell {step.index + 1} of {step.total}"
            text += f", {cell} ({step.first_line[:_CELL_SHOWN]})"
        text += f", {duration(step.seconds(self._now()) or 0.0)}"

        # A line without an end has not been shown yet, and may say what is waited for.
        for printed in step.printed.values():
            line = printed.current
            if line.strip():
                return f"{text}; unfinished line: {line[-_CELL_SHOWN:].strip()}"
        return text

    def _say_failure(self, step: str, failure: Failure) -> None:
        self._say(step, f"{failed_word(failure)}: {failure_headline(failure)}")
        for line in traceback_lines(failure):
            self._say(step, f"  {line}".rstrip())
        if failure.hint:
            self._say(step, f"hint: {one_line(failure.hint)}")

    def _show_bar(self, step: StepProgress, stream: str, bar: str) -> None:
        shown_at, _ = self._bars.get((step.name, stream), (_NEVER, ""))
        if self._now() - shown_at >= PROGRESS_SECONDS:
            self._bars[step.name, stream] = (self._now(), bar)
            self._show(step, [bar])

    def _without_shown_bar(self, step: str, stream: str, lines: list[str]) -> list[str]:
        """The lines without a first one that repeats the state of a progress bar shown before."""
        if not lines or (step, stream) not in self._bars:
            return lines
        shown_at, bar = self._bars[step, stream]
        # Forgotten with its end: a later line of the same text is another one.
        self._bars[step, stream] = (shown_at, "")
        if bar and lines[0] == bar:
            return lines[1:]
        return lines

    def _flush(self, step: str) -> None:
        state = self._progress.step(step)
        for stream, lines in state.flush().items():
            self._show(state, self._without_shown_bar(step, stream, lines))

    def _show(self, step: StepProgress, lines: list[str]) -> None:
        if not lines:
            return
        if step.name not in self._named and step.total:
            self._named.add(step.name)
            cell = f"cell {step.cell}"
            # Imports and parameters come before the notebook's own cells, and have no number.
            if step.cell is None:
                cell = "cell put in by nbci"
            self._say(step.name, f"{cell}: {step.first_line}")
        # One write for all of them: a step may print a million lines.
        prefix = f"[{step.name}]"
        self._write(*(f"{prefix} {line}" if line else prefix for line in lines))

    def _say(self, step: str, text: str) -> None:
        self._write(f"[{step}] {text}")

    def _write(self, *lines: str) -> None:
        self._written_at = self._now()
        self._stream.write(text_of_lines(lines))
