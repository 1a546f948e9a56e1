"""Steps as data flow sees them: their code, their order, and what each does to names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from nbci.dataflow.definition_effects import without_certainty
from nbci.dataflow.names import Names, names_of
from nbci.errors import UsageError
from nbci.graph import Cycle, topological

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.definition_effects import Body
    from nbci.dataflow.origin import Origin

_Item = TypeVar("_Item")


class StepCode(Struct, frozen=True, kw_only=True):
    """A step as data flow sees it: its code, and the steps right before it.

    Names in `after` that are no steps of this flow are ignored. `future_annotations`: a step before
    has `from __future__ import annotations`, which holds here, too. `own` names are made by imports
    and functions cells of its `notebook`: no step of another one gives them.
    """

    name: str
    after: tuple[str, ...] = ()
    cells: tuple[ParsedCell, ...] = ()
    future_annotations: bool = False
    notebook: str = ""
    own: frozenset[str] = frozenset()


class StepGraph(Struct, frozen=True, kw_only=True):
    """Steps by their numbers: their names, those right before each, and an order to run in."""

    names: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, steps: Sequence[StepCode]) -> StepGraph:
        """Number the steps as they stand; UsageError if they form a cycle."""
        names = tuple(step.name for step in steps)
        numbers = positions(names)
        before: dict[str, list[str]] = {}
        for step in steps:
            before[step.name] = [*filter(numbers.__contains__, step.after)]
        try:
            order = topological(before)
        except Cycle as cycle:
            raise UsageError(
                f"the steps form a cycle: {cycle}", hint="remove one of its prev: tags"
            ) from cycle

        numbered = []
        for earlier in before.values():
            numbered.append(tuple(sorted({numbers[name] for name in earlier})))
        return cls(
            names=names,
            before=tuple(numbered),
            order=tuple(numbers[name] for name in order),
        )

    def names_of(self, steps: Iterable[int]) -> tuple[str, ...]:
        """The names of these steps, in the order in which they are given."""
        return tuple(self.names[step] for step in steps)

    def step_and_followers(self, first: int) -> set[int]:
        """The step and all that come after it."""
        found = {first}
        for step in self.order:
            if not found.isdisjoint(self.before[step]):
                found.add(step)
        return found


def positions(items: Iterable[_Item]) -> dict[_Item, int]:
    """Each item with its place among them, from 0."""
    return {item: place for place, item in enumerate(items)}


def names_of_steps(steps: Sequence[StepCode], order: Iterable[int], origin: Origin) -> list[Names]:
    """The names of every step; functions and classes are followed into later steps."""
    known: dict[str, tuple[Body, ...]] = dict(origin.definitions)
    names: list[Names | None] = [None] * len(steps)
    for step in order:
        future = origin.future_annotations or steps[step].future_annotations
        found = names_of(steps[step].cells, known=known, future_annotations=future)
        names[step] = found
        # The name may stand for something else now, and where only some paths bind it, may not.
        for name in found.binds & known.keys():
            known[name] = without_certainty(known[name])
        for name, bodies in found.definitions.items():
            both = (*known.get(name, ()), *without_certainty(bodies))
            # Steps often define a function alike: to follow it once is enough.
            known[name] = tuple(dict.fromkeys(both))
    return [*filter(None, names)]


def bound_names(names: Iterable[Names], origin: Origin) -> set[str]:
    """The names that some code is seen to bind."""
    bound = set(origin.own)
    for found in names:
        bound |= found.binds
    return bound
