"""The displays that say little or nothing."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Literal

from nbci.cli.live.human import HumanStream
from nbci.cli.live.progress import RunProgress
from nbci.cli.live.summary import failure_lines, result_line
from nbci.formatting.text import text_of_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TextIO

    from nbci.plan.model import Plan
    from nbci.records.run_record import CellRun, Failure, RunRecord, StepRecord


class NullDisplay:
    """A display that shows nothing: the base of those that show only some events."""

    def run_started(self, run: str, plan: Plan) -> None:
        """Nothing."""

    def step_started(self, step: str, attempt: int) -> None:
        """Nothing."""

    def cell_started(
        self, step: str, number: int | None, first_line: str, index: int, total: int
    ) -> None:
        """Nothing."""

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        """Nothing."""

    def cell_ended(self, step: str, cell: CellRun) -> None:
        """Nothing."""

    def step_retried(self, step: str, failure: Failure, delay_seconds: float) -> None:
        """Nothing."""

    def step_ended(self, record: StepRecord) -> None:
        """Nothing."""

    def steps_reused(self, records: Sequence[StepRecord]) -> None:
        """Nothing."""

    def noticed(self, text: str) -> None:
        """Nothing."""

    def run_ended(self, record: RunRecord) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class QuietDisplay(NullDisplay):
    """Shows failures as they happen, and one line at the end."""

    def __init__(self, stream: TextIO, *, runs_folder: Path, summary: bool = True) -> None:
        self._stream = HumanStream(stream)
        self._runs_folder = runs_folder
        self._summary = summary
        self._progress = RunProgress(monotonic)

    # Nothing is shown of most events, but a failure quotes what came before it.

    def run_started(self, run: str, plan: Plan) -> None:
        """Keep the plan: failures quote it."""
        self._progress.begin(run, plan)

    def cell_started(
        self, step: str, number: int | None, first_line: str, index: int, total: int
    ) -> None:
        """Forget the output of the cell before."""
        self._progress.step(step).begin_cell(number, first_line, index, total)

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        """Keep the last lines: a failure quotes them."""
        self._progress.step(step).take(text, stream)

    def cell_ended(self, step: str, cell: CellRun) -> None:
        """Keep an unfinished line too."""
        self._progress.step(step).flush()

    def step_ended(self, record: StepRecord) -> None:
        """Show a failure."""
        if record.result == "failed":
            step = self._progress.step(record.name)
            step.flush()
            self._write(*failure_lines(record, plan=self._progress.plan, tail=tuple(step.tail)))

    def run_ended(self, record: RunRecord) -> None:
        """Show the result in one line."""
        if not self._summary:
            return
        page = self._runs_folder / record.run / "report" / "index.html"
        line = f"{result_line(record)}; page: {page}"
        # A run that a gate refused has passed: there is nothing to go on with.
        if record.result != "passed":
            line += f"; go on: nbci run --resume {record.run}"
        self._write(line)

    def _write(self, *lines: str) -> None:
        self._stream.write(text_of_lines(lines))
