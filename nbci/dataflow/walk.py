"""One walk over code in the order it runs, noting what each line does to the module's names."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow import outside, scopes
from nbci.dataflow.definition_walk import DefinitionWalk
from nbci.dataflow.state import join
from nbci.dataflow.syntax import is_star_import, root_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.magics import Effect


class Walk(DefinitionWalk):
    """The whole visitor: assignments, expressions and magics, beside definitions and blocks."""

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
        match node:
            # `f = lambda …` is a definition, of which more is known than of a value.
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as function):
                if self._at_module_level(name):
                    self.bind(name)
                    self._arguments(function.args)
                    self._define(name, function)
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
        if isinstance(node, ast.Attribute):
            module = outside.module_of_names(node.value)
            if module is not None:
                self._name_of_module(node, module)
            if node.attr == outside.SUBCLASSES:
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
        for name in root_name(node):
            if scopes.leads_to_module(name, self.scopes):
                self.changes.add(name)

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
        key = None
        if isinstance(node.slice, ast.Constant):
            key = node.slice.value
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
        names = {alias.name for alias in node.names}
        if "__main__" in names or getattr(node, "module", "") == "__main__":
            self.any_name.append("__main__ has every name")
        if isinstance(node, ast.ImportFrom):
            if is_star_import(node):
                self.uncertain.append(f"`from {node.module or '.'} import *` may define any name")
            if node.module == "__future__" and "annotations" in names:
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
        local: set[str] = set()
        nodes: list[ast.expr] = []
        for index, generator in enumerate(generators):
            local.update(scopes.target_names(generator.target))
            if index:
                nodes.append(generator.iter)
            nodes += [generator.target, *generator.ifs]

        # It may run no time at all, so its end is only one of the ways that lead on.
        start = self.state
        with self._scope(scopes.Scope(kind="comprehension", local=frozenset(local))):
            end = self._branch(start, [*nodes, *results])
        self.state = join([start, end])

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        self.yields = True
        self.generic_visit(node)

    visit_YieldFrom = visit_Yield

    def visit_Call(self, node: ast.Call) -> None:
        effect = None
        # Cells without magics have no effects: most calls are spared the look-up.
        if self.effects:
            effect = self.effects.get((node.lineno, node.col_offset))
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
