"""One walk over code in the order it runs, noting what each line does to the module's names."""

from __future__ import annotations

import ast
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.dataflow import outside, scopes
from nbci.dataflow.blocks import Blocks
from nbci.dataflow.definition_effects import Body
from nbci.dataflow.state import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.magics import Effect
    from nbci.dataflow.scopes import Scope


class Walk(Blocks):
    """The whole visitor: assignments, functions and classes, expressions, magics."""

    def run(self, cells: Sequence[ParsedCell]) -> None:
        """Walk the cells in order."""
        for self.cell, cell in enumerate(cells):
            self.effects = cell.effects
            if cell.may_fail:
                self._perhaps_cut_short(cell.tree.body)
            else:
                self._block(cell.tree.body)

    # assignments

    def visit_Assign(self, node: ast.Assign) -> None:
        name = (
            node.targets[0].id
            if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
            else None
        )
        if name is not None and isinstance(node.value, ast.Lambda) and self._at_module_level(name):
            self.bind(name)
            self._arguments(node.value.args)
            self._define(name, node.value)
            return
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
        self._carry(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target)
        # Python does not evaluate the annotations of a function's own variables.
        if self.scopes and self.scopes[-1].kind == "function":
            self._mention(node.annotation)
        else:
            self._annotation(node.annotation)
        if node.value is not None:
            self._carry([node.target], node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        # Python reads the target before it computes the value, and binds it after that.
        if isinstance(node.target, ast.Name):
            self.read(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.bind(node.target.id, walrus=True)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.read(node.id)
        elif isinstance(node.ctx, ast.Store):
            self.bind(node.id)
        else:
            self.read(node.id)
            self.unbind(node.id)

    def visit_Attribute(self, node: ast.Attribute | ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._change(node)
        if isinstance(node, ast.Subscript) and outside.is_namespace(node.value):
            self._namespace_item(node)
        reason = outside.reads_any_name(node, at_module_level=self._reads_module())
        if reason is not None and node not in self.followed:
            self.any_name.append(reason)
        if (
            isinstance(node, ast.Attribute)
            and (module := outside.module_of_names(node.value)) is not None
        ):
            self._name_of_module(node, module)
        if isinstance(node, ast.Attribute) and node.attr == outside.SUBCLASSES:
            self.read(node.attr, sure=False)
        self.generic_visit(node)

    visit_Subscript = visit_Attribute

    def visit_Constant(self, node: ast.Constant) -> None:
        """A text may be a formula or a query, which libraries read names from."""
        if isinstance(node.value, str):
            self.in_text.update(outside.names_in_formula(node.value))

    def _reads_module(self) -> bool:
        """Whether `locals()` here are the module's names."""
        return not any(scope.kind == "function" for scope in self.scopes)

    def _change(self, node: ast.expr) -> None:
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        if isinstance(node, ast.Name) and scopes.leads_to_module(node.id, self.scopes):
            self.changes.add(node.id)

    def _name_of_module(self, node: ast.Attribute, module: str) -> None:
        """Note what an attribute of a module means for names.

        `__main__.x` is the name `x`; what `builtins.x = …` defines exists in this step's kernel
        only.
        """
        if module == "__main__":
            stored = isinstance(node.ctx, ast.Store)
            if isinstance(node.ctx, ast.Load):
                self.read(node.attr, sure=False)
                return
            self.mentions.add(node.attr)
            self.state = self.state.perhaps([(node.attr, stored)])
            self.events.append((node.attr, stored))
        elif not isinstance(node.ctx, ast.Load):
            self.uncertain.append(
                f"`{module}.{node.attr} = …` defines a name in this step's kernel only"
            )

    def _namespace_item(self, node: ast.Subscript) -> None:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if isinstance(key, str) or not isinstance(node.ctx, ast.Load):
            self.followed.add(node.value)
        if not isinstance(key, str):
            self.uncertain.append(f"{ast.unparse(node.value)}[…] may use any name")
        elif isinstance(node.ctx, ast.Load):
            self.read(key, sure=False)
        else:
            self.mentions.add(key)
            self.state = self.state.perhaps([(key, isinstance(node.ctx, ast.Store))])
            self.events.append((key, isinstance(node.ctx, ast.Store)))

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for name in scopes.imported_names(node):
            self.bind(name, imported=True)
        if (
            any(alias.name == "__main__" for alias in node.names)
            or getattr(node, "module", "") == "__main__"
        ):
            self.any_name.append("__main__ has every name")
        if isinstance(node, ast.ImportFrom):
            if any(alias.name == "*" for alias in node.names):
                self.uncertain.append(f"`from {node.module or '.'} import *` may define any name")
            if node.module == "__future__" and any(
                alias.name == "annotations" for alias in node.names
            ):
                self.future_annotations = True

    visit_ImportFrom = visit_Import

    def visit_TypeAlias(self, node: ast.AST) -> None:
        """`type X = …`: the value is computed when it is asked for."""
        # By getattr, since ast.TypeAlias exists only from Python 3.12 on.
        target = getattr(node, "name")  # noqa: B009
        with (
            self._scope(scopes.Scope(kind="function", local=scopes.type_parameter_names(node))),
            self._conditional(),
        ):
            self.visit(getattr(node, "value"))  # noqa: B009  # as above
        self.bind(target.id)

    # functions and classes

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        with self._type_scope(node):
            self._arguments(node.args)
            if node.returns is not None:
                self._annotation(node.returns)
        module_level = self._at_module_level(node.name)
        self._define(node.name if module_level else None, node)
        self._decorated(self.owner or node.name, node)
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
        self._decorated(self.owner or node.name, node)
        self.bind(node.name)
        # An instance has the methods of the bases, too.
        if module_level and not self.inner:
            self._carry_from(node.name, (base for base in node.bases if isinstance(base, ast.Name)))

    def _decorated(
        self, name: str, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    ) -> None:
        """A decorator may call what it decorates, before that has its name."""
        if not self.inner and any(outside.may_call(decorator) for decorator in node.decorator_list):
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
        kind = "function" if owner == name and not self.owner else "class"
        self._keep(owner, self._body(node, scope, kind))

    def _body(self, node: scopes.FunctionNode, scope: Scope, kind: str) -> Body:
        outer = [*self.scopes, *self._type_scopes(node)]
        walk = Walk(
            known=self.known, future_annotations=self.future_annotations, inner=(*outer, scope)
        )
        walk.cell, walk.effects = self.cell, self.effects
        walk._run_body(node)
        self.mentions |= walk.mentions
        self.in_text |= walk.in_text
        self.assumes |= walk.assumes
        self.changes |= walk.changes
        plain = isinstance(node, ast.FunctionDef | ast.Lambda) and not getattr(
            node, "decorator_list", ()
        )
        # A call of a generator or coroutine runs nothing yet; a decorator may replace the function.
        certain = plain and not walk.yields
        return Body(
            kind=kind,
            reads=frozenset(walk.needs),
            surely_reads=frozenset(walk.surely if certain else ()),
            surely_calls=frozenset(walk.surely_calls if certain else ()),
            binds=frozenset(name for name, bound in walk.events if bound),
            unbinds=frozenset(name for name, bound in walk.events if not bound),
            uncertain=tuple(dict.fromkeys(walk.uncertain)),
            any_name=tuple(dict.fromkeys(walk.any_name)),
        )

    def _run_body(self, node: scopes.FunctionNode) -> None:
        if isinstance(node, ast.Lambda):
            self.visit(node.body)
        else:
            self._block(node.body)

    def _inline(self, node: scopes.FunctionNode) -> None:
        """The function may run here, or any time later."""
        start, mark, yields, returned = (
            self.state,
            len(self.events),
            self.yields,
            self.may_have_returned,
        )
        self.state = start.copy()
        with (
            self._conditional(),
            self._scope(*self._type_scopes(node), scopes.function_scope(node)),
        ):
            self._run_body(node)
        # `yield` and `return` in it are the inner function's, not those of the code around it.
        self.yields, self.may_have_returned = yields, returned
        self.state = start.perhaps(self.events[mark:])

    def _keep(self, name: str, body: Body) -> None:
        self.definitions.setdefault(name, []).append(body)
        self.defines_in_loop = self.defines_in_loop or self.loops > 0
        self._reached.clear()

    def _carry(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        """Keep for the targets what using the value's parts does.

        Such parts are instances of classes, and functions that are handed on without a call.
        """
        if self.inner or not (self.definitions or self.known):
            return
        for name in (name for target in targets for name in scopes.target_names(target)):
            self._carry_from(name, _handed_on(value, self._is_class))

    def _carry_from(self, name: str, sources: Iterable[ast.Name]) -> None:
        for source in sources:
            if source.id != name and scopes.binding_scope(name, self.scopes) is None:
                for body in self._bodies(source.id):
                    self._keep(name, replace(body.without_certainty(), kind="value"))

    def _is_class(self, name: str) -> bool:
        return any(body.kind == "class" for body in self._bodies(name))

    def _arguments(self, args: ast.arguments) -> None:
        for default in (*args.defaults, *args.kw_defaults):
            if default is not None:
                self.visit(default)
        for arg in (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg):
            if arg is not None and arg.annotation is not None:
                self._annotation(arg.annotation)

    def _annotation(self, node: ast.expr) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.in_text.update(outside.names_in_expression(part.value))
        if self.future_annotations:
            self._mention(node)
        else:
            self.visit(node)

    def _mention(self, node: ast.AST) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and scopes.leads_to_module(part.id, self.scopes):
                self.mentions.add(part.id)

    def _type_scopes(self, node: ast.AST) -> list[Scope]:
        names = scopes.type_parameter_names(node)
        return [scopes.Scope(kind="function", local=names)] if names else []

    @contextmanager
    def _type_scope(self, node: ast.AST) -> Iterator[None]:
        with self._scope(*self._type_scopes(node)):
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

    # comprehensions, generators, calls and magics

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        self._comprehension(node.generators, [node.elt])

    visit_SetComp = visit_GeneratorExp = visit_ListComp

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node.generators, [node.key, node.value])

    def _comprehension(
        self, generators: Sequence[ast.comprehension], results: Sequence[ast.expr]
    ) -> None:
        # Python evaluates the first iterable outside the comprehension's scope.
        self.visit(generators[0].iter)
        local = frozenset(
            name for generator in generators for name in scopes.target_names(generator.target)
        )
        start, nodes = self.state, []
        for index, generator in enumerate(generators):
            nodes.extend([*([generator.iter] if index else []), generator.target, *generator.ifs])
        with self._scope(scopes.Scope(kind="comprehension", local=local)):
            end = self._branch(start, [*nodes, *results])
        self.state = joined([start, end])

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        self.yields = True
        self.generic_visit(node)

    visit_YieldFrom = visit_Yield

    def visit_Call(self, node: ast.Call) -> None:
        effect = self.effects.get((node.lineno, node.col_offset)) if self.effects else None
        if effect is not None and isinstance(node.func, ast.Attribute):
            self._magic(effect)
            return
        why = outside.unfollowable(node)
        if why is not None:
            self.uncertain.append(why)
        match node:
            case ast.Call(
                func=ast.Attribute(attr="get", value=value),
                args=[ast.Constant(value=str(name)), *_],
            ) if outside.is_namespace(value):
                self.read(name, sure=False)
                self.followed.add(value)
        for name in outside.names_in_query(node):
            self.read(name, sure=False)
        reason = outside.reads_any_name(node, at_module_level=self._reads_module())
        if reason is not None and node not in self.followed:
            self.any_name.append(reason)
        self.in_text.update(outside.names_in_evaluated(node))
        self.generic_visit(node)
        if (
            isinstance(node.func, ast.Name)
            and self._certain
            and scopes.leads_to_module(node.func.id, self.scopes)
        ):
            self.surely_calls.add(node.func.id)
            if not self.inner:
                self._surely_call(node.func.id)

    def _magic(self, effect: Effect) -> None:
        for name in effect.reads:
            self.read(name, sure=False)
        if effect.body is not None:
            self._magic_body(effect.body, apart=effect.apart)
        for name in effect.binds:
            self.bind(name)
        if effect.uncertain:
            self.uncertain.append(effect.uncertain)
            self.any_name.append(effect.uncertain)

    def _magic_body(self, body: ParsedCell, *, apart: bool) -> None:
        outer, self.effects = self.effects, body.effects
        # `%timeit` and its like run the code in a function, so that its names stay there.
        if apart:
            function = ast.parse("def _(): pass").body[0]
            if isinstance(function, ast.FunctionDef):
                function.body = body.tree.body or function.body
                self._inline(function)
        else:
            self._block(body.tree.body)
        self.effects = outer


def _handed_on(value: ast.expr, is_class: Callable[[str], bool]) -> Iterator[ast.Name]:
    """The names in the value, but for the functions and objects that it only calls."""
    pending: list[ast.AST] = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name):
            yield node
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and is_class(node.func.id):
                yield node.func
            pending.extend([*node.args, *(keyword.value for keyword in node.keywords)])
        else:
            pending.extend(ast.iter_child_nodes(node))
