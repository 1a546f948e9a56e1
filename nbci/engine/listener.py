"""What the engine reports while a run goes on, to displays and to the event log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nbci.plan.model import Plan
    from nbci.records.run_record import CellRun, Failure, RunRecord, StepRecord


class RunListener(Protocol):
    """Called on the engine's thread, in order, as things happen; must return quickly.

    Text is already masked.
    """

    def run_started(self, run: str, plan: Plan) -> None:
        """The run has its folder and begins."""

    def step_started(self, step: str, attempt: int) -> None:
        """A try at a step begins, the first is 1."""

    def cell_started(
        self, step: str, number: int | None, first_line: str, index: int, total: int
    ) -> None:
        """The step's cell `index` (from 0) of `total` begins.

        `number` is that of the cell in the notebook.
        """

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        """The step's kernel printed; `text` may end in the middle of a line."""

    def cell_ended(self, step: str, cell: CellRun) -> None:
        """A cell of the step ended, well or not."""

    def step_retried(self, step: str, failure: Failure, delay_seconds: float) -> None:
        """A try failed; the next begins after the delay."""

    def step_ended(self, record: StepRecord) -> None:
        """The step passed, failed or was skipped."""

    def steps_reused(self, records: Sequence[StepRecord]) -> None:
        """Earlier results of these steps, in this order, were taken over."""

    def noticed(self, text: str) -> None:
        """Something worth saying that is no failure, such as that no GPU is there."""

    def run_ended(self, record: RunRecord) -> None:
        """The record is written."""


class TickingListener(RunListener, Protocol):
    """A listener that also wants to know that time passes."""

    def tick(self) -> None:
        """Called about once a second while the run goes on, on the engine's thread."""


class Display(TickingListener, Protocol):
    """A listener that people look at."""

    def close(self) -> None:
        """Leave the terminal in order; called however the run ended, and perhaps more than once."""


class Listeners:
    """Several listeners as one, called in order."""

    def __init__(self, listeners: Sequence[RunListener]) -> None:
        self._listeners = tuple(listeners)

    def run_started(self, run: str, plan: Plan) -> None:
        for listener in self._listeners:
            listener.run_started(run, plan)

    def step_started(self, step: str, attempt: int) -> None:
        for listener in self._listeners:
            listener.step_started(step, attempt)

    def cell_started(
        self, step: str, number: int | None, first_line: str, index: int, total: int
    ) -> None:
        for listener in self._listeners:
            listener.cell_started(step, number, first_line, index, total)

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        for listener in self._listeners:
            listener.text_printed(step, text, stream)

    def cell_ended(self, step: str, cell: CellRun) -> None:
        for listener in self._listeners:
            listener.cell_ended(step, cell)

    def step_retried(self, step: str, failure: Failure, delay_seconds: float) -> None:
        for listener in self._listeners:
            listener.step_retried(step, failure, delay_seconds)

    def step_ended(self, record: StepRecord) -> None:
        for listener in self._listeners:
            listener.step_ended(record)

    def steps_reused(self, records: Sequence[StepRecord]) -> None:
        for listener in self._listeners:
            listener.steps_reused(records)

    def noticed(self, text: str) -> None:
        for listener in self._listeners:
            listener.noticed(text)

    def run_ended(self, record: RunRecord) -> None:
        for listener in self._listeners:
            listener.run_ended(record)


class Aside:
    """Listens to a run that is carried out beside the shown one, and has a log of its own.

    What is noticed there is told under a title, which step begins to who wants to know, and nothing
    else.
    """

    def __init__(
        self,
        tell: Callable[[str], None],
        title: str,
        step_begun: Callable[[str], None] | None = None,
    ) -> None:
        self._tell = tell
        self._title = title
        self._step_begun = step_begun

    def noticed(self, text: str) -> None:
        self._tell(f"{self._title}: {text}")

    def step_started(self, step: str, attempt: int) -> None:
        if self._step_begun is not None:
            self._step_begun(step)

    def _ignore(self, *told: object) -> None:
        pass

    run_started = _ignore
    cell_started = _ignore
    text_printed = _ignore
    cell_ended = _ignore
    step_retried = _ignore
    step_ended = _ignore
    steps_reused = _ignore
    run_ended = _ignore
    tick = _ignore
    close = _ignore
