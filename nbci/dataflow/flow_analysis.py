"""Finds which earlier steps give each step the values of the names that it touches."""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.step_code import bound_names, positions
from nbci.dataflow.subclasses import with_subclasses
from nbci.dataflow.trie import NO_GIVERS, Givers, Trie, height, lookup, merge, with_givers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.dataflow.names import Names
    from nbci.dataflow.origin import Origin
    from nbci.dataflow.step_code import StepCode, StepGraph


# The product of two counts, see `_bound_nowhere`: each guess costs one update of a trie.
_MOST_GUESSES = 100_000
_FEW_GIVERS = 8
"""So many are compared in pairs, which costs the square of their number."""


class FreshUse(Struct, frozen=True, kw_only=True):
    """A name never the same twice, and the steps of one notebook that use it.

    `maker` is the step from which all of them have the value, None where no step can be that.
    """

    name: str
    users: list[int]
    maker: int | None


class FlowAnalysis:
    """What steps have of names, found in one pass over the steps in their order.

    Steps are known by their numbers in the graph. `have` are, for each step, the givers of the
    names that it touches; `present` are, for each name, the steps that surely have a value of it at
    their end.
    """

    def __init__(
        self,
        graph: StepGraph,
        origin: Origin,
        names: Sequence[Names],
        steps: Sequence[StepCode],
        fresh: Mapping[str, str],
    ) -> None:
        self.steps = steps
        self.graph = graph
        self.origin = origin
        self.names = names
        self.fresh = fresh
        self.uses = list(map(origin.with_companions, with_subclasses(names)))
        self.have: defaultdict[int, dict[str, Givers]] = defaultdict(dict)
        self.present: defaultdict[str, set[int]] = defaultdict(set)
        self._last: defaultdict[int, dict[str, Givers]] = defaultdict(dict)
        self._deleting: defaultdict[str, set[int]] = defaultdict(set)
        self._older: dict[tuple[str, int, int], bool] = {}
        self._rank = positions(graph.order)
        self._wanted = sorted(set().union(*self.uses))
        self._number = positions(self._wanted)
        self._levels = height(len(self._wanted))
        self.nowhere = self._bound_nowhere()
        self.fresh_uses = list(self._find_fresh_uses())
        self.makes: defaultdict[int, set[str]] = defaultdict(set)
        """The names never the same twice that a step makes for all others that use them."""
        for use in self.fresh_uses:
            if use.maker is not None:
                self.makes[use.maker].add(use.name)

    def users(self, name: str) -> list[int]:
        """The steps that use the name, in an order in which they may run."""
        return [step for step in self.graph.order if name in self.uses[step]]

    def find_givers(self) -> None:
        """Find for each step the givers of every name it touches.

        The order of the graph has givers before the steps that take from them.
        """
        after: list[Trie] = [None] * len(self.names)
        last = self._last_uses()
        live: set[str] = set()
        for step in self.graph.order:
            # Only an uncertain step looks at `live`, so only there is it worth shortening.
            if self.names[step].uncertain:
                live = {name for name in live if last[name] >= self._rank[step]}
            trie, differing = merge([after[before] for before in self.graph.before[step]])
            # Where branches differ, one giver may come before another, whose value is the later.
            for number in differing:
                givers = self.nearest(self._wanted[number], lookup(trie, number, self._levels))
                trie = with_givers(trie, number, givers, self._levels)
            after[step] = self._through(step, trie, live)

    def nearest(self, name: str, givers: Givers) -> Givers:
        """The givers that no other of them comes after."""
        if len(givers) < 2:
            return givers
        if len(givers) > _FEW_GIVERS:
            return givers - self._before_any(name, givers)
        earlier: set[int] = set()
        for early, late in permutations(givers, 2):
            if early not in earlier and self._comes_before(name, early, late):
                earlier.add(early)
        return givers - earlier

    def _find_fresh_uses(self) -> Iterator[FreshUse]:
        """Names never the same twice that several steps of a notebook use.

        Where only one step uses a name, no two steps can differ in it.
        """
        for name in self.fresh:
            of_notebook: defaultdict[str, list[int]] = defaultdict(list)
            for step in self.users(name):
                of_notebook[self.steps[step].notebook].append(step)
            for users in of_notebook.values():
                if len(users) > 1:
                    yield FreshUse(name=name, users=users, maker=self._maker(users))

    def _maker(self, users: Sequence[int]) -> int | None:
        """The step from which all these users have a value never the same twice.

        It is the first step of their notebook, else the first of the users; None where neither
        comes before all of them.
        """
        notebook = self.steps[users[0]].notebook
        first = next(step for step in self.graph.order if self.steps[step].notebook == notebook)
        for step in (first, users[0]):
            if self.graph.step_and_followers(step).issuperset(users):
                return step
        return None

    def _last_uses(self) -> dict[str, int]:
        """For each name the rank of the last step that uses it."""
        last: dict[str, int] = {}
        for step in self.graph.order:
            last.update(dict.fromkeys(self.uses[step], self._rank[step]))
        return last

    def _through(self, step: int, trie: Trie, live: set[str]) -> Trie:
        """The givers behind the step; one that deletes a name counts, and hands nothing on.

        Where its code is uncertain it may change all that is `live`: used later.
        """
        names, have = self.names[step], self.have[step]
        for name in self._touched(step, live):
            number = self._number.get(name)
            # No step uses the name, so nobody asks for its givers.
            if number is None:
                continue
            last = lookup(trie, number, self._levels)
            if name in self.steps[step].own:
                last = self._of_the_same_notebook(step, last)
            if last:
                self._last[step][name] = last
            givers = last
            if name in self._deleting:
                givers -= self._deleting[name]
            if givers:
                have[name] = givers

            if name in names.unbinds:
                # The deletion is kept like a giver, so that what was before it is not looked up.
                if givers:
                    trie = with_givers(trie, number, frozenset((step,)), self._levels)
                self._deleting[name].add(step)
            elif givers or self._makes_value(name, names):
                trie = with_givers(trie, number, frozenset((step,)), self._levels)
                live.add(name)
                if self._is_present(step, name, givers):
                    self.present[name].add(step)
        return trie

    def _touched(self, step: int, live: set[str]) -> frozenset[str]:
        """The names of which the step may need, make, change or delete the value."""
        names = self.names[step]
        touched = self.origin.with_companions(
            self.uses[step] | names.binds | names.changes | names.unbinds | self.makes[step]
        )
        if names.uncertain:
            touched |= live | self.nowhere
        return touched

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
        bound = bound_names(self.names, self.origin)
        found: set[str] = set()
        for name in self._wanted:
            if name not in bound and not self.origin.has(name):
                found.add(name)
        uncertain = sum(bool(names.uncertain) for names in self.names)
        if len(found) * uncertain > _MOST_GUESSES:
            return frozenset()
        return frozenset(found)

    def _is_present(self, step: int, name: str, givers: Givers) -> bool:
        names = self.names[step]
        if name in names.surely_binds or (name in names.changes and self.origin.has(name)):
            return True
        if name in names.may_unbind:
            return False
        return not self.present[name].isdisjoint(givers)

    def _comes_before(self, name: str, early: int, late: int) -> bool:
        """Whether giver `early` is an ancestor of giver `late`.

        Then a chain of givers of the name, and of steps that deleted it, leads from one to the
        other.
        """
        pending, seen = [late], {late}
        found = False
        while pending and not found:
            step = pending.pop()
            known = self._older.get((name, early, step))
            if known is not None:
                found = known
                continue
            for giver in self._last[step].get(name, NO_GIVERS):
                if giver == early:
                    found = True
                # Steps of a lower rank cannot come after `early`.
                elif giver not in seen and self._rank[giver] > self._rank[early]:
                    seen.add(giver)
                    pending.append(giver)
        self._older[name, early, late] = found
        return found

    def _before_any(self, name: str, givers: Givers) -> Givers:
        """Those of many givers that come before another: all are found by one search."""
        first = min(self._rank[giver] for giver in givers)
        seen: set[int] = set()
        pending = list(givers)
        while pending:
            for giver in self._last[pending.pop()].get(name, NO_GIVERS):
                if giver not in seen and self._rank[giver] >= first:
                    seen.add(giver)
                    pending.append(giver)
        return givers & seen
