"""What several modules ask of Python's syntax trees: names, arguments, constants, star imports."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def names_in(tree: ast.AST) -> set[str]:
    """Every variable that the code names anywhere, read, bound or deleted."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def plain_names(expressions: Iterable[ast.expr]) -> list[ast.Name]:
    """Those of the expressions that are names and nothing else."""
    return [node for node in expressions if isinstance(node, ast.Name)]


def root_name(node: ast.expr) -> Iterator[str]:
    """The variable with which `a.b[c].d` begins; nothing where it begins with something else."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def arguments_of(call: ast.Call) -> list[ast.expr]:
    """What the call passes, by position and by keyword."""
    arguments = [*call.args]
    for keyword in call.keywords:
        arguments.append(keyword.value)
    return arguments


def defaults_of(arguments: ast.arguments) -> list[ast.expr]:
    """The defaults of a function's parameters, which Python computes where it is defined."""
    # The syntax tree has None for a keyword-only parameter without a default.
    return [*arguments.defaults, *filter(None, arguments.kw_defaults)]


def parameters_of(arguments: ast.arguments) -> Iterator[ast.arg]:
    """The parameters of a function, in the order in which Python evaluates their annotations."""
    yield from arguments.posonlyargs
    yield from arguments.args
    if arguments.vararg is not None:
        yield arguments.vararg
    yield from arguments.kwonlyargs
    if arguments.kwarg is not None:
        yield arguments.kwarg


def are_constants(nodes: Iterable[ast.AST | None]) -> bool:
    """Whether all of them are literal numbers, texts and the like."""
    return all(isinstance(node, ast.Constant) for node in nodes)


def consists_of(tree: ast.AST | None, kinds: tuple[type[ast.AST], ...]) -> bool:
    """Whether the code is made of these kinds of nodes only; None, no code, is."""
    if tree is None:
        return True
    return all(isinstance(node, kinds) for node in ast.walk(tree))


def is_star_import(node: ast.AST) -> TypeGuard[ast.ImportFrom]:
    """Whether it is `from … import *`, of which nobody knows what it binds."""
    if not isinstance(node, ast.ImportFrom) or not node.names:
        return False
    # In Python's grammar a star stands alone. `code.parse_cell` puts the names that are known in
    # its place, which may be none.
    return node.names[0].name == "*"
