"""What several modules ask of Python's syntax trees: names, arguments, constants, star imports."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Iterable


def names_in(tree: ast.AST) -> set[str]:
    """Every variable that the code names anywhere, read, bound or deleted."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def plain_names(expressions: Iterable[ast.expr]) -> list[ast.Name]:
    """Those of the expressions that are names and nothing else."""
    return [node for node in expressions if isinstance(node, ast.Name)]


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
