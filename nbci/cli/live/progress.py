"""Where a run stands: what the engine told so far, folded into one state per step."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from nbci.cli.live.printed import PrintedLines
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.plan.model import Plan
    from nbci.records.run_record import StepRecord

State = Literal["waiting", "running", "passed", "failed", "interrupted", "reused", "skipped"]
TAIL_LINES = 10


class StepProgress(Struct):
    """One step as it stands; times are of the display's clock.

    `index` counts the cells from 0, `total` is their number, `tail` has the last lines that the
    cell printed.
    """

    name: str
    state: State = "waiting"
    started: float | None = None
    attempt: int = 0
    cell: int | None = None
    first_line: str = ""
    index: int = 0
    total: int = 0
    record: StepRecord | None = None
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    printed: defaultdict[str, PrintedLines] = field(
        default_factory=lambda: defaultdict(PrintedLines)
    )
    last_printed: str = ""

    def begin(self, attempt: int, now: float) -> None:
        """Start an attempt with nothing left of the one before."""
        self.state = "running"
        self.attempt = attempt
        self.cell, self.first_line, self.total = None, "", 0
        # The first attempt's: a person waits for the step, however often it is tried.
        if self.started is None:
            self.started = now
        self.tail.clear()
        self.last_printed = ""

    def begin_cell(self, number: int | None, first_line: str, index: int, total: int) -> None:
        """Start a cell; the last output is that of the cell before until this one prints."""
        self.cell, self.first_line = number, one_line(first_line)
        self.index, self.total = index, total
        self.tail.clear()

    def take(self, text: str, stream: Literal["stdout", "stderr"]) -> list[str]:
        """Take what the kernel printed; the lines that are complete now."""
        printed = self.printed[stream]
        lines = printed.feed(text)
        self._remember([*lines, printed.current])
        self.tail.extend(lines)
        return lines

    def flush(self) -> dict[str, list[str]]:
        """For each stream the line that has no end when the cell has."""
        unfinished = {stream: printed.flush() for stream, printed in self.printed.items()}
        for lines in unfinished.values():
            self.tail.extend(lines)
        return unfinished

    def _remember(self, lines: list[str]) -> None:
        """Keep the last line that says something: an empty one would look like silence."""
        for line in reversed(lines):
            if line.strip():
                self.last_printed = line
                return

    def seconds(self, now: float) -> float | None:
        """The record's time when the step has ended, else the time since it started."""
        if self.record is not None:
            return self.record.seconds
        if self.started is None:
            return None
        return now - self.started


class RunProgress:
    """All steps of a run, in the plan's order."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.started = now()
        self.run = ""
        self.plan: Plan | None = None
        self.steps: dict[str, StepProgress] = {}
        self.ended: list[str] = []

    def begin(self, run: str, plan: Plan) -> None:
        """Take the plan; everything waits."""
        self.run, self.plan, self.started = run, plan, self.now()
        self.steps = {step.name: StepProgress(step.name) for step in plan.steps}

    def step(self, name: str) -> StepProgress:
        """The step's state."""
        return self.steps.setdefault(name, StepProgress(name))

    def end(self, record: StepRecord) -> StepProgress:
        """Take the record of a step that has ended."""
        step = self.step(record.name)
        step.record = record
        # A record that still says "running" is of a step that was cut short.
        step.state = "failed" if record.result == "running" else record.outcome
        self.ended.append(record.name)
        return step

    def running(self) -> list[StepProgress]:
        """The steps that run now."""
        return [step for step in self.steps.values() if step.state == "running"]

    def counts(self) -> Counter[State]:
        """How many steps are in each state."""
        return Counter(step.state for step in self.steps.values())

    def seconds(self) -> float:
        """Since the run started."""
        return self.now() - self.started
