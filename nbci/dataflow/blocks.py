"""The ways through code: branches, loops, exceptions, and what is known where they meet."""

from __future__ import annotations

import ast
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nbci.dataflow import outside
from nbci.dataflow.naming import Naming
from nbci.dataflow.state import State, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Blocks(Naming):
    """The part of the walk that follows statements which contain others."""

    def _block(self, statements: Iterable[ast.stmt]) -> None:
        for statement in statements:
            self.visit(statement)

    @contextmanager
    def _conditional(self, levels: int = 1) -> Iterator[None]:
        self.depth += levels
        try:
            yield
        finally:
            self.depth -= levels

    def _branch(self, start: State, nodes: Iterable[ast.AST]) -> State:
        """The state at the end of nodes that may run, from `start`."""
        self.state = start.copy()
        with self._conditional():
            for node in nodes:
                self.visit(node)
        return self.state

    def _perhaps_cut_short(self, statements: Sequence[ast.stmt]) -> None:
        start, mark = self.state.copy(), len(self.events)
        end = self._branch(start, statements)
        self.state = join([end, start.perhaps(self.events[mark:])])

    def visit(self, node: ast.AST) -> None:
        """Visit a node, keeping its line for positions."""
        self.line = getattr(node, "lineno", self.line)
        super().visit(node)

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        self.visit(node.test)
        start = self.state
        ends = []
        for part in (node.body, node.orelse):
            # A conditional expression has one expression a branch, an `if` a list of statements.
            if isinstance(part, ast.expr):
                ends.append(self._branch(start, [part]))
            else:
                ends.append(self._branch(start, part))
        self.state = join(ends)

    visit_IfExp = visit_If

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self._first_then_maybe(node.values[:1], node.values[1:])

    def visit_Compare(self, node: ast.Compare) -> None:
        self._guard(node)
        # `a < b < c` computes `c` only where `a < b`.
        self._first_then_maybe([node.left, *node.comparators[:1]], node.comparators[1:])

    def visit_Assert(self, node: ast.Assert) -> None:
        messages = []
        if node.msg:
            messages.append(node.msg)
        self._first_then_maybe([node.test], messages)

    def _first_then_maybe(self, first: Sequence[ast.expr], maybe: Sequence[ast.expr]) -> None:
        for part in first:
            self.visit(part)
        if maybe:
            start = self.state
            self.state = join([start, self._branch(start, maybe)])

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._loop([node.target, *node.body], node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        # The test runs again after each pass, and may read what the body deleted.
        self._loop([*node.body, node.test], node.orelse)

    def _loop(self, body: Sequence[ast.AST], orelse: Sequence[ast.stmt]) -> None:
        start, mark = self.state, len(self.events)
        self.loops += 1
        self._branch(start, body)
        self.loops -= 1
        # The body may run never, and `break` may end it anywhere: what it does is not certain.
        after = start.perhaps(self.events[mark:])
        self.state = after
        if orelse:
            self.state = join([after, self._branch(after, orelse)])

    def _end_of_path(self, node: ast.AST) -> None:
        self.generic_visit(node)
        self.state.dead = True

    visit_Raise = visit_Break = visit_Continue = _end_of_path

    def visit_Return(self, node: ast.Return) -> None:
        self._end_of_path(node)
        self.may_have_returned = True

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        start, mark = self.state.copy(), len(self.events)
        # Without handlers an exception ends the code all the same: then the body is certain.
        with self._conditional(int(bool(node.handlers))):
            self._block(node.body)
        # An exception may come after any part of the body.
        failed = start.perhaps(self.events[mark:])
        ends = [self.state]
        # Python allows `else` only where there are handlers.
        if node.handlers:
            ends = [self._branch(self.state, node.orelse)]
        for handler in node.handlers:
            ends.append(self._branch(failed, [handler]))
        self.state = join(ends)
        if node.finalbody:
            self._finally(node.finalbody, start.perhaps(self.events[mark:]))

    def visit_TryStar(self, node: ast.TryStar) -> None:
        self.visit_Try(node)

    def _finally(self, body: Sequence[ast.stmt], failed: State) -> None:
        """Walk a `finally` block, which runs whatever happened before.

        So what it reads is judged by the names that are there even after a failure.
        """
        normal, mark = self.state, len(self.events)
        self.state = failed.copy()
        self.state.dead = normal.dead
        self._block(body)
        end, events = self.state, self.events[mark:]
        self.state = normal.perhaps(events)
        self.state.dead = end.dead
        for name in {name for name, _ in events}:
            if name in end.sure:
                self.state.bind(name)
            elif name in end.gone:
                self.state.unbind(name)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self.visit(node.type)
        if node.name:
            self.bind(node.name)
        self._block(node.body)
        # Python deletes the name of the exception at the end of the handler.
        if node.name:
            dead = self.state.dead
            self.unbind(node.name)
            self.state.dead = dead

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        swallowing = False
        for item in node.items:
            self.visit(item.context_expr)
            swallowing = swallowing or self._may_swallow(item.context_expr)
            if item.optional_vars is not None:
                self.visit(item.optional_vars)
        if swallowing:
            self._perhaps_cut_short(node.body)
        else:
            self._block(node.body)

    visit_AsyncWith = visit_With

    def _may_swallow(self, context: ast.expr) -> bool:
        return outside.swallows(context) or bool(self._bodies(outside.context_name(context)))

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        start, ends, exhaustive = self.state, [], False
        for case in node.cases:
            mark = len(self.events)
            nodes: list[ast.AST] = [case.pattern]
            if case.guard:
                nodes.append(case.guard)
            ends.append(self._branch(start, [*nodes, *case.body]))
            # A pattern that does not match may have bound some of its names already.
            start = start.perhaps(self.events[mark:])
            match case.pattern:
                case ast.MatchAs(pattern=None) if case.guard is None:
                    exhaustive = True
        # Without `case _` none of the patterns may match.
        if not exhaustive:
            ends.append(start)
        self.state = join(ends)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.generic_visit(node)
        if node.name:
            self.bind(node.name)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self.bind(node.rest)

    def _guard(self, node: ast.Compare) -> None:
        match node:
            case ast.Compare(
                left=ast.Constant(value=str(name)),
                ops=[ast.In() | ast.NotIn()],
                comparators=[right],
            ):
                # `"x" in globals()` asks for one name, which is known, not for all of them.
                if outside.is_namespace(right):
                    self.read(name, sure=False)
                    self.followed.add(right)
