"""Names read, bound and deleted, one after the other: what each does to what is known of them."""

from __future__ import annotations

import ast
from collections import Counter
from itertools import repeat
from typing import TYPE_CHECKING

from nbci.dataflow import outside, scopes
from nbci.dataflow.definition_effects import Body, Definitions, Position, Reached
from nbci.dataflow.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.dataflow.magics import Effect
    from nbci.dataflow.scopes import Scope


class Naming(ast.NodeVisitor):
    """What a walk knows of names, and how a read, an assignment and a deletion change it.

    In `inner` walks, over a function's body, names stand for what using the function does later.
    """

    def __init__(
        self, *, known: Definitions, future_annotations: bool, inner: tuple[Scope, ...] = ()
    ) -> None:
        self.known = known
        self.future_annotations = future_annotations
        self.inner = bool(inner)
        self.scopes: list[Scope] = list(inner)
        self.state = State()
        self.events: list[tuple[str, bool]] = []
        self.depth = 0
        self.loops = 0
        self.cell = 0
        self.line = 1
        self.owner: str | None = None
        self.effects: Mapping[tuple[int, int], Effect] = {}
        self.needs: dict[str, Position] = {}
        self.surely: set[str] = set()
        self.assumes: set[str] = set()
        self.mentions: set[str] = set()
        self.changes: set[str] = set()
        self.imported: set[str] = set()
        self.assigned: set[str] = set()
        self.surely_calls: set[str] = set()
        self.uncertain: list[str] = []
        self.any_name: list[str] = []
        self.in_text: set[str] = set()
        self.followed: set[ast.AST] = set()
        self.yields = False
        self.may_have_returned = False
        self.times_bound: Counter[str] = Counter()
        self.definitions: dict[str, list[Body]] = {}
        self.defines_in_loop = False
        self._reached: dict[str, Reached] = {}

    def kept_definitions(self) -> dict[str, tuple[Body, ...]]:
        """The definitions seen, by the name that leads to them."""
        return {name: tuple(kept) for name, kept in self.definitions.items()}

    def bound_and_unbound(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names that got a value anywhere in the walk, and those that lost one."""
        names: dict[bool, set[str]] = {True: set(), False: set()}
        for name, bound in self.events:
            names[bound].add(name)
        return frozenset(names[True]), frozenset(names[False])

    def read(self, name: str, *, sure: bool = True) -> None:
        """The name is read here; `sure` if this line reads it whenever it runs."""
        if not scopes.leads_to_module(name, self.scopes):
            self._use_own_class()
            return
        self.mentions.add(name)
        self._note_read(name, sure=sure and self._certain and not self._class_may_have(name))
        if not self.inner:
            self._use(name)

    def _use_own_class(self) -> None:
        """A class body that reads a name of its own may call a function of its own."""
        if self.owner is not None and not self.inner and self.scopes[-1].kind == "class":
            self._use(self.owner)

    def bind(self, name: str, *, imported: bool = False, walrus: bool = False) -> None:
        """The name gets a value here."""
        scope = scopes.binding_scope(name, self.scopes, walrus=walrus)
        if scope is not None:
            if scope.kind == "class" and self.depth == scope.depth:
                scope.bound.add(name)
            return
        self.mentions.add(name)
        self.state.bind(name)
        self.events.append((name, True))
        self.times_bound[name] += 1
        if imported:
            self.imported.add(name)
        else:
            self.assigned.add(name)

    def unbind(self, name: str) -> None:
        """The name loses its value here."""
        scope = scopes.binding_scope(name, self.scopes)
        if scope is not None:
            scope.bound.discard(name)
            return
        self.mentions.add(name)
        self.state.unbind(name)
        self.events.append((name, False))

    @property
    def _certain(self) -> bool:
        return self.depth == 0 and not self.state.dead and not self.may_have_returned

    def _class_may_have(self, name: str) -> bool:
        # A class body looks a name up in itself first, and in the module where it has none yet.
        if not self.scopes:
            return False
        innermost = self.scopes[-1]
        return innermost.kind == "class" and name in innermost.local

    def _note_read(self, name: str, *, sure: bool) -> None:
        if name in self.state.sure:
            return
        if outside.is_provided(name):
            # History never travels between steps, so no earlier step's value can be meant.
            if not outside.is_history(name):
                self.assumes.add(name)
            return
        self.needs.setdefault(name, Position(cell=self.cell, line=self.line))
        if sure and name not in self.state.maybe:
            self.surely.add(name)

    def _bodies(self, name: str) -> Sequence[Body]:
        own = self.definitions.get(name, ())
        # Where the name surely has a value of this code, it cannot be what other code defined.
        if name in self.state.sure:
            return own
        known = self.known.get(name, ())
        # Most names have none of their own, and every read comes here: no new list for those.
        if not own:
            return known
        return [*own, *known]

    def _use(self, name: str) -> None:
        if not self._bodies(name):
            return
        reached = self._reach(name)
        for inner in sorted(reached.reads):
            self._note_read(inner, sure=False)
        self._may_do(reached)

    def _may_do(self, reached: Reached) -> None:
        # Sorted, so that the names of code are found in one order in every process.
        binds = zip(sorted(reached.binds), repeat(True))
        unbinds = zip(sorted(reached.unbinds), repeat(False))
        events = [*binds, *unbinds]
        if events:
            self.state = self.state.perhaps(events)
            self.events.extend(events)
        self.uncertain.extend(sorted(reached.uncertain))
        self.any_name.extend(sorted(reached.any_name))

    def _reach(self, name: str) -> Reached:
        if name in self._reached:
            return self._reached[name]
        reached, pending, seen = Reached(), [name], {name}
        while pending:
            for body in self._bodies(pending.pop()):
                reached.reads |= body.reads
                reached.binds |= body.binds
                reached.unbinds |= body.unbinds
                reached.uncertain.update(body.uncertain)
                reached.any_name.update(body.any_name)
                pending.extend(body.reads - seen)
                seen |= body.reads
        self._reached[name] = reached
        return reached

    def _surely_call(self, name: str, seen: frozenset[str] = frozenset()) -> None:
        """The function runs here: what it surely reads is surely read."""
        bodies = self._bodies(name)
        # Bound once here, or only by other code: else it is not certain which function runs.
        if name in seen or len(bodies) != 1 or self.times_bound[name] != (name in self.state.sure):
            return
        if name in self._reach(name).binds or bodies[0].kind != "function":
            return
        for inner in sorted(bodies[0].surely_reads):
            self._note_read(inner, sure=self._certain)
        for called in sorted(bodies[0].surely_calls):
            self._surely_call(called, seen | {name})
