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
    """One step as it stands; times are of the display's clock."""

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
        """A try starts."""
        self.state, self.attempt, self.cell, self.first_line, self.total = (
            "running",
            attempt,
            None,
            "",
            0,
        )
        self.started = now if self.started is None else self.started
        self.tail.clear()
        self.last_printed = ""

    def begin_cell(self, number: int | None, first_line: str, index: int, total: int) -> None:
        """A cell starts; the last output is that of the cell before until this one prints."""
        self.cell, self.first_line, self.index, self.total = (
            number,
            one_line(first_line),
            index,
            total,
        )
        self.tail.clear()

    def take(self, text: str, stream: Literal["stdout", "stderr"]) -> list[str]:
        """The kernel printed; the lines that are complete now."""
        lines = self.printed[stream].feed(text)
        self._remember([*lines, self.printed[stream].current])
        self.tail.extend(lines)
        return lines

    def flush(self) -> dict[str, list[str]]:
        """For each stream the line that has no end when the cell has."""
        left = {stream: printed.flush() for stream, printed in self.printed.items()}
        for lines in left.values():
            self.tail.extend(lines)
        return left

    def _remember(self, lines: list[str]) -> None:
        self.last_printed = next(
            (line for line in reversed(lines) if line.strip()), self.last_printed
        )

    def seconds(self, now: float) -> float | None:
        """The record's time when the step has ended, else the time since it started."""
        if self.record is not None:
            return self.record.seconds
        return None if self.started is None else now - self.started


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
        """The plan is known; everything waits."""
        self.run, self.plan, self.started = run, plan, self.now()
        self.steps = {step.name: StepProgress(step.name) for step in plan.steps}

    def step(self, name: str) -> StepProgress:
        """The step's state."""
        return self.steps.setdefault(name, StepProgress(name))

    def end(self, record: StepRecord) -> StepProgress:
        """A step ended."""
        step = self.step(record.name)
        step.record = record
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
