"""The listener that writes `events.jsonl`, by which a run can be followed and read afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from nbci.formatting.durations import now_utc
from nbci.records.codec import plain
from nbci.store.files import disk_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbci.plan.model import Plan
    from nbci.records.run_record import CellRun, Failure, RunRecord, StepRecord


class EventLog:
    """Appends a line to a file for everything but printed text, which the notebooks hold.

    Order is the line's `seq`, which goes on where an earlier try at the same run stopped, not its
    time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        before = b""
        if path.exists():
            before = path.read_bytes()
        self._sequence = len(before.splitlines())
        # A kill may have cut the last line off: the next one must not be glued to it.
        self._line_break = ""
        if before and not before.endswith(b"\n"):
            self._line_break = "\n"

    def run_started(self, run: str, plan: Plan) -> None:
        self._append(
            "run_started", {"run": run, "pipeline": plan.pipeline, "steps": len(plan.steps)}
        )

    def step_started(self, step: str, attempt: int) -> None:
        self._append("step_started", {"step": step, "attempt": attempt})

    def cell_started(
        self, step: str, number: int | None, first_line: str, index: int, total: int
    ) -> None:
        details = {
            "step": step,
            "cell": number,
            "first_line": first_line,
            "index": index,
            "total": total,
        }
        self._append("cell_started", details)

    def text_printed(self, step: str, text: str, stream: Literal["stdout", "stderr"]) -> None:
        pass

    def cell_ended(self, step: str, cell: CellRun) -> None:
        self._append("cell_ended", {"step": step, **plain(cell)})

    def step_retried(self, step: str, failure: Failure, delay_seconds: float) -> None:
        details = {
            "step": step,
            "kind": failure.kind,
            "message": failure.message,
            "delay_seconds": delay_seconds,
        }
        self._append("step_retried", details)

    def step_ended(self, record: StepRecord) -> None:
        self._append("step_ended", _end_of_step(record))

    def steps_reused(self, records: Sequence[StepRecord]) -> None:
        self._append_all("step_ended", [_end_of_step(record) for record in records])

    def noticed(self, text: str) -> None:
        self._append("noticed", {"text": text})

    def run_ended(self, record: RunRecord) -> None:
        self._append("run_ended", {"result": record.result, "seconds": record.seconds})

    def _append(self, event: str, details: Mapping[str, Any]) -> None:
        self._append_all(event, [details])

    def _append_all(self, event: str, several: Sequence[Mapping[str, Any]]) -> None:
        now = now_utc()
        lines = [self._line_break]
        for number, details in enumerate(several, start=self._sequence):
            entry = {"seq": number, "time_utc": now, "event": event, **details}
            lines.append(f"{json.dumps(entry, ensure_ascii=False)}\n")
        # What a cell printed may hold half of a surrogate pair, which UTF-8 has no bytes for.
        text = "".join(lines).encode("utf-8", "backslashreplace")

        # Unbuffered and in one piece, so that a kill loses at most a part of the last line.
        with disk_errors(self._path):
            if not self._sequence:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab", buffering=0) as file:
                write_whole(file, text)
        self._line_break = ""
        self._sequence += len(several)


def _end_of_step(record: StepRecord) -> dict[str, Any]:
    details = {
        "step": record.name,
        "result": record.result,
        "seconds": record.seconds,
        "reason": record.reason,
    }
    if record.failure is not None:
        details["failure"] = record.failure.message
    return details
