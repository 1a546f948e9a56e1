"""What a step's record says after nbci was killed: it had ended, was running, or never began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.records.run_record import Attempt, Failure

if TYPE_CHECKING:
    from nbci.records.journal import ExecutedNotebook
    from nbci.records.run_record import StepRecord


def interrupted_step(
    step: StepRecord, executed: ExecutedNotebook | None, notebook: str
) -> StepRecord:
    """The record of a step of a run whose engine was killed.

    `executed` is what was journaled of a step that ran, `notebook` the file that is made of it.
    """
    if step.result == "skipped" and step.reason is None:
        return replace(step, reason="the run was interrupted before it")
    if step.result != "running":
        return step

    failure = Failure(kind="interrupted", message="nbci was killed while the step ran")
    attempt = Attempt(
        number=len(step.attempts) + 1,
        result="failed",
        started_utc=step.started_utc or "",
        # No duration is known: nobody was there to measure it.
        seconds=0.0,
        failure=failure,
    )
    if executed is not None:
        # This marks the cell, so the runs of the cells are taken after it.
        cell = executed.cut_short()
        if cell is not None:
            failure = replace(failure, cell=cell.number, first_line=cell.first_line)
        cells = tuple(executed.runs)
        attempt = replace(attempt, failure=failure, cells=cells, notebook=notebook)
    return replace(step, result="failed", attempts=(*step.attempts, attempt))
