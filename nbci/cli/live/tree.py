"""The display for terminals: the steps as a tree in place, above it what must not be missed."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Literal

from nbci.cli.live.area import Area
from nbci.cli.live.progress import RunProgress
from nbci.cli.live.summary import (
    ended_words,
    failed_word,
    failure_headline,
    summary_lines,
    traceback_lines,
)
from nbci.formatting.durations import duration
from nbci.formatting.terminal import one_line
from nbci.formatting.text import indented

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TextIO

    from rich.console import Console
    from rich.text import Text

    from nbci.plan.model import Plan
    from nbci.records.run_record import CellRun, Failure, RunRecord, StepRecord

# Ten times a second looks smooth; a cell may print thousands of times in that time.
REDRAW_SECONDS = 0.1
_BAD = re.compile("(?:^| )(?:FAILED|REFUSED|INTERRUPTED)")


class TreeDisplay:
    """Draws the steps of a run as a tree in place."""

    def __init__(
        self,
        stream: TextIO,
        *,
        runs_folder: Path,
        now: Callable[[], float] = monotonic,
        summary: bool = True,
        console: Console | None = None,
    ) -> None:
        """Tests pass a `console` of another size than the stream's own."""
        self._area = Area(stream, console)
        self._runs_folder = runs_folder
        self._summary = summary
        self._now = now
        self._progress = RunProgress(now)
        self._depths: dict[str, int] = {}
        self._drawn_at = float("-inf")
        self._closed = False
        self._noticed: set[str] = set()

    def run_started(self, run: str, plan: Plan) -> None:
        """Draw all steps as waiting."""
        from nbci.cli.live.tree_rows import depths

        self._progress.begin(run, plan)
        self._depths = depths(plan)
        self._above([self._area.text(f"run {run}: {one_line(plan.pipeline)}", "bold")])
        for warning in plan.warnings:
            self.noticed(f"warning: {warning}")

    def step_started(self, step: str, attempt: int) -> None:
        """Show the step as running."""
        self._progress.step(step).begin(attempt, self._now())
        self._redraw()

    def cell_started(
        self, step: str, number: int | None, first_line: str, index: int, total: int
    ) -> None:
        """Show the cell that runs."""
        self._progress.step(step).begin_cell(number, first_line, index, total)
        self._redraw()

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        """Show the last line that was printed."""
        self._progress.step(step).take(text, stream)
        self._redraw()

    def cell_ended(self, step: str, cell: CellRun) -> None:
        """Keep an unfinished line as the last one."""
        self._progress.step(step).flush()

    def step_retried(self, step: str, failure: Failure, delay_seconds: float) -> None:
        """Write above the tree why the attempt failed."""
        attempt = self._progress.step(step).attempt
        line = f"{step}: attempt {attempt} failed: {failure_headline(failure)}"
        line += f"; next in {duration(delay_seconds)}"
        self._above([self._area.text(line, "yellow")])

    def step_ended(self, record: StepRecord) -> None:
        """Show how the step ended; a failure with its traceback is written above the tree."""
        self._progress.step(record.name).flush()
        lines = self._end(record)
        if record.failure is not None:
            lines += self._failure_texts(record.name, record.failure)
        elif record.result == "failed":
            lines.append(self._area.text(f"{record.name} {ended_words(record)}", "bold red"))
        self._add(lines)

    def steps_reused(self, records: Sequence[StepRecord]) -> None:
        """Show the steps as reused, with one redraw: there may be hundreds of them."""
        lines: list[Text] = []
        for record in records:
            lines += self._end(record)
        self._add(lines)

    def _end(self, record: StepRecord) -> list[Text]:
        """Note how the step ended; returns its warnings, for which a row has no room."""
        self._progress.end(record)
        warnings = indented(map(one_line, record.warnings), f"{record.name}: warning: ")
        return [self._area.text(warning, "yellow") for warning in warnings]

    def _add(self, lines: list[Text]) -> None:
        """Write the lines above the tree, if there are any, and redraw it."""
        if lines:
            self._above(lines)
        else:
            self._redraw()

    def noticed(self, text: str) -> None:
        """Write a notice above the tree, once a run."""
        if text not in self._noticed:
            self._noticed.add(text)
            self._above([self._area.text(one_line(text), "yellow")])

    def run_ended(self, record: RunRecord) -> None:
        """Draw the tree for the last time, and write the summary below it."""
        for warning in record.warnings:
            self.noticed(f"warning: {warning}")
        self._redraw(now=True)
        self.close()
        if self._summary:
            texts = []
            for line in summary_lines(record, self._progress, self._runs_folder):
                texts.append(self._area.text(line, _summary_style(line)))
            self._area.draw(texts, [])

    def tick(self) -> None:
        """Redraw the tree with new times; called every second."""
        if self._progress.steps:
            self._redraw(now=True)

    def close(self) -> None:
        """Draw no more; later text is written below the tree."""
        self._area.leave()
        self._closed = True

    def _failure_texts(self, step: str, failure: Failure) -> list[Text]:
        headline = f"{step} {failed_word(failure)}: {failure_headline(failure)}"
        texts = [self._area.text(headline, "bold red")]
        for line in indented(traceback_lines(failure)):
            texts.append(self._area.text(line, "dim"))
        if failure.hint:
            texts.append(self._area.text(f"  hint: {one_line(failure.hint)}", "yellow"))
        return texts

    def _redraw(self, *, now: bool = False) -> None:
        if not self._closed and (now or self._now() - self._drawn_at >= REDRAW_SECONDS):
            self._above([])

    def _above(self, lines: list[Text]) -> None:
        """Replace the tree by the lines, and draw it below them."""
        from nbci.cli.live.tree_rows import tree_rows

        rows: list[Text] = []
        if not self._closed:
            rows = tree_rows(self._progress, self._depths, self._area.console)
        self._area.draw(lines, rows)
        self._drawn_at = self._now()


def _summary_style(line: str) -> str:
    """The style of a line of the summary, in which details are indented."""
    if not line or line.startswith(" "):
        return ""
    # At the beginning of a failure, or in the line of the result: `digits FAILED in 5.2 s`.
    if _BAD.search(line):
        return "bold red"
    return "bold"
