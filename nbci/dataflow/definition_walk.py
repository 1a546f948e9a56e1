"""What definitions do to the module's names: functions, lambdas, classes, and uses of them."""

from __future__ import annotations

import ast
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.dataflow import outside, scopes
from nbci.dataflow.blocks import Blocks
from nbci.dataflow.definition_effects import Body, has_class, without_certainty
from nbci.dataflow.syntax import (
    arguments_of,
    defaults_of,
    names_in,
    parameters_of,
    plain_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nbci.dataflow.scopes import Scope


class DefinitionWalk(Blocks):
    """The part of the visitor for functions and classes.

    Their bodies run later: what they do is kept under the name that leads to them.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        with self._type_scope(node):
            self._arguments(node.args)
            if node.returns is not None:
                self._annotation(node.returns)
        name = None
        if self._at_module_level(node.name):
            name = node.name
        self._define(name, node)
        self._use_if_decorated(self.owner or node.name, node)
        self.bind(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._arguments(node.args)
        self._inline(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        module_level = self._at_module_level(node.name)
        owner = self.owner
        with self._type_scope(node):
            for part in (*node.bases, *node.keywords):
                self.visit(part)
            if module_level and not self.inner and self.owner is None:
                self.owner = node.name
                self._keep(node.name, Body(kind="class"))
            with self._scope(scopes.class_scope(node, self.depth)):
                self._block(node.body)
        self.owner = owner
        self._use_if_decorated(self.owner or node.name, node)
        self.bind(node.name)
        # An instance has the methods of the bases, too.
        if module_level and not self.inner:
            self._carry_from(node.name, plain_names(node.bases))

    def _use_if_decorated(
        self, name: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ) -> None:
        """A decorator may call what it decorates, before that has its name."""
        if not self.inner and any(map(outside.may_call, node.decorator_list)):
            self._use(name)

    def _at_module_level(self, name: str) -> bool:
        return scopes.binding_scope(name, self.scopes) is None

    def _define(self, name: str | None, node: scopes.FunctionNode) -> None:
        """Keep what the function's body does, under the name that leads to the function.

        The body runs later; where no name leads to it, it is taken as used here.
        """
        owner = self.owner or name
        if self.inner or owner is None:
            self._inline(node)
            return
        scope = scopes.function_scope(node)
        kind = "class"
        if owner == name and not self.owner:
            kind = "function"
        self._keep(owner, self._body(node, scope, kind))

    def _body(self, node: scopes.FunctionNode, scope: Scope, kind: str) -> Body:
        outer = [*self.scopes, *self._type_scopes(node)]
        # Of the whole visitor, of which this class is a part.
        walk = type(self)(
            known=self.known, future_annotations=self.future_annotations, inner=(*outer, scope)
        )
        walk.cell, walk.effects = self.cell, self.effects
        walk.run_body(node)
        self.mentions |= walk.mentions
        self.in_text |= walk.in_text
        self.assumes |= walk.assumes
        self.changes |= walk.changes
        plain = isinstance(node, ast.FunctionDef | ast.Lambda)
        decorated = bool(getattr(node, "decorator_list", ()))
        surely_reads: frozenset[str] = frozenset()
        surely_calls: frozenset[str] = frozenset()
        # A call of a generator or coroutine runs nothing yet; a decorator may replace the function.
        if plain and not decorated and not walk.yields:
            surely_reads = frozenset(walk.surely)
            surely_calls = frozenset(walk.surely_calls)
        binds, unbinds = walk.bound_and_unbound()
        return Body(
            kind=kind,
            reads=frozenset(walk.needs),
            surely_reads=surely_reads,
            surely_calls=surely_calls,
            binds=binds,
            unbinds=unbinds,
            uncertain=tuple(dict.fromkeys(walk.uncertain)),
            any_name=tuple(dict.fromkeys(walk.any_name)),
        )

    def run_body(self, node: scopes.FunctionNode) -> None:
        """Walk what runs when the function is called."""
        if isinstance(node, ast.Lambda):
            self.visit(node.body)
        else:
            self._block(node.body)

    def _inline(self, node: scopes.FunctionNode) -> None:
        """The function may run here, or any time later."""
        start, mark = self.state, len(self.events)
        yields, returned = self.yields, self.may_have_returned
        self.state = start.copy()
        with (
            self._conditional(),
            self._scope(*self._type_scopes(node), scopes.function_scope(node)),
        ):
            self.run_body(node)
        # `yield` and `return` in it are the inner function's, not those of the code around it.
        self.yields, self.may_have_returned = yields, returned
        self.state = start.perhaps(self.events[mark:])

    def _keep(self, name: str, body: Body) -> None:
        self.definitions.setdefault(name, []).append(body)
        self.defines_in_loop = self.defines_in_loop or self.loops > 0
        # What other names lead to may have led through this one.
        self._reached.clear()

    def _carry(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        """Keep for the targets what using the value's parts does.

        Such parts are instances of classes, and functions that are handed on without a call.
        """
        if self.inner or not (self.definitions or self.known):
            return
        for target in targets:
            for name in scopes.target_names(target):
                self._carry_from(name, _passed_on(value, self._is_class))

    def _carry_from(self, name: str, sources: Iterable[ast.Name]) -> None:
        for source in sources:
            if source.id != name and self._at_module_level(name):
                for body in without_certainty(self._bodies(source.id)):
                    self._keep(name, replace(body, kind="value"))

    def _is_class(self, name: str) -> bool:
        return has_class(self._bodies(name))

    def _arguments(self, args: ast.arguments) -> None:
        for default in defaults_of(args):
            self.visit(default)
        for parameter in parameters_of(args):
            if parameter.annotation is not None:
                self._annotation(parameter.annotation)

    def _annotation(self, node: ast.expr) -> None:
        # A text in an annotation is code of its own: `def f(x: "Model")`.
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.in_text.update(outside.names_in_expression(part.value))
        if self.future_annotations:
            self._mention(node)
        else:
            self.visit(node)

    def _mention(self, node: ast.AST) -> None:
        for name in names_in(node):
            if scopes.leads_to_module(name, self.scopes):
                self.mentions.add(name)

    def _type_scopes(self, node: ast.AST) -> list[Scope]:
        names = scopes.type_parameter_names(node)
        if not names:
            return []
        return [scopes.Scope(kind="function", local=names)]

    @contextmanager
    def _type_scope(self, node: ast.AST) -> Iterator[None]:
        with self._scope(*self._type_scopes(node)):
            # Python computes their bounds only when somebody asks for them (PEP 695).
            for parameter in getattr(node, "type_params", ()):
                if getattr(parameter, "bound", None) is not None:
                    with self._conditional():
                        self.visit(parameter.bound)
            yield

    @contextmanager
    def _scope(self, *inner: Scope) -> Iterator[None]:
        self.scopes.extend(inner)
        try:
            yield
        finally:
            del self.scopes[len(self.scopes) - len(inner) :]


def _passed_on(value: ast.expr, is_class: Callable[[str], bool]) -> Iterator[ast.Name]:
    """The names in the value, but for the functions and objects that it only calls."""
    pending: list[ast.AST] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name):
            yield node
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and is_class(node.func.id):
                yield node.func
            pending.extend(arguments_of(node))
        else:
            pending.extend(ast.iter_child_nodes(node))
