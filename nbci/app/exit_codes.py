"""The exit code that a run's record stands for: the one table from results to codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import ExitCode

if TYPE_CHECKING:
    from nbci.records.run_record import RunRecord


def exit_code(record: RunRecord, *, gates: bool = True) -> ExitCode:
    """Find the exit code of a run; a verdict counts only where `gates` do.

    0 passed, 3 a gate refused, 130 interrupted. A failed run gives 5 when something stored is
    damaged, 4 when only the machine failed, 2 when only lock files are wrong, and 1 for the rest.
    """
    if record.result == "passed":
        refused = gates and record.verdict is not None and record.verdict.refuses
        return ExitCode.GATE_REFUSED if refused else ExitCode.SUCCESS
    if record.result == "interrupted":
        return ExitCode.INTERRUPTED

    # a step that was stopped says nothing of the cause: that is among the other failures
    failures = [failure for failure in record.failures if failure.kind != "interrupted"]
    kinds = {failure.kind for failure in failures}
    if "integrity" in kinds:
        return ExitCode.INTEGRITY
    if failures and all(failure.is_infrastructure for failure in failures):
        return ExitCode.INFRASTRUCTURE
    if kinds == {"environment"}:
        return ExitCode.USAGE
    return ExitCode.STEP_FAILED
