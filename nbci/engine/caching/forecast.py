"""What a plan will do: for each step run, reuse, or depends on another step.

This is decided with what is known before the run.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.caching.decide import decide
from nbci.engine.observed.kinds import CHANGED
from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.inputs import inputs_for
from nbci.errors import StepError
from nbci.graph import reachable
from nbci.plan.parts import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nbci.config import Project
    from nbci.engine.caching.decide import Decision
    from nbci.engine.steps.inputs import Inputs
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import StepRecord
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex

_MOST_CHANGES = 3
"""How many changes the reason of a step names."""
_METRIC_OF = re.compile(r"\$\{([^{}:]+):")
"""A metric of a step in a parameter: `${step:metric}`."""


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
    return foresee(plan, project, cache, index, last_record)[0]


def foresee(
    plan: Plan,
    project: Project,
    cache: Cache,
    index: FileIndex,
    last_record: Callable[[str], StepRecord | None],
    *,
    taken_over: Mapping[str, StepRecord] | None = None,
) -> tuple[Plan, Mapping[str, StepRecord]]:
    """The same, with the earlier results of the steps that would be reused.

    `taken_over` are those of steps that the plan itself reuses.
    """
    forecaster = _Forecast(plan, project, cache, index, last_record, taken_over=taken_over or {})
    steps = tuple(map(forecaster.step, plan.steps))
    return replace(plan, steps=steps), forecaster.settled


class _Forecast:
    """Decides the plan's steps in their order, each with what the earlier ones came to."""

    def __init__(
        self,
        plan: Plan,
        project: Project,
        cache: Cache,
        index: FileIndex,
        last_record: Callable[[str], StepRecord | None],
        *,
        taken_over: Mapping[str, StepRecord],
    ) -> None:
        self._plan = plan
        self._root = project.root
        self._cache = cache
        self._index = index
        self._last_record = last_record
        self._taken_over = taken_over
        self.settled = Ended(plan)
        self._undecided = _Undecided(plan)
        self._planned = self.settled.planned

    def step(self, step: PlannedStep) -> PlannedStep:
        """The step with its action and the reason for it."""
        if step.action == "reuse" and step.name in self._taken_over:
            self.settled[step.name] = self._taken_over[step.name]
        if step.action != "run":
            return step
        nearest = self._undecided.nearest_needed(step)
        if nearest is not None:
            return self._depends(step, f"on what {nearest} will come to")
        try:
            inputs = inputs_for(step, self._plan, self.settled)
            decision = decide(
                self._root, step, inputs, self._cache, self._index, made=self.settled.outs
            )
        except StepError as error:
            return replace(step, reason=error.message)
        return self._settle(step, inputs, decision)

    def _settle(self, step: PlannedStep, inputs: Inputs, decision: Decision) -> PlannedStep:
        """The step where its key is known, unless a step before it may still change that."""
        changer = self._may_change(step, inputs)
        if changer is not None:
            return self._depends(step, f"on what {changer} will come to")
        if decision.drew:
            for name in self._undecided_before(step):
                if self._planned[name].notebook == step.notebook:
                    return self._depends(step, f"on the random state that {name} will leave")
        if decision.record is not None:
            self.settled[step.name] = decision.record
            reason = f"of run {decision.record.run}: {decision.reason}"
            return replace(step, action="reuse", reason=reason)

        self._undecided.add(step)
        last = self._last_record(step.name)
        if last is None:
            return step
        changed = changes(last.parts, decision.parts)[:_MOST_CHANGES]
        reason = "; ".join(changed) or _why_it_runs_unchanged(last, decision)
        if not reason:
            return step
        return replace(step, reason=reason)

    def _depends(self, step: PlannedStep, reason: str) -> PlannedStep:
        self._undecided.add(step)
        return replace(step, action="depends", reason=reason)

    def _undecided_before(self, step: PlannedStep) -> list[str]:
        """The steps before it whose end is not known, in the plan's order."""
        # Mostly all are decided, and a thousand steps would each walk the whole graph.
        if not self._undecided.names:
            return []
        undecided = reachable(step.after, self.settled.edges) & self._undecided.names
        return self._undecided.in_order(undecided)

    def _may_change(self, step: PlannedStep, inputs: Inputs) -> str | None:
        """A step before it that will run and may change what the step's values refer to.

        The step itself does not name what they refer to.
        """
        names: set[str] = set()
        for ref in inputs.values:
            names.update(ref.refs, ref.reads)
        if not names:
            return None
        for name in self._undecided_before(step):
            changer = self._planned[name]
            if changer.node != step.node:
                continue
            last = self._last_record(name)
            # What a step that never ran hands on is not known yet.
            if last is None:
                return name
            handed_on = {*changer.gives, *changer.optional_gives}
            # It may have handed on more than its plan says, as what values refer to.
            for given in last.gives:
                handed_on.add(given.name)
            if not names.isdisjoint(handed_on):
                return name
        return None


class _Undecided:
    """The steps whose result is known only when they have run, found by what they make.

    Each step looks up what it needs: compared with every earlier one, ten thousand steps took
    minutes to plan.
    """

    def __init__(self, plan: Plan) -> None:
        self.names: set[str] = set()
        self._places = {step.name: place for place, step in enumerate(plan.steps)}
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        self._by_out: defaultdict[str, list[str]] = defaultdict(list)
        self._by_folder: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, step: PlannedStep) -> None:
        """Note that the step's result is not known yet."""
        self.names.add(step.name)
        # A reference to a node means a step that the node expanded into.
        for name in {step.name, step.node}:
            self._by_name[name].append(step.name)
        for out in step.outs:
            self._by_out[out].append(step.name)
            for folder in _paths_down_to(out):
                self._by_folder[folder].append(step.name)

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Those names in the plan's order."""
        return sorted(names, key=self._places.__getitem__)

    def nearest_needed(self, step: PlannedStep) -> str | None:
        """The nearest of those whose result is part of the step's key; None where none is.

        It says most: what it waits for in turn stands with that step.
        """
        needed = self._needed(step)
        for name in step.after:
            if name in needed:
                return name
        return max(needed, key=self._places.__getitem__, default=None)

    def _needed(self, step: PlannedStep) -> set[str]:
        """Those that the step takes values, files or metrics from."""
        needed: set[str] = set()
        for take in step.takes:
            needed.update(self.names.intersection(take.givers))
        # A metric reaches a step by a parameter that names it.
        for name in _METRIC_OF.findall(json.dumps(step.params, default=str)):
            needed.update(self._by_name.get(name, ()))
        for dep in step.deps:
            needed.update(self._by_folder.get(dep, ()))
            for path in _paths_down_to(dep):
                needed.update(self._by_out.get(path, ()))
        return needed


def _paths_down_to(path: str) -> Iterator[str]:
    """The path and all folders that it lies in, from the outermost.

    >>> list(_paths_down_to("data/raw/train.csv"))
    ['data', 'data/raw', 'data/raw/train.csv']
    """
    return accumulate(path.split("/"), "{}/{}".format)


def _why_it_runs_unchanged(last: StepRecord, decision: Decision) -> str:
    """Why a step runs although its inputs are as they were."""
    if not last.ended_well:
        return "it did not pass when it last ran"
    # Its result was not kept, so the decision has looked at none and cannot tell why.
    if last.key == decision.key and last.run is None:
        for part in last.observed:
            if part.kind == CHANGED:
                return f"{part.label} changed while it ran, so its result was not kept"
    return decision.reason
