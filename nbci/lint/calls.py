"""Calls and line magics in cells.

Functions have their names as the libraries spell them: `np.random.seed` is `numpy.random.seed`.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow.dotted import dotted_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def calls(tree: ast.AST, names: Mapping[str, str]) -> Iterator[tuple[str, ast.Call]]:
    """Every call of something that has a dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = dotted_name(node.func, names)
            if name is not None:
                yield name, node


def magics(tree: ast.AST) -> Iterator[tuple[str, str, int]]:
    """The line magics of a cell after IPython's transformation: name, argument, line."""
    for node in ast.walk(tree):
        found = magic(node)
        if found is not None and isinstance(node, ast.Call):
            yield *found, node.lineno


def magic(node: ast.AST) -> tuple[str, str] | None:
    """Name and argument of the line magic that the node is, after IPython's transformation."""
    match node:
        # `%cd data` becomes `get_ipython().run_line_magic('cd', 'data')`
        case ast.Call(
            func=ast.Attribute(attr="run_line_magic"),
            args=[ast.Constant(value=str(name)), ast.Constant(value=str(argument)), *_],
        ):
            return name, argument
    return None
