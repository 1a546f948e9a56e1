"""What a run asks of whoever runs steps again whose kept results it is about to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

if TYPE_CHECKING:
    from nbci.engine.caching.decide import Decision
    from nbci.engine.context import RunContext
    from nbci.engine.steps.inputs import Inputs
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import StepRecord
    from nbci.records.step_audit import StepAudit


class Auditor(Protocol):
    """Decides which kept results are audited, and audits them, without raising NbciErrors."""

    def draws(self, key: str) -> bool:
        """Whether a step with this key is audited in this run; each time the same answer."""

    async def audit(
        self, context: RunContext, step: PlannedStep, inputs: Inputs, kept: StepRecord
    ) -> StepAudit:
        """Run the step again beside the user's files, and compare with what is kept.

        Where that is different, the kept result is found by nobody any more.
        """

    async def settle(
        self, context: RunContext, step: PlannedStep, record: StepRecord, audit: StepAudit
    ) -> StepAudit:
        """The audit that found a difference, with its cause, now that the step ran in the run.

        `record` is what it came to there.
        """

    def end(self) -> None:
        """Remove what is left of workspaces, when the run has ended."""


def auditor_for(context: RunContext, step: PlannedStep, decision: Decision) -> Auditor | None:
    """Who runs the step again although an earlier result stands; None where that is reused."""
    auditor = context.auditor
    if auditor is None or decision.record is None or context.forced(step.name):
        return None
    if not auditor.draws(decision.key):
        return None
    return auditor


def write_audited(context: RunContext, record: StepRecord, audit: StepAudit) -> StepRecord:
    """Write the record with what the audit found; what is kept for other runs does not have it."""
    record = replace(record, audit=audit)
    if record.result == "reused":
        record = replace(record, reason=audit.sentence)
    if audit.agreement == "different":
        record = replace(record, warnings=(*record.warnings, audit.sentence))
    context.folder.write_step(record)
    return record
