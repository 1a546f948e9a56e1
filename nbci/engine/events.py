"""Listeners: several as one, and the one that keeps `events.jsonl`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nbci.records.codec import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.engine.listener import RunListener
    from nbci.plan.model import Plan
    from nbci.records.model import CellRun, Failure, RunRecord, StepRecord
    from nbci.store.runs import RunFolder


class Listeners:
    """Tells several listeners, in order."""

    def __init__(self, listeners: Sequence[RunListener]) -> None:
        self._listeners = tuple(listeners)

    def run_started(self, run: str, plan: Plan) -> None:
        for listener in self._listeners:
            listener.run_started(run, plan)

    def step_started(self, step: str, attempt: int) -> None:
        for listener in self._listeners:
            listener.step_started(step, attempt)

    def cell_started(self, step: str, number: int | None, first_line: str, index: int, total: int) -> None:
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

    def noticed(self, text: str) -> None:
        for listener in self._listeners:
            listener.noticed(text)

    def run_ended(self, record: RunRecord) -> None:
        for listener in self._listeners:
            listener.run_ended(record)


class EventLog:
    """Appends a line to the run's `events.jsonl` for everything but printed text, which the notebooks hold."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def run_started(self, run: str, plan: Plan) -> None:
        self._folder.append_event("run_started", {"run": run, "pipeline": plan.pipeline, "steps": len(plan.steps)})

    def step_started(self, step: str, attempt: int) -> None:
        self._folder.append_event("step_started", {"step": step, "attempt": attempt})

    def cell_started(self, step: str, number: int | None, first_line: str, index: int, total: int) -> None:
        details = {"step": step, "cell": number, "first_line": first_line, "index": index, "total": total}
        self._folder.append_event("cell_started", details)

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        pass

    def cell_ended(self, step: str, cell: CellRun) -> None:
        self._folder.append_event("cell_ended", {"step": step, **plain(cell)})

    def step_retried(self, step: str, failure: Failure, delay_seconds: float) -> None:
        details = {"step": step, "kind": failure.kind, "message": failure.message, "delay_seconds": delay_seconds}
        self._folder.append_event("step_retried", details)

    def step_ended(self, record: StepRecord) -> None:
        failure = record.failure
        details = {"step": record.name, "result": record.result, "seconds": record.seconds, "reason": record.reason}
        if failure is not None:
            details["failure"] = failure.message
        self._folder.append_event("step_ended", details)

    def noticed(self, text: str) -> None:
        self._folder.append_event("noticed", {"text": text})

    def run_ended(self, record: RunRecord) -> None:
        self._folder.append_event("run_ended", {"result": record.result, "seconds": record.seconds})
