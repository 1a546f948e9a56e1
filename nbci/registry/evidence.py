"""What a run tells of its steps, in the form in which releases keep it and lineage reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.records.manifest import EvidenceStep

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.model import RunRecord, StepRecord


def evidence_steps(plan: Plan, record: RunRecord) -> tuple[EvidenceStep, ...]:
    """The steps that have a result, in the plan's order."""
    planned = {step.name: step for step in plan.steps}
    return tuple(
        _evidence(planned[step.name], step, record.run)
        for step in record.steps
        if step.name in planned and step.result in ("passed", "reused")
    )


def _evidence(planned: PlannedStep, step: StepRecord, run: str) -> EvidenceStep:
    return EvidenceStep(
        name=step.name,
        notebook=planned.notebook,
        result=step.result,
        key=step.key,
        run=step.run or run,
        started_utc=step.started_utc,
        ended_utc=step.ended_utc,
        host=step.host,
        kernel=step.kernel,
        kernel_version=step.kernel_version,
        after=planned.after,
        params=_params(planned, step),
        takes=step.takes,
        gives=step.gives,
        deps=step.deps,
        outs=step.outs,
        metrics=step.metrics,
        distributions=step.distributions,
    )


def _params(planned: PlannedStep, step: StepRecord) -> Mapping[str, Any] | None:
    """As the step had them: values of earlier steps filled in."""
    return step.params if step.params is not None else planned.params
