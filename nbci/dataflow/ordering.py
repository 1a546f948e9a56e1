"""Finds the order of steps that their variables ask for (`order: dataflow`)."""

from __future__ import annotations

from collections import defaultdict
from itertools import repeat
from typing import TYPE_CHECKING

from nbci.dataflow.alterations import altered_names, called_names, classes_used, is_flat
from nbci.dataflow.fresh import NONE_FRESH
from nbci.dataflow.origin import Origin
from nbci.dataflow.prelude import codes_of
from nbci.dataflow.shared_objects import Sharing, library_names, links, looked_up_names, loop_names
from nbci.dataflow.step_code import bound_names, names_of_steps
from nbci.dataflow.subclasses import defined_classes, with_subclasses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.names import Names
    from nbci.dataflow.prelude import Statement
    from nbci.dataflow.step_code import StepCode


def order_from_flow(
    steps: Sequence[StepCode],
    params: frozenset[str] = frozenset(),
    prelude: Sequence[Statement] = (),
    *,
    settled: frozenset[str] = frozenset(),
    fresh: Mapping[str, str] = NONE_FRESH,
) -> tuple[tuple[str, str], ...]:
    """The edges (earlier, later) that variables ask for, with the steps in notebook order.

    `settled` and `fresh` are as for `flow`: others have the `fresh` names from the first step that
    uses them.
    """
    origin = Origin.of(params, prelude, settled)
    names = names_of_steps(steps, range(len(steps)), origin)
    alterations = _Alterations(steps, names, prelude)
    altered = alterations.by_steps(origin)
    sharing = _Sharers(alterations, altered, origin, prelude)
    uncertain_before = _uncertain_before(names, origin)
    order = _NameOrder(origin, fresh)
    for step, (found, read) in enumerate(zip(names, with_subclasses(names), strict=True)):
        replaced = (found.surely_binds | found.unbinds) - read
        writes = altered[step] | found.binds | found.changes | found.unbinds
        order.edges[step].update(uncertain_before[step])
        order.edges[step].update(sharing.before(step, read | writes, writes, replaced))
        for name in sorted(read | writes):
            order.use(name, step, found, writes=name in writes, replaces=name in replaced)

    edges = []
    for step, later in enumerate(steps):
        for earlier in sorted(order.edges[step]):
            edges.append((steps[earlier].name, later.name))
    return tuple(edges)


def _uncertain_before(names: Sequence[Names], origin: Origin) -> list[tuple[int, ...]]:
    """For each step those whose code cannot be followed, if they may give it a name.

    They may give any name that no code is seen to bind.
    """
    bound = bound_names(names, origin)
    before: list[tuple[int, ...]] = []
    uncertain: list[int] = []
    for step, found in enumerate(names):
        lacking = found.needs - bound
        lacks_name = not all(map(origin.has, lacking))
        if lacks_name:
            before.append(tuple(uncertain))
        else:
            before.append(())
        if found.uncertain:
            # Where it comes after them itself, later steps need only come after this one.
            if lacks_name:
                uncertain.clear()
            uncertain.append(step)
    return before


class _NameOrder:
    """The edges between steps that use the same name."""

    def __init__(self, origin: Origin, fresh: Mapping[str, str]) -> None:
        self.origin = origin
        self.fresh = fresh
        self.edges: defaultdict[int, set[int]] = defaultdict(set)
        # The last step that touched each name, and the one that made the value it has now.
        self._last: dict[str, int] = {}
        self._version: dict[str, int] = {}
        # For each name and maker of a new value: the last user of the value before, and its maker.
        self._replaced: dict[tuple[str, int], tuple[int, int]] = {}

    def use(self, name: str, step: int, found: Names, *, writes: bool, replaces: bool) -> None:
        """The step uses the name; `replaces`: it makes a new value, and never reads the old one."""
        earlier = self._last.get(name)
        if earlier is None and name in self.fresh:
            self._last[name] = self._version[name] = step
            return
        # Steps that only read it come after its last change, in any order among themselves.
        if name in self.origin.mutable and not writes:
            if earlier is not None:
                self.edges[step].add(earlier)
            return
        if earlier is None:
            if self.origin.makes_value(name, found):
                self._last[name] = self._version[name] = step
            return

        if replaces:
            self._replaced[name, step] = (earlier, self._version[name])
            self._version[name] = step
        else:
            self.edges[step].add(earlier)
            self._keep_replaced_apart(name, self._version[name])
        self._last[name] = step

    def _keep_replaced_apart(self, name: str, maker: int) -> None:
        """Put a step that makes a new value after all steps that used the value before."""
        while (name, maker) in self._replaced:
            user, before = self._replaced[name, maker]
            if user in self.edges[maker]:
                return
            self.edges[maker].add(user)
            maker = before


