"""Names that share objects are handed on together.

A step that changes one of them changes the others, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.graph import by_name, followers_of, last_of, reachable
from nbci.handoff.values import RANDOM_STATE
from nbci.records.run_record import lets_followers_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.handoff.values import ValueRef
    from nbci.kernels.job import RandomUse
    from nbci.plan.model import Plan, PlannedStep, Take
    from nbci.records.run_record import FileRef, StepRecord


class Ended(dict[str, "StepRecord"]):
    """What the steps of a plan have come to so far.

    `along` has, for a value, the steps that took it along; `lending` the values that refer to what
    cells of all steps made, or have functions that look up names; `outs` has every out, by path;
    `states` has the random states that steps left, by their names and then by step; `random_use`
    what steps that ran in this process, rather than being reused, were seen to draw. `planned` are
    the plan's steps by name, and `edges` those that each comes after.
    """

    def __init__(self, plan: Plan, records: Iterable[StepRecord] = ()) -> None:
        super().__init__()
        self.planned = by_name(plan.steps)
        self.edges = plan.edges()
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

    def lets_followers_run(self, name: str) -> bool:
        """Whether the step has ended, and the steps after it may run."""
        return name in self and lets_followers_run(self[name].result)

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
    step: PlannedStep, taken: Iterable[ValueRef], records: Ended
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

    names &= _names_wanted_later(step, records)
    objects = {ref.object for ref in taken}
    found: dict[str, ValueRef] = {}
    for name in sorted(names):
        for giver in last_givers(step, name, records):
            for ref in records[giver].gives:
                # Another object means that a step bound the name to something else.
                if ref.name == name and ref.object in objects:
                    found[ref.name] = ref
    return tuple(found.values())


def _names_wanted_later(step: PlannedStep, records: Ended) -> set[str]:
    """The names that steps behind this one take, or look up by what they take."""
    later = reachable([step.name], followers_of(records.edges)) - {step.name}
    wanted: set[str] = set()
    for name in later:
        for take in records.planned[name].takes:
            wanted.add(take.name)
    # A later step that takes a function has the names, too, that it looks up when it is called.
    for ref in passing_by(step, records):
        wanted.update(ref.reads)
    return wanted


def givers(step: PlannedStep, take: Take, records: Ended) -> tuple[str, ...]:
    """The last of the steps that a value comes from.

    They are the planned ones and those that took the value along.
    """
    carriers = records.along.get(take.name)
    # Hot: asked for every value of every step, and hardly any value is taken along.
    if not carriers:
        return take.givers
    along = list(_of_same_node(step, carriers, records))
    if not along:
        return take.givers
    ancestors = reachable(step.after, records.edges)
    return last_of([*take.givers, *filter(ancestors.__contains__, along)], records.edges)


def last_givers(step: PlannedStep, name: str, records: Ended) -> tuple[str, ...]:
    """The last of the steps before it that handed on a value of that name.

    Steps that deleted the value count, too: after `del x`, an older `x` must not come back.
    """
    ancestors = reachable(step.after, records.edges)
    found: list[str] = []
    for giver in _of_same_node(step, records, records):
        if giver in ancestors and _gives_or_deletes(records[giver], name):
            found.append(giver)
    return last_of(found, records.edges)


def _gives_or_deletes(record: StepRecord, name: str) -> bool:
    return name in record.deleted or any(ref.name == name for ref in record.gives)


def passing_by(step: PlannedStep, records: Ended) -> tuple[ValueRef, ...]:
    """What the steps before it hand on, to any step, that leads to names.

    It leads to them by functions, or by what cells made.

    After `mine = REGISTRY`, a later step that has `mine` sees what steps between changed in
    `REGISTRY`, which neither of them may mention.
    """
    # Without such values, which is the usual case, no ancestors are walked.
    if not records.lending:
        return ()
    ancestors = reachable(step.after, records.edges)
    refs: list[ValueRef] = []
    for name in _of_same_node(step, records.lending, records):
        if name in ancestors:
            refs += records.lending[name]
    return tuple(refs)


def _of_same_node(step: PlannedStep, names: Iterable[str], records: Ended) -> Iterator[str]:
    """Those of the steps that values pass between, this one included."""
    # In the order of `names`, on which the order of values in a step's key depends.
    for name in names:
        other = records.planned.get(name)
        if other is not None and other.node == step.node:
            yield name
