"""The state of the random generators as a step begins.

It is what the nearest steps before it that drew from them left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.engine.observed.kinds import BY_NAME
from nbci.graph import last_of, reachable
from nbci.handoff.values import RANDOM_STATE
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.engine.steps.aliases import Ended
    from nbci.handoff.values import ValueRef
    from nbci.kernels.job import RandomUse
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import StepRecord

_KIND = "random"


class Disputed(Struct, frozen=True, kw_only=True):
    """A state that two branches left differently: the later one of the notebook's steps counts."""

    state: str
    steps: tuple[str, str]


class RandomStates(Struct, frozen=True, kw_only=True):
    """What a step begins with, and what of it branches did not agree about."""

    refs: tuple[ValueRef, ...] = ()
    disputed: tuple[Disputed, ...] = ()


def states_for(step: PlannedStep, records: Ended) -> RandomStates:
    """The states that the steps before it in its notebook left.

    Where one of two branches drew, its state counts.
    """
    refs, disputed = [], []
    for name in sorted(records.states):
        givers = _nearest(step, name, records)
        if not givers:
            continue
        states = records.states[name]
        # Of branches, the later one in the notebook counts, as it would in the whole notebook.
        last = givers[-1]
        refs.append(states[last])
        for giver in givers:
            if states[giver].object != states[last].object:
                disputed.append(Disputed(state=name, steps=(giver, last)))
                break
    return RandomStates(refs=tuple(refs), disputed=tuple(disputed))


def _nearest(step: PlannedStep, name: str, records: Ended) -> list[str]:
    """The steps before this one that left such a state, and that no other of them comes after.

    They are in the plan's order.
    """
    planned = records.planned
    left = set()
    for giver in records.states[name]:
        other_step = planned[giver]
        if (other_step.node, other_step.notebook) == (step.node, step.notebook):
            left.add(giver)
    found: list[str] = []
    if not left:
        return []
    # In a run of a part, the step itself no longer says what it comes after elsewhere.
    pending, seen = list(planned[step.name].after), set[str]()
    while pending:
        other = pending.pop()
        if other in left:
            found.append(other)
        elif other not in seen and other in planned:
            pending.extend(planned[other].after)
        seen.add(other)

    # The walk stops at each giver, so that one may be found by one way and be behind another.
    if len(found) > 1:
        found = list(last_of(found, records.edges))
    return sorted(found, key=list(planned).index)


def _digests(states: RandomStates) -> dict[str, str]:
    return {ref.name: ref.object for ref in states.refs}


def observed_use(use: RandomUse, states: RandomStates) -> tuple[Part, ...]:
    """What the step drew from, as it was before: its result stands only for the same."""
    known = _digests(states)
    return tuple(Part(kind=_KIND, label=name, digest=known.get(name, "")) for name in use.drew)


def draws(record: StepRecord) -> bool:
    """Whether the step was seen to draw from a generator of its process."""
    return any(part.kind == _KIND for part in record.observed)


def changed_state(record: StepRecord, states: RandomStates) -> str | None:
    """Why a result that was drawn from a state is not this one's; None where it stands."""
    known = _digests(states)
    for part in record.observed:
        if part.kind == _KIND and known.get(part.label, "") != part.digest:
            return BY_NAME[_KIND].change.format(label=part.label)
    return None


def warnings(use: RandomUse, states: RandomStates, step: str) -> Iterable[str]:
    """Warnings of numbers that another run, or the notebook as a whole, would not give."""
    for name in use.unseeded:
        yield (
            f"the step drew from the {name}, which nothing had seeded: each run gives other "
            f"numbers. Seed it in an early cell ({_SEEDING[name]}), "
            "or hand on a generator of your own"
        )
    for dispute in states.disputed:
        if dispute.state in use.drew:
            first, second = dispute.steps
            yield (
                f"the steps {first} and {second} both drew from the {dispute.state}, and {step} "
                f"goes on from what {second} left; let one come after the other, "
                f"or seed it in {step}"
            )


def unordered_draws(step: PlannedStep, states: RandomStates, records: Ended) -> Iterator[str]:
    """Warnings of steps that ended before and drew from copies of the same state as this one.

    In `order: dataflow`, nothing puts two steps into an order that only draw random numbers: each
    begins with what the last common step left, where the notebook as a whole would draw one after
    the other. Code does not show who draws, so this is known no earlier than at the second's end.
    """
    own = records.random_use[step.name]
    for state in own.drew:
        if state in own.unseeded:
            continue
        for other in _drew_the_same(step, state, states, records):
            earlier, later = sorted((other, step), key=_first_cell)
            use = records.random_use.get(later.name)
            # whatever the earlier one does, a later one that sets the state itself is right
            if use is not None and state not in use.reseeded:
                yield (
                    f"the steps {earlier.name} and {later.name} both drew from the {state}, each "
                    f"from a copy, since no variable puts one after the other: let {later.name} "
                    f"come after {earlier.name} (`prev:`), or seed it in each step "
                    f"({_SEEDING[state]})"
                )


def _drew_the_same(
    step: PlannedStep, state: str, states: RandomStates, records: Ended
) -> Iterator[PlannedStep]:
    """The steps of the notebook, neither before nor after this one, that began with its state."""
    began_with = _digests(states).get(state, "")
    for name, record in records.items():
        other = records.planned.get(name)
        if other is None or name == step.name:
            continue
        if (other.node, other.notebook) != (step.node, step.notebook):
            continue
        if Part(kind=_KIND, label=state, digest=began_with) not in record.observed:
            continue
        is_before = name in reachable([step.name], records.edges)
        if not is_before and step.name not in reachable([name], records.edges):
            yield other


def _first_cell(step: PlannedStep) -> int:
    return min((cell.number or 0 for cell in step.cells if cell.role == "step"), default=0)


_SEEDING: Mapping[str, str] = {
    f"{RANDOM_STATE}random": "`random.seed(0)`",
    f"{RANDOM_STATE}numpy.random": "`numpy.random.seed(0)`, or `random_state=0` where it is drawn",
    f"{RANDOM_STATE}torch": "`torch.manual_seed(0)`",
}
