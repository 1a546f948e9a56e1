"""What becomes of a run that whoever carries it out has stopped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from nbci.engine.context import StopRequest
from nbci.engine.run import OngoingRun, RunOptions
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import Attempt, Failure, RunRecord, StepRecord

if TYPE_CHECKING:
    from nbci.engine.context import RunContext

HEADER = RunRecord(run="r", pipeline="p", target="p", result="running", nbci="0")
INTERRUPTED = Attempt(
    number=1,
    result="failed",
    started_utc="",
    seconds=1.0,
    failure=Failure(kind="interrupted", message="seen enough"),
)


def stopped(*records: StepRecord) -> RunRecord:
    """The record of a run that was stopped when its steps had come to this."""
    steps = tuple(
        PlannedStep(name=name, notebook="n", kernel="k", language="python", cells=())
        for name in ("a", "b")
    )
    context = SimpleNamespace(
        plan=Plan(pipeline="p", target="p", steps=steps),
        records={record.name: record for record in records},
        stop=StopRequest(),
    )
    run = OngoingRun(cast("RunContext", context), HEADER, RunOptions(jobs=1))
    run.stop("seen enough")
    return run._final_record(1.0)


PASSED = StepRecord(name="a", result="passed")


@pytest.mark.parametrize(
    "records",
    [
        (StepRecord(name="a", result="failed", attempts=(INTERRUPTED,)),),
        (PASSED, StepRecord(name="b", result="skipped", reason="the run was stopped")),
    ],
)
def test_a_run_that_was_stopped_says_why_and_is_no_failure(
    records: tuple[StepRecord, ...],
) -> None:
    record = stopped(*records)
    assert record.result == "interrupted"
    assert record.failure == Failure(kind="interrupted", message="seen enough")


def test_a_stop_that_came_too_late_changes_nothing() -> None:
    skipped = StepRecord(name="b", result="skipped", reason="not asked for")
    record = stopped(PASSED, skipped)
    assert (record.result, record.failure) == ("passed", None)
