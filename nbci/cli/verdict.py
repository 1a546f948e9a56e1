"""The exit code that a run's record stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import ExitCode

if TYPE_CHECKING:
    from nbci.records.run_record import RunRecord

_INFRASTRUCTURE = ("kernel-start", "infrastructure")


def exit_code(record: RunRecord, *, gates: bool = True) -> ExitCode:
    """0 passed, 3 a gate refused (where `gates` count), 130 interrupted, else what failed.

    That is 5 when something stored is damaged, 4 when only the machine failed, 2 when only lock
    files are wrong, and 1 for the rest.
    """
    if record.result == "passed":
        refused = gates and record.verdict is not None and record.verdict.refuses
        return ExitCode.GATE_REFUSED if refused else ExitCode.SUCCESS
    if record.result == "interrupted":
        return ExitCode.INTERRUPTED
    kinds = [step.failure.kind for step in record.steps if step.failure is not None]
    kinds += [record.failure.kind] if record.failure is not None else []
    kinds = [
        kind for kind in kinds if kind != "interrupted"
    ]  # stopped because of what is among the others
    if "integrity" in kinds:
        return ExitCode.INTEGRITY
    if kinds and all(kind in _INFRASTRUCTURE for kind in kinds):
        return ExitCode.INFRASTRUCTURE
    if kinds and all(kind == "environment" for kind in kinds):
        return ExitCode.USAGE
    return ExitCode.STEP_FAILED
