"""Names that parameters, imports and functions cells bind to objects that a step may change."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow.definition_effects import NONE_KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.definition_effects import Definitions
    from nbci.dataflow.prelude import Statement

_CONSTANT_PARTS = (
    ast.Constant,
    ast.Tuple,
    ast.UnaryOp,
    ast.BinOp,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.expr_context,
    ast.operator,
    ast.unaryop,
)


def mutable_names(
    params: frozenset[str], prelude: Sequence[Statement], definitions: Definitions = NONE_KNOWN
) -> Mapping[str, frozenset[str]]:
    """Each of the names, with all that may share objects with it, itself included.

    A statement ties the names that it binds to those that it uses at once: `log = REGISTRY`, `def
    f(x=DEFAULT)`, `class B(A)`; `register(f)` ties `f` to what `register` uses by its definition.
    """
    changeable = set(params)
    for statement in prelude:
        changeable |= _changeable(statement)
    groups: dict[str, set[str]] = {name: {name} for name in changeable}
    for statement in prelude:
        tied = set(statement.binds | statement.names.needs)
        for function in _handed_to(statement):
            for body in definitions.get(function, ()):
                tied |= body.reads
        _tie(groups, sorted(tied & changeable))

    # One frozen set a group, not one a name: a group may have thousands.
    frozen = {id(group): frozenset(group) for group in groups.values()}
    return {name: frozen[id(group)] for name, group in groups.items()}


def _handed_to(statement: Statement) -> Iterator[str]:
    """The functions that the statement calls without using their result, or decorates with.

    They may keep what they get.
    """
    for node in statement.code.tree.body:
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
                yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                for decorator in node.decorator_list:
                    match decorator:
                        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
                            yield name


def _tie(groups: dict[str, set[str]], names: Iterable[str]) -> None:
    # All names of a group have the same set object, so its identity tells groups apart.
    found = {id(groups[name]): groups[name] for name in names}
    if len(found) < 2:
        return
    together = set().union(*found.values())
    for name in together:
        groups[name] = together


def _changeable(statement: Statement) -> frozenset[str]:
    if statement.kind == "import":
        return frozenset()
    for node in statement.code.tree.body:
        if (
            isinstance(node, ast.Assign | ast.AnnAssign)
            and node.value is not None
            and _is_constant(node.value)
        ):
            return frozenset()
    return statement.binds


def _is_constant(value: ast.expr) -> bool:
    """Whether the value cannot be changed: numbers, text, and what operators make of them."""
    return all(isinstance(node, _CONSTANT_PARTS) for node in ast.walk(value))
