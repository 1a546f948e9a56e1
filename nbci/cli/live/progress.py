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
    """The state of one step; times are those of the display's clock.

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
        """Start an attempt: the state of the one before is cleared."""
        self.state = "running"
        self.attempt = attempt
        self.cell, self.first_line, self.total = None, "", 0
        # The first attempt's: a person waits for the step, however often it is tried.
        if self.started is None:
            self.started = now
        self.tail.clear()
        self.last_printed = ""

    def begin_cell(self, number: int | None, first_line: str, index: int, total: int) -> None:
        """Start a cell; `last_printed` stays until it prints something."""
        self.cell, self.first_line = number, one_line(first_line)
        self.index, self.total = index, total
        self.tail.clear()

    def take(self, text: str, stream: Literal["stdout", "stderr"]) -> list[str]:
        """Add what the kernel printed; returns the lines that are complete now."""
        printed = self.printed[stream]
        lines = printed.feed(text)
        self._remember([*lines, printed.current])
        self.tail.extend(lines)
        return lines

    def flush(self) -> dict[str, list[str]]:
        """End the unfinished line of each stream, and return it."""
        unfinished = {}
        for stream, printed in self.printed.items():
            unfinished[stream] = printed.flush()
            self.tail.extend(unfinished[stream])
        return unfinished

    def _remember(self, lines: list[str]) -> None:
        """Keep the last line that is not blank: a blank one would look like no output."""
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
        """Start a run: all steps of the plan are waiting."""
        self.run, self.plan, self.started = run, plan, self.now()
        self.steps = {step.name: StepProgress(step.name) for step in plan.steps}

    def step(self, name: str) -> StepProgress:
        """The progress of a step, also of one that is not in the plan."""
        return self.steps.setdefault(name, StepProgress(name))

    def end(self, record: StepRecord) -> StepProgress:
        """Note the record of a step that has ended."""
        step = self.step(record.name)
        step.record = record
        if record.result == "running":
            # Its end was never recorded: it was cut short.
            step.state = "failed"
        else:
            step.state = record.outcome
        self.ended.append(record.name)
        return step

    def in_state(self, state: State) -> list[StepProgress]:
        """The steps in that state, in the plan's order."""
        return [step for step in self.steps.values() if step.state == state]

    def counts(self) -> Counter[State]:
        """The number of steps in each state."""
        return Counter(step.state for step in self.steps.values())

    def seconds(self) -> float:
        """Seconds since the run started."""
        return self.now() - self.started
