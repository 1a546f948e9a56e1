"""What a plan will do: for each step run, reuse, or depends on another step.

This is decided with what is known before the run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.caching.decide import decide
from nbci.engine.observed.kinds import CHANGED
from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.inputs import inputs_for
from nbci.errors import StepError
from nbci.graph import reachable
from nbci.pipeline.paths import overlap
from nbci.plan.parts import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.config import Project
    from nbci.engine.caching.decide import Decision
    from nbci.engine.steps.inputs import Inputs
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import StepRecord
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex


def forecast(
    plan: Plan,
    project: Project,
    cache: Cache,
    index: FileIndex,
    last_record: Callable[[str], StepRecord | None],
) -> Plan:
    """The plan with each step's action and the reason for it.

    `last_record` is the last record of the step.
    """
    settled = Ended(plan)
    steps: list[PlannedStep] = []
    undecided: set[str] = set()
    planned = {step.name: step for step in plan.steps}
    for step in plan.steps:
        if step.action != "run":
            steps.append(step)
            continue
        before = _undecided_before(step, planned, undecided)
        unknown = [name for name in before if _needs(step, planned[name])]
        if unknown:
            undecided.add(step.name)
            # The nearest step says most: what it waits for in turn stands with that step.
            nearest = next((name for name in step.after if name in unknown), unknown[-1])
            reason = f"on what {nearest} will come to"
            steps.append(replace(step, action="depends", reason=reason))
            continue
        try:
            inputs = inputs_for(step, plan, settled)
            decision = decide(project.root, step, inputs, cache, index, made=settled.outs)
        except StepError as error:
            steps.append(replace(step, reason=error.message))
            continue
        changer = _may_change(step, inputs, planned, {name: last_record(name) for name in before})
        waiting = next(
            (name for name in before if decision.drew and planned[name].notebook == step.notebook),
            None,
        )
        if changer is not None:
            undecided.add(step.name)
            steps.append(replace(step, action="depends", reason=f"on what {changer} will come to"))
        elif waiting is not None:
            undecided.add(step.name)
            steps.append(
                replace(
                    step, action="depends", reason=f"on the random state that {waiting} will leave"
                )
            )
        elif decision.record is not None:
            settled[step.name] = decision.record
            steps.append(
                replace(
                    step, action="reuse", reason=f"of run {decision.record.run}: {decision.reason}"
                )
            )
        else:
            undecided.add(step.name)
            last = last_record(step.name)
            changed = changes(last.parts, decision.parts)[:3] if last is not None else ()
            reason = "" if last is None else "; ".join(changed) or _unchanged(last, decision)
            steps.append(replace(step, reason=reason) if reason else step)
    return replace(plan, steps=tuple(steps))


def _undecided_before(
    step: PlannedStep, planned: Mapping[str, PlannedStep], undecided: set[str]
) -> list[str]:
    """The steps before it whose end is not known, in the plan's order."""
    if not undecided:
        return []
    before = reachable(step.after, {name: one.after for name, one in planned.items()})
    return [name for name in planned if name in before and name in undecided]


def _may_change(
    step: PlannedStep,
    inputs: Inputs,
    planned: Mapping[str, PlannedStep],
    before: Mapping[str, StepRecord | None],
) -> str | None:
    """A step before it that will run and may change what the step's values refer to.

    The step itself does not name what they refer to.
    """
    names = {name for ref in inputs.values for name in (*ref.refs, *ref.reads)}
    for name, last in before.items() if names else ():
        changer = planned[name]
        handed_on = {*changer.gives, *changer.optional_gives}
        handed_on.update(ref.name for ref in (last.gives if last is not None else ()))
        if changer.node == step.node and (last is None or names & handed_on):
            return name
    return None


def _unchanged(last: StepRecord, decision: Decision) -> str:
    """Why a step runs although its inputs are as they were."""
    if not last.ended_well:
        return "it did not pass when it last ran"
    if last.key == decision.key and last.run is None:
        changed = next((part.label for part in last.observed if part.kind == CHANGED), None)
        if changed is not None:
            return f"{changed} changed while it ran, so its result was not kept"
    return decision.reason


def _needs(step: PlannedStep, before: PlannedStep) -> bool:
    """Whether the result of `before` is part of the step's key.

    The result counts by its values, its files or its metrics.
    """
    if any(before.name in take.givers for take in step.takes):
        return True
    if f"${{{before.name}" in json.dumps(step.params, default=str):
        return True
    return any(overlap(dep, out) for dep in step.deps for out in before.outs)
