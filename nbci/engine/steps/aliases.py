"""Names that share objects are handed on together.

A step that changes one of them changes the others, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.graph import followers_of, reachable
from nbci.handoff.values import RANDOM_STATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.handoff.values import ValueRef
    from nbci.kernels.job import RandomUse
    from nbci.plan.model import Plan, PlannedStep, Take
    from nbci.records.run_record import FileRef, StepRecord


class Ended(dict[str, "StepRecord"]):
    """What the steps of a plan have come to so far.

    `along` has, for a value, the steps that took it along; `lending` the values that refer to what
    cells of all steps made, or have functions that look up names; `outs` has every out, by path;
    `states` has the random states that steps left, by their names and then by step; `random_use`
    what steps that ran in this process, rather than being reused, were seen to draw.
    """

    def __init__(self, plan: Plan, records: Iterable[StepRecord] = ()) -> None:
        super().__init__()
        self.planned = {step.name: step for step in plan.steps}
        self.along: dict[str, list[str]] = {}
        self.lending: dict[str, list[ValueRef]] = {}
        self.outs: dict[str, FileRef] = {}
        self.states: dict[str, dict[str, ValueRef]] = {}
        self.random_use: dict[str, RandomUse] = {}
        for record in records:
            self[record.name] = record

    def __setitem__(self, name: str, record: StepRecord) -> None:
        super().__setitem__(name, record)
        self.outs |= {ref.path: ref for ref in record.outs}
        self._take_states(record)
        lending = [ref for ref in record.gives if ref.reads or ref.refs]
        if lending:
            self.lending[name] = lending
        planned = self.planned.get(name)
        if planned is not None:
            for ref in record.gives:
                if ref.name not in planned.gives and ref.name not in planned.optional_gives:
                    self.along.setdefault(ref.name, []).append(name)

    def _take_states(self, record: StepRecord) -> None:
        for left in self.states.values():
            left.pop(record.name, None)
        if record.name in self.planned:
            for ref in record.gives:
                if ref.name.startswith(RANDOM_STATE):
                    self.states.setdefault(ref.name, {})[record.name] = ref


def companions(
    step: PlannedStep, taken: Iterable[ValueRef], plan: Plan, records: Ended
) -> tuple[ValueRef, ...]:
    """Values that share objects with those that the step takes.

    The step does not mention them, and a later step takes them.

    After `b = a`, a step that only calls `a.append(1)` takes `b` along, and hands it on; unless a
    step bound `b` to something else meanwhile.
    """
    taken = tuple(taken)
    known = {ref.name for ref in taken} | {*step.gives, *step.optional_gives}
    names = {name for ref in taken for name in ref.group} - known
    if not names:
        return ()
    later = reachable([step.name], followers_of({one.name: one.after for one in plan.steps})) - {
        step.name
    }
    wanted = {take.name for one in plan.steps if one.name in later for take in one.takes}
    # A later step that takes a function has the names, too, that it looks up when it is called.
    for ref in passing_by(step, plan, records):
        wanted |= set(ref.reads)
    names &= wanted
    objects = {ref.object for ref in taken}
    found: dict[str, ValueRef] = {}
    for name in sorted(names):
        for giver in last_givers(step, name, plan, records):
            found |= {
                ref.name: ref
                for ref in records[giver].gives
                if ref.name == name and ref.object in objects
            }
    return tuple(found.values())


def givers(step: PlannedStep, take: Take, plan: Plan, records: Ended) -> tuple[str, ...]:
    """The last of the steps that a value comes from.

    They are the planned ones and those that took the value along.
    """
    carriers = records.along.get(take.name)
    if not carriers:
        return take.givers
    along = _together(step, dict.fromkeys(carriers), plan)
    if not along:
        return take.givers
    ancestors = _ancestors(step, plan)
    return _last([*take.givers, *(name for name in along if name in ancestors)], plan)


def last_givers(step: PlannedStep, name: str, plan: Plan, records: Ended) -> tuple[str, ...]:
    """The last of the steps before it that handed on a value of that name.

    Steps that deleted the value count, too.
    """
    ancestors = _ancestors(step, plan)
    having = [giver for giver in _together(step, records, plan) if giver in ancestors]
    return _last([giver for giver in having if _has_to_do_with(records[giver], name)], plan)


def _has_to_do_with(record: StepRecord, name: str) -> bool:
    return name in record.deleted or any(ref.name == name for ref in record.gives)


def passing_by(step: PlannedStep, plan: Plan, records: Ended) -> tuple[ValueRef, ...]:
    """What the steps before it hand on, to any step, that leads to names.

    It leads to them by functions, or by what cells made.

    After `mine = REGISTRY`, a later step that has `mine` sees what steps between changed in
    `REGISTRY`, which neither of them may mention.
    """
    if not records.lending:
        return ()
    ancestors = _ancestors(step, plan)
    lenders = [name for name in _together(step, records.lending, plan) if name in ancestors]
    return tuple(ref for name in lenders for ref in records.lending[name])


def _together(step: PlannedStep, names: Iterable[str], plan: Plan) -> list[str]:
    """Those of the steps that values pass between, this one included."""
    planned = {one.name for one in plan.steps if one.node == step.node}
    return [name for name in names if name in planned]


def _ancestors(step: PlannedStep, plan: Plan) -> set[str]:
    return reachable(step.after, {one.name: one.after for one in plan.steps})


def _last(steps: Iterable[str], plan: Plan) -> tuple[str, ...]:
    """The steps that none of the others comes after."""
    before = {one.name: one.after for one in plan.steps}
    candidates = tuple(dict.fromkeys(steps))
    behind = {name: reachable(before[name], before) for name in candidates}
    return tuple(
        name for name in candidates if not any(name in behind[other] for other in candidates)
    )
