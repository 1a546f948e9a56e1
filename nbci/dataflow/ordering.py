"""Finds the order of steps that their variables ask for (`order: dataflow`)."""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from nbci.dataflow.alterations import altered_names, called_names, instantiated, is_flat
from nbci.dataflow.flow import names_of_steps
from nbci.dataflow.shared_objects import Sharing, library_names, links, looked_up_names, loop_names
from nbci.dataflow.subclasses import defined_classes, with_subclasses
from nbci.dataflow.undefined import Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.flow import StepCode
    from nbci.dataflow.names import Names
    from nbci.dataflow.prelude import Statement

_NONE_FRESH: Mapping[str, str] = MappingProxyType({})


def order_from_flow(
    steps: Sequence[StepCode],
    params: frozenset[str] = frozenset(),
    prelude: Sequence[Statement] = (),
    *,
    settled: frozenset[str] = frozenset(),
    fresh: Mapping[str, str] = _NONE_FRESH,
) -> tuple[tuple[str, str], ...]:
    """The edges (earlier, later) that variables ask for, with the steps in notebook order.

    `settled` and `fresh` are as for `flow`: others have the `fresh` names from the first step that
    uses them.
    """
    origin = Origin.of(params, prelude, settled)
    names = names_of_steps(steps, range(len(steps)), origin)
    last: dict[str, int] = {}
    replaced: dict[tuple[str, int], tuple[int, int]] = {}
    edges: defaultdict[int, set[int]] = defaultdict(set)
    version: dict[str, int] = {}
    bound = origin.own.union(*(found.binds for found in names))
    uncertain: list[int] = []
    alterations = _Alterations(steps, names, prelude)
    altered = alterations.by_steps(origin)
    sharing = _Sharers(alterations, altered, origin, prelude)
    for step, (found, read) in enumerate(zip(names, with_subclasses(names), strict=True)):
        # Code that cannot be followed may give a name that no code is seen to bind.
        if any(name not in bound and not origin.has(name) for name in found.needs):
            edges[step].update(uncertain)
            # This step comes after them, so later steps need only come after this one.
            uncertain = [] if found.uncertain else uncertain
        if found.uncertain:
            uncertain.append(step)
        anew = (found.surely_binds | found.unbinds) - read
        writes = altered[step] | found.binds | found.changes | found.unbinds
        edges[step].update(sharing.before(step, read | writes, writes, anew))
        for name in sorted(read | writes):
            earlier = last.get(name)
            if name in fresh and earlier is None:
                last[name] = version[name] = step
                continue
            # Steps that only read it come after its last change, in any order among themselves.
            if name in origin.mutable and name not in writes:
                edges[step].update(() if earlier is None else (earlier,))
                continue
            if earlier is not None and name not in anew:
                edges[step].add(earlier)
                _keep_replaced_apart(name, version[name], replaced, edges)
            elif earlier is not None:
                replaced[name, step] = (earlier, version[name])
                version[name] = step
            elif origin.makes_value(name, found):
                version[name] = step
            if earlier is not None or origin.makes_value(name, found):
                last[name] = step
    return tuple(
        (steps[earlier].name, steps[step].name)
        for step in range(len(steps))
        for earlier in sorted(edges[step])
    )


def _flat(prelude: Sequence[Statement], codes: Iterable[ParsedCell]) -> frozenset[str]:
    """The names of containers of constants that no code is seen to put anything else into."""
    flat = frozenset(name for one in prelude if is_flat(one.code) for name in one.binds)
    return flat.difference(*(altered_names(code, flat) for code in codes)) if flat else flat


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
        cells = [
            *(one.code for one in prelude),
            *(cell for step in self.steps for cell in step.cells),
        ]
        self.libraries = library_names(cells)
        changing = frozenset().union(*altered)
        through = {
            name: frozenset(inside) & changing for name, inside in alterations.by_definition.items()
        }
        self.kept = origin.own - changing - {name for name, inside in through.items() if inside}
        self.looked_up: set[str] = set()
        self.sharing = Sharing()
        self._join(inside | {name} for name, inside in through.items() if name in origin.own)
        for statement in prelude:
            self._join(links(statement.code, self.libraries))

    def before(
        self, step: int, used: frozenset[str], writes: frozenset[str], anew: frozenset[str]
    ) -> set[int]:
        """The steps that it comes after, for the objects of the names that it uses."""
        cells = self.steps[step].cells
        loops = frozenset().union(*map(loop_names, cells)) - self.names[step].needs
        self.looked_up |= frozenset().union(*map(looked_up_names, cells))
        for name in (anew | loops) - self.looked_up:
            self.sharing.leave(name)
        for name, bodies in self.names[step].definitions.items():
            self._join([frozenset({name}).union(*(body.reads | body.binds for body in bodies))])
        for cell in cells:
            self._join(links(cell, self.libraries))
        found = {user for name in used for user in self.sharing.users(name)} - {step}
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
        self.objects = frozenset().union(*(one.binds for one in prelude if one.kind == "other"))
        self.by_definition: defaultdict[str, set[str]] = defaultdict(set)
        defined = [
            (statement.code, statement.binds) for statement in prelude if statement.kind != "import"
        ]
        for step, found in zip(steps, names, strict=True):
            defined += [(cell, frozenset(found.definitions)) for cell in step.cells]
        self.flat = _flat(
            prelude,
            [*(code for code, _ in defined), *(cell for step in steps for cell in step.cells)],
        )
        classes = frozenset().union(
            *map(defined_classes, names), *(defined_classes(one.names) for one in prelude)
        )
        for code, binds in defined:
            inside = (self.by_definition[name] for name in instantiated(code, classes))
            altered = altered_names(code, self.flat).union(*inside)
            for name in binds:
                self.by_definition[name] |= altered

    def by_steps(self, origin: Origin) -> list[frozenset[str]]:
        """For each step the names of what all steps make that it may change."""
        return [
            origin.with_companions(self._by_step(step, found) & origin.mutable.keys())
            for step, found in zip(self.steps, self.names, strict=True)
        ]

    def _by_step(self, step: StepCode, found: Names) -> frozenset[str]:
        own = frozenset().union(*(altered_names(cell, self.flat) for cell in step.cells))
        called = frozenset().union(*(called_names(cell) for cell in step.cells)) & self.objects
        through = (self.by_definition[name] for name in found.needs & self.by_definition.keys())
        return own.union(called, *through)


def _keep_replaced_apart(
    name: str,
    maker: int,
    replaced: Mapping[tuple[str, int], tuple[int, int]],
    edges: defaultdict[int, set[int]],
) -> None:
    """Put a step that makes a new value of a name after all steps that used the value before."""
    while (name, maker) in replaced:
        user, before = replaced[name, maker]
        if user in edges[maker]:
            return
        edges[maker].add(user)
        maker = before
