"""Names that share objects are handed on together.

A step that changes one of them changes the others, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.graph import by_name, followers_of, reachable
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
        self.planned = by_name(plan.steps)
        self.along: dict[str, list[str]] = {}
        self.lending: dict[str, list[ValueRef]] = {}
        self.outs: dict[str, FileRef] = {}
        self.states: dict[str, dict[str, ValueRef]] = {}
        self.random_use: dict[str, RandomUse] = {}
        for record in records:
            self[record.name] = record

    def __setitem__(self, name: str, record: StepRecord) -> None:
        super().__setitem__(name, record)
        for out in record.outs:
            self.outs[out.path] = out
        self._note_random_states(record)
        lending = [ref for ref in record.gives if ref.reads or ref.refs]
        if lending:
            self.lending[name] = lending
        self._note_values_along(record)

    def _note_values_along(self, record: StepRecord) -> None:
        planned = self.planned.get(record.name)
        if planned is None:
            return
        for ref in record.gives:
            if ref.name not in planned.gives and ref.name not in planned.optional_gives:
                self.along.setdefault(ref.name, []).append(record.name)

    def _note_random_states(self, record: StepRecord) -> None:
        # A step that runs again may leave no state this time.
        for states_by_step in self.states.values():
            states_by_step.pop(record.name, None)
        if record.name not in self.planned:
            return
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
    known = {*step.gives, *step.optional_gives}
    grouped: set[str] = set()
    for ref in taken:
        known.add(ref.name)
        grouped.update(ref.group)
    names = grouped - known
    # Most steps share nothing, and need not look at the steps behind them.
    if not names:
        return ()

    names &= _names_wanted_later(step, plan, records)
    objects = {ref.object for ref in taken}
    found: dict[str, ValueRef] = {}
    for name in sorted(names):
        for giver in last_givers(step, name, plan, records):
            for ref in records[giver].gives:
                # Another object means that a step bound the name to something else.
                if ref.name == name and ref.object in objects:
                    found[ref.name] = ref
    return tuple(found.values())


def _names_wanted_later(step: PlannedStep, plan: Plan, records: Ended) -> set[str]:
    """The names that steps behind this one take, or look up by what they take."""
    followers = followers_of(plan.edges())
    later = reachable([step.name], followers) - {step.name}
    wanted: set[str] = set()
    for other in plan.steps:
        if other.name in later:
            wanted.update(take.name for take in other.takes)
    # A later step that takes a function has the names, too, that it looks up when it is called.
    for ref in passing_by(step, plan, records):
        wanted.update(ref.reads)
    return wanted


def givers(step: PlannedStep, take: Take, plan: Plan, records: Ended) -> tuple[str, ...]:
    """The last of the steps that a value comes from.

    They are the planned ones and those that took the value along.
    """
    carriers = records.along.get(take.name)
    # Hot: asked for every value of every step, and hardly any value is taken along.
    if not carriers:
        return take.givers
    along = _of_same_node(step, dict.fromkeys(carriers), plan)
    if not along:
        return take.givers
    ancestors = _ancestors(step, plan)
    return _last([*take.givers, *filter(ancestors.__contains__, along)], plan)


def last_givers(step: PlannedStep, name: str, plan: Plan, records: Ended) -> tuple[str, ...]:
    """The last of the steps before it that handed on a value of that name.

    Steps that deleted the value count, too: after `del x`, an older `x` must not come back.
    """
    ancestors = _ancestors(step, plan)
    before = filter(ancestors.__contains__, _of_same_node(step, records, plan))
    return _last([giver for giver in before if _gives_or_deletes(records[giver], name)], plan)


def _gives_or_deletes(record: StepRecord, name: str) -> bool:
    return name in record.deleted or any(ref.name == name for ref in record.gives)


def passing_by(step: PlannedStep, plan: Plan, records: Ended) -> tuple[ValueRef, ...]:
    """What the steps before it hand on, to any step, that leads to names.

    It leads to them by functions, or by what cells made.

    After `mine = REGISTRY`, a later step that has `mine` sees what steps between changed in
    `REGISTRY`, which neither of them may mention.
    """
    # Without such values, which is the usual case, no ancestors are walked.
    if not records.lending:
        return ()
    ancestors = _ancestors(step, plan)
    refs: list[ValueRef] = []
    for name in _of_same_node(step, records.lending, plan):
        if name in ancestors:
            refs += records.lending[name]
    return tuple(refs)


def _of_same_node(step: PlannedStep, names: Iterable[str], plan: Plan) -> list[str]:
    """Those of the steps that values pass between, this one included."""
    planned = {other.name for other in plan.steps if other.node == step.node}
    # In the order of `names`, on which the order of values in a step's key depends.
    return list(filter(planned.__contains__, names))


def _ancestors(step: PlannedStep, plan: Plan) -> set[str]:
    return reachable(step.after, plan.edges())


def _last(steps: Iterable[str], plan: Plan) -> tuple[str, ...]:
    """The steps that none of the others comes after."""
    edges = plan.edges()
    candidates = tuple(dict.fromkeys(steps))
    behind_others: set[str] = set()
    for name in candidates:
        behind_others |= reachable(edges[name], edges)
    return tuple(name for name in candidates if name not in behind_others)
