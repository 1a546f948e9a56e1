"""What a plan will do: for each step run, reuse, or depends on another step.

This is decided with what is known before the run.
"""

from __future__ import annotations

import itertools
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
    from collections.abc import Callable, Iterable

    from nbci.config import Project
    from nbci.engine.caching.decide import Decision
    from nbci.engine.steps.inputs import Inputs
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import StepRecord
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex

_MOST_CHANGES = 3
"""How many changes the reason of a step names."""


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
    forecaster = _Forecast(plan, project, cache, index, last_record)
    return replace(plan, steps=tuple(forecaster.step(step) for step in plan.steps))


class _Forecast:
    """Decides the plan's steps in their order, each with what the earlier ones came to.

    `_undecided` are steps whose result is known only when they have run.
    """

    def __init__(
        self,
        plan: Plan,
        project: Project,
        cache: Cache,
        index: FileIndex,
        last_record: Callable[[str], StepRecord | None],
    ) -> None:
        self._plan = plan
        self._root = project.root
        self._cache = cache
        self._index = index
        self._last_record = last_record
        self._settled = Ended(plan)
        self._undecided: set[str] = set()
        self._planned = self._settled.planned
        self._edges = {step.name: step.after for step in plan.steps}

    def step(self, step: PlannedStep) -> PlannedStep:
        """The step with its action and the reason for it."""
        if step.action != "run":
            return step
        before = self._undecided_before(step)
        unknown = [name for name in before if _needs(step, self._planned[name])]
        if unknown:
            # The nearest step says most: what it waits for in turn stands with that step.
            nearest = unknown[-1]
            for name in step.after:
                if name in unknown:
                    nearest = name
                    break
            return self._depends(step, f"on what {nearest} will come to")
        try:
            inputs = inputs_for(step, self._plan, self._settled)
            decision = decide(
                self._root, step, inputs, self._cache, self._index, made=self._settled.outs
            )
        except StepError as error:
            return replace(step, reason=error.message)
        return self._decided(step, before, inputs, decision)

    def _decided(
        self, step: PlannedStep, before: Iterable[str], inputs: Inputs, decision: Decision
    ) -> PlannedStep:
        """The step where its key is known, unless a step `before` it may still change that."""
        changer = self._may_change(step, inputs, before)
        if changer is not None:
            return self._depends(step, f"on what {changer} will come to")
        if decision.drew:
            for name in before:
                if self._planned[name].notebook == step.notebook:
                    return self._depends(step, f"on the random state that {name} will leave")
        if decision.record is not None:
            self._settled[step.name] = decision.record
            reason = f"of run {decision.record.run}: {decision.reason}"
            return replace(step, action="reuse", reason=reason)

        self._undecided.add(step.name)
        last = self._last_record(step.name)
        if last is None:
            return step
        changed = changes(last.parts, decision.parts)[:_MOST_CHANGES]
        reason = "; ".join(changed) or _unchanged(last, decision)
        if not reason:
            return step
        return replace(step, reason=reason)

    def _depends(self, step: PlannedStep, reason: str) -> PlannedStep:
        self._undecided.add(step.name)
        return replace(step, action="depends", reason=reason)

    def _undecided_before(self, step: PlannedStep) -> list[str]:
        """The steps before it whose end is not known, in the plan's order."""
        # Mostly all are decided, and a thousand steps would each walk the whole graph.
        if not self._undecided:
            return []
        undecided = reachable(step.after, self._edges) & self._undecided
        return [name for name in self._planned if name in undecided]

    def _may_change(self, step: PlannedStep, inputs: Inputs, before: Iterable[str]) -> str | None:
        """A step before it that will run and may change what the step's values refer to.

        The step itself does not name what they refer to.
        """
        names: set[str] = set()
        for ref in inputs.values:
            names.update(ref.refs, ref.reads)
        if not names:
            return None
        for name in before:
            changer = self._planned[name]
            if changer.node != step.node:
                continue
            last = self._last_record(name)
            # Nobody knows yet what a step that never ran hands on.
            if last is None:
                return name
            handed_on = {*changer.gives, *changer.optional_gives}
            # It may have handed on more than its plan says, as what values refer to.
            for given in last.gives:
                handed_on.add(given.name)
            if not names.isdisjoint(handed_on):
                return name
        return None


def _unchanged(last: StepRecord, decision: Decision) -> str:
    """Why a step runs although its inputs are as they were."""
    if not last.ended_well:
        return "it did not pass when it last ran"
    # Its result was not kept, so the decision has looked at none and cannot tell why.
    if last.key == decision.key and last.run is None:
        for part in last.observed:
            if part.kind == CHANGED:
                return f"{part.label} changed while it ran, so its result was not kept"
    return decision.reason


def _needs(step: PlannedStep, before: PlannedStep) -> bool:
    """Whether the result of `before` is part of the step's key.

    The result counts by its values, its files or its metrics.
    """
    for take in step.takes:
        if before.name in take.givers:
            return True
    # A metric reaches a step by a parameter that names it.
    if f"${{{before.name}" in json.dumps(step.params, default=str):
        return True
    pairs = itertools.product(step.deps, before.outs)
    return any(overlap(dep, out) for dep, out in pairs)
