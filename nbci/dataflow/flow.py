"""Finds which values pass between steps: what each step takes, from which steps, and gives."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.flow_warnings import cut_warnings, join_warnings
from nbci.dataflow.names import Names, names_of
from nbci.dataflow.subclasses import with_subclasses
from nbci.dataflow.trie import NO_GIVERS, Givers, Trie, height, lookup, merged, stored
from nbci.dataflow.undefined import NOTHING_BROUGHT, Brought, Origin, Undefined, undefined_names
from nbci.errors import UsageError
from nbci.graph import Cycle, topological

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.names import Body
    from nbci.dataflow.prelude import Statement


# The product of two counts, see `_bound_nowhere`: each guess costs one update of a trie.
_MOST_GUESSES = 100_000
_NONE_FRESH: Mapping[str, str] = MappingProxyType({})


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


class Take(Struct, frozen=True, kw_only=True):
    """A value that a step takes, and the nearest steps before it that have it.

    There is one giver, or several at a join. `needed`: the step's code may read the value;
    otherwise the step only passes it on.
    """

    name: str
    givers: tuple[str, ...]
    needed: bool = True


class Give(Struct, frozen=True, kw_only=True):
    """A value that a step hands on as it is at the step's end.

    `optional`: there may be no value then, which is no mistake.
    """

    name: str
    optional: bool = False


class StepFlow(Struct, frozen=True, kw_only=True):
    """What passes into and out of one step, sorted by name.

    `makes` are names bound to values never the same twice (such as times) that the step hands on
    to all others, though it may not change them.
    """

    name: str
    takes: tuple[Take, ...] = ()
    gives: tuple[Give, ...] = ()
    names: Names
    makes: frozenset[str] = frozenset()


class Flow(Struct, frozen=True, kw_only=True):
    """The values of a pipeline, and what is to be reported about them.

    `warnings` are about joins, `undefined` about names that no step gives. `apart` says what steps
    make each for itself though the whole notebook would not: names never the same twice, and names
    that an earlier step deleted; and which steps may lack subclasses that the whole notebook has.
    """

    steps: tuple[StepFlow, ...]
    warnings: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    undefined: tuple[Undefined, ...] = ()

    def step(self, name: str) -> StepFlow:
        """The flow of the step with that name."""
        return next(step for step in self.steps if step.name == name)


def flow(
    steps: Sequence[StepCode],
    params: frozenset[str] = frozenset(),
    prelude: Sequence[Statement] = (),
    *,
    settled: frozenset[str] = frozenset(),
    brought: Brought = NOTHING_BROUGHT,
    fresh: Mapping[str, str] = _NONE_FRESH,
) -> Flow:
    """The values that pass between the steps of one notebook; their graph has no cycle.

    `settled` are those of the parameters whose objects nobody can change, such as numbers;
    `brought` are names that kernels bring; `fresh` are names bound to what is never the same twice,
    with the place.
    """
    graph = _Graph.of(steps)
    origin = Origin.of(params, prelude, settled, brought)
    names = names_of_steps(steps, graph.order, origin)
    return FlowAnalysis(graph, origin, names, steps, fresh).result()


def names_of_steps(steps: Sequence[StepCode], order: Iterable[int], origin: Origin) -> list[Names]:
    """The names of every step; functions and classes are followed into later steps."""
    known: dict[str, tuple[Body, ...]] = dict(origin.definitions)
    names: list[Names | None] = [None] * len(steps)
    for index in order:
        future = origin.future_annotations or steps[index].future_annotations
        found = names_of(steps[index].cells, known=known, future_annotations=future)
        names[index] = found
        # The name may stand for something else now, and where only some paths bind it, may not.
        for name in found.binds & known.keys():
            known[name] = _without_certainty(known[name])
        for name, bodies in found.definitions.items():
            both = (*known.get(name, ()), *_without_certainty(bodies))
            known[name] = tuple(dict.fromkeys(both))
    return [found for found in names if found is not None]


def _without_certainty(bodies: Iterable[Body]) -> tuple[Body, ...]:
    return tuple(body.without_certainty() for body in bodies)


class _Graph(Struct, frozen=True, kw_only=True):
    steps: tuple[str, ...]
    before: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]

    @classmethod
    def of(cls, steps: Sequence[StepCode]) -> _Graph:
        index = {step.name: position for position, step in enumerate(steps)}
        known: dict[str, list[str]] = {}
        for step in steps:
            known[step.name] = [name for name in step.after if name in index]
        try:
            order = topological(known)
        except Cycle as cycle:
            raise UsageError(
                f"the steps form a cycle: {cycle}", hint="remove one of its prev: tags"
            ) from cycle
        before = []
        for names in known.values():
            before.append(tuple(sorted({index[name] for name in names})))
        return cls(
            steps=tuple(known),
            before=tuple(before),
            order=tuple(index[name] for name in order),
        )


class FlowAnalysis:
    """One computation of a flow: forward for what steps have, backward for what they need.

    Steps are known by their indexes in `steps`. `have` are, for each step, the givers of the names
    that it touches; `present` are (step, name) where the step surely has a value at its end.
    """

    def __init__(
        self,
        graph: _Graph,
        origin: Origin,
        names: Sequence[Names],
        steps: Sequence[StepCode],
        fresh: Mapping[str, str],
    ) -> None:
        self.steps = steps
        self.graph = graph
        self.origin = origin
        self.names = names
        self.rank = {step: rank for rank, step in enumerate(graph.order)}
        self.uses = [origin.with_companions(used) for used in with_subclasses(names)]
        wanted = sorted(set().union(*self.uses))
        self.number = {name: number for number, name in enumerate(wanted)}
        self.wanted = wanted
        self.levels = height(len(wanted))
        self.have: list[dict[str, Givers]] = [{} for _ in names]
        self.last: list[dict[str, Givers]] = [{} for _ in names]
        self.deleting: set[tuple[int, str]] = set()
        self.present: set[tuple[int, str]] = set()
        self.older: dict[tuple[str, int, int], bool] = {}
        self.nowhere = self._bound_nowhere()
        self.fresh = fresh
        self.fresh_users = list(self._find_fresh_users())

    def result(self) -> Flow:
        self._forward()
        takes, gives = self._backward()
        steps = []
        for step in range(len(self.names)):
            steps.append(self._step_flow(step, takes[step], gives[step]))
        undefined = undefined_names(
            self.graph.steps,
            self.graph.before,
            self.names,
            self.have,
            self.origin,
            guessed=self.nowhere,
        )
        return Flow(
            steps=tuple(steps),
            warnings=tuple(join_warnings(self)),
            apart=tuple(cut_warnings(self)),
            undefined=undefined,
        )

    def _step_flow(self, step: int, takes: Iterable[Take], gives: Iterable[str]) -> StepFlow:
        shown_gives = []
        for name in sorted(gives):
            shown_gives.append(Give(name=name, optional=(step, name) not in self.present))
        return StepFlow(
            name=self.graph.steps[step],
            takes=tuple(sorted(takes, key=lambda take: take.name)),
            gives=tuple(shown_gives),
            names=self.names[step],
            makes=self._made_once(step),
        )

    def _find_fresh_users(self) -> Iterable[tuple[str, list[int], int | None]]:
        """Names never the same twice, each with the steps of a notebook that use it, and its maker.

        Names that only one step of a notebook uses are left out: no two steps can differ in them.
        """
        for name in self.fresh:
            of_notebook: dict[str, list[int]] = {}
            for step in self.users(name):
                of_notebook.setdefault(self.steps[step].notebook, []).append(step)
            for users in of_notebook.values():
                if len(users) > 1:
                    yield name, users, self._maker(users)

    def _maker(self, users: Sequence[int]) -> int | None:
        """The step from which all these users have a value never the same twice.

        It is the first step of their notebook, else the first of the users; None where neither
        comes before all of them.
        """
        notebook = self.steps[users[0]].notebook
        first = next(step for step in self.graph.order if self.steps[step].notebook == notebook)
        for step in (first, users[0]):
            if self.step_and_followers(step).issuperset(users):
                return step
        return None

    def _made_once(self, step: int) -> frozenset[str]:
        """The names never the same twice that the step makes for all others that use them."""
        return frozenset(name for name, _, maker in self.fresh_users if maker == step)

    def users(self, name: str) -> list[int]:
        """The steps that use the name, in an order in which they may run."""
        return [step for step in self.graph.order if name in self.uses[step]]

    def step_and_followers(self, first: int) -> set[int]:
        """The step and all that come after it."""
        found = {first}
        for step in self.graph.order:
            if not found.isdisjoint(self.graph.before[step]):
                found.add(step)
        return found

    def _forward(self) -> None:
        """Find for each step the givers of every name it touches.

        The order of the graph has givers before the steps that take from them.
        """
        after: list[Trie] = [None] * len(self.names)
        last = self._last_uses()
        live: set[str] = set()
        for step in self.graph.order:
            # Only an uncertain step looks at `live`, so only there is it worth shortening.
            if self.names[step].uncertain:
                live = {name for name in live if last[name] >= self.rank[step]}
            trie, differing = merged([after[before] for before in self.graph.before[step]])
            # Where branches differ, one giver may come before another, whose value is the later.
            for number in differing:
                givers = self.nearest(self.wanted[number], lookup(trie, number, self.levels))
                trie = stored(trie, number, givers, self.levels)
            after[step] = self._through(step, trie, live)

    def _last_uses(self) -> dict[str, int]:
        """For each name the rank of the last step that uses it."""
        last: dict[str, int] = {}
        for step in self.graph.order:
            last.update(dict.fromkeys(self.uses[step], self.rank[step]))
        return last

    def _through(self, step: int, trie: Trie, live: set[str]) -> Trie:
        """The givers behind the step; one that deletes a name counts, and hands nothing on.

        Where its code is uncertain it may change all that is `live`: used later.
        """
        names, have = self.names[step], self.have[step]
        made = self._made_once(step)
        touched = self.origin.with_companions(
            self.uses[step] | names.binds | names.changes | names.unbinds | made
        )
        if names.uncertain:
            touched |= live | self.nowhere
        for name in touched:
            number = self.number.get(name)
            # No step uses the name, so nobody asks for its givers.
            if number is None:
                continue
            last = lookup(trie, number, self.levels)
            if name in self.steps[step].own:
                last = self._of_the_same_notebook(step, last)
            if last:
                self.last[step][name] = last
            givers = frozenset(giver for giver in last if (giver, name) not in self.deleting)
            if givers:
                have[name] = givers
            if name in names.unbinds:
                # The deletion is kept like a giver, so that what was before it is not looked up.
                if givers:
                    trie = stored(trie, number, frozenset((step,)), self.levels)
                self.deleting.add((step, name))
            elif givers or self._makes_value(name, names):
                trie = stored(trie, number, frozenset((step,)), self.levels)
                live.add(name)
                if self._is_present(step, name, givers):
                    self.present.add((step, name))
        return trie

    def _makes_value(self, name: str, names: Names) -> bool:
        if self.origin.makes_value(name, names):
            return True
        return bool(names.uncertain) and name in self.nowhere

    def _of_the_same_notebook(self, step: int, givers: Givers) -> Givers:
        notebook = self.steps[step].notebook
        return frozenset(giver for giver in givers if self.steps[giver].notebook == notebook)

    def _bound_nowhere(self) -> frozenset[str]:
        """Names that no code is seen to bind: steps whose code cannot be followed may give them.

        None where there are very many, which costs more than it helps: a step that lacks its name
        fails by itself.
        """
        bound = self.origin.own.union(*(names.binds for names in self.names))
        unbound = [name for name in self.wanted if name not in bound]
        found = frozenset(name for name in unbound if not self.origin.has(name))
        uncertain = sum(bool(names.uncertain) for names in self.names)
        if len(found) * uncertain > _MOST_GUESSES:
            return frozenset()
        return found

    def _is_present(self, step: int, name: str, givers: Givers) -> bool:
        names = self.names[step]
        if name in names.surely_binds or (name in names.changes and self.origin.has(name)):
            return True
        if name in names.may_unbind:
            return False
        return any((giver, name) in self.present for giver in givers)

    def nearest(self, name: str, givers: Givers) -> Givers:
        """The givers that no other of them comes after."""
        if len(givers) < 2:
            return givers
        # To compare pairs costs the square of their number; many share one search instead.
        if len(givers) > 8:
            return givers - self._before_any(name, givers)
        earlier = {giver for giver in givers if self._is_followed(name, giver, givers)}
        return givers - earlier

    def _is_followed(self, name: str, giver: int, givers: Givers) -> bool:
        return any(self._comes_before(name, giver, other) for other in givers - {giver})

    def _comes_before(self, name: str, early: int, late: int) -> bool:
        """Whether giver `early` is an ancestor of giver `late`.

        Then a chain of givers of the name, and of steps that deleted it, leads from one to the
        other.
        """
        pending, seen = [late], {late}
        found = False
        while pending and not found:
            step = pending.pop()
            known = self.older.get((name, early, step))
            if known is not None:
                found = known
                continue
            for giver in self.last[step].get(name, NO_GIVERS):
                if giver == early:
                    found = True
                # Steps of a lower rank cannot come after `early`.
                elif giver not in seen and self.rank[giver] > self.rank[early]:
                    seen.add(giver)
                    pending.append(giver)
        self.older[name, early, late] = found
        return found

    def _before_any(self, name: str, givers: Givers) -> Givers:
        first = min(self.rank[giver] for giver in givers)
        seen: set[int] = set()
        pending = list(givers)
        while pending:
            for giver in self.last[pending.pop()].get(name, NO_GIVERS):
                if giver not in seen and self.rank[giver] >= first:
                    seen.add(giver)
                    pending.append(giver)
        return givers & seen

    def _backward(self) -> tuple[list[list[Take]], list[set[str]]]:
        takes: list[list[Take]] = [[] for _ in self.names]
        gives: list[set[str]] = [set() for _ in self.names]
        # Backwards, since a step passes on what steps after it turn out to need.
        for step in reversed(self.graph.order):
            names, have = self.names[step], self.have[step]
            needed = self.uses[step] & have.keys()
            passed = (gives[step] - names.surely_binds) & have.keys()
            for name in needed | passed:
                givers = have[name]
                shown = tuple(self.graph.steps[giver] for giver in sorted(givers))
                takes[step].append(Take(name=name, givers=shown, needed=name in needed))
                for giver in givers:
                    gives[giver].add(name)
        return takes, gives