def _flat_names(prelude: Sequence[Statement], codes: Iterable[ParsedCell]) -> frozenset[str]:
    """The names of containers of constants that no code is seen to put anything else into."""
    flat: frozenset[str] = frozenset()
    for statement in prelude:
        if is_flat(statement.code):
            flat |= statement.binds
    # Most notebooks have none, and to look through all code takes time.
    if not flat:
        return flat
    altered: set[str] = set()
    for code in codes:
        altered |= altered_names(code, flat)
    return flat - altered


def _all_code(prelude: Iterable[Statement], steps: Iterable[StepCode]) -> Iterator[ParsedCell]:
    yield from codes_of(prelude)
    for step in steps:
        yield from step.cells


class _Sharers:
    """Which steps use objects that others use by other names."""

    def __init__(
        self,
        alterations: _Alterations,
        altered: Sequence[frozenset[str]],
        origin: Origin,
        prelude: Sequence[Statement],
    ) -> None:
        self.steps = alterations.steps
        self.names = alterations.names
        self.origin = origin
        self.libraries = library_names(_all_code(prelude, self.steps))
        changing = frozenset().union(*altered)
        # What steps change by way of a definition, for those definitions that change anything.
        through: dict[str, frozenset[str]] = {}
        for name, inside in alterations.by_definition.items():
            changed = changing.intersection(inside)
            if changed:
                through[name] = changed
        # What no step changes may be shared by all without an order.
        self.kept = origin.own - changing - through.keys()
        self.looked_up: set[str] = set()
        self.sharing = Sharing()
        for name, changed in through.items():
            if name in origin.own:
                self._join([changed | {name}])
        for code in codes_of(prelude):
            self._join(links(code, self.libraries))

    def before(
        self, step: int, used: frozenset[str], writes: frozenset[str], replaced: frozenset[str]
    ) -> set[int]:
        """The steps that it comes after, for the objects of the names that it uses."""
        cells = self.steps[step].cells
        loops = frozenset().union(*map(loop_names, cells)) - self.names[step].needs
        self.looked_up |= frozenset().union(*map(looked_up_names, cells))
        for name in (replaced | loops) - self.looked_up:
            self.sharing.leave(name)
        for name, bodies in self.names[step].definitions.items():
            group = {name}
            for body in bodies:
                group |= body.reads | body.binds
            self._join([frozenset(group)])
        for cell in cells:
            self._join(links(cell, self.libraries))

        found: set[int] = set()
        for name in used:
            found |= self.sharing.users(name)
        found.discard(step)
        # Only now: names of one group would otherwise hide each other's users.
        for name in used:
            if name in writes or name not in self.origin.mutable:
                self.sharing.use(name, step)
        return found

    def _join(self, groups: Iterable[frozenset[str]]) -> None:
        for group in groups:
            shared = group - self.kept
            if len(shared) > 1:
                self.sharing.join(shared)


class _Alterations:
    """What steps and definitions may change of what all steps make, as their code shows it."""

    def __init__(
        self, steps: Sequence[StepCode], names: Sequence[Names], prelude: Sequence[Statement]
    ) -> None:
        self.steps = steps
        self.names = names
        self.objects: frozenset[str] = frozenset()
        self.by_definition: defaultdict[str, set[str]] = defaultdict(set)
        defined: list[tuple[ParsedCell, frozenset[str]]] = []
        classes = frozenset().union(*map(defined_classes, names))
        for statement in prelude:
            classes |= defined_classes(statement.names)
            if statement.kind == "other":
                self.objects |= statement.binds
            if statement.kind != "import":
                defined.append((statement.code, statement.binds))
        for step, found in zip(steps, names, strict=True):
            # Later steps may use the definitions: what those alter may come about there.
            defined.extend(zip(step.cells, repeat(frozenset(found.definitions))))
        self.flat = _flat_names(prelude, [code for code, _ in defined])
        for code, binds in defined:
            altered = set(altered_names(code, self.flat))
            for name in classes_used(code, classes):
                altered |= self.by_definition[name]
            for name in binds:
                self.by_definition[name] |= altered

    def by_steps(self, origin: Origin) -> list[frozenset[str]]:
        """For each step the names of what all steps make that it may change."""
        altered = []
        for step, found in zip(self.steps, self.names, strict=True):
            own = self._by_step(step, found) & origin.mutable.keys()
            altered.append(origin.with_companions(own))
        return altered

    def _by_step(self, step: StepCode, found: Names) -> frozenset[str]:
        altered: set[str] = set()
        for cell in step.cells:
            altered |= altered_names(cell, self.flat)
            # To call an object may change it: it may have state.
            altered |= called_names(cell) & self.objects
        for name in found.needs & self.by_definition.keys():
            altered |= self.by_definition[name]
        return frozenset(altered)
