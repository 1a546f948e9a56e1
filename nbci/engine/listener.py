"""What the engine tells while a run goes on; displays and the event log listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

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
