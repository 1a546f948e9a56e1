"""Dotted names in code, as the libraries spell them: `np.random.seed` is `numpy.random.seed`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow.dotted import dotted_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.lint.notebook_facts import NotebookFacts


def imported(facts: NotebookFacts) -> dict[str, str]:
    """Return the dotted name that each imported name stands for.

    A name that the notebook also binds otherwise is left out, since it may stand for something
    else.
    """
    found: dict[str, str] = {}
    others: set[str] = set()
    for cell in facts.cells.values():
        for node in ast.walk(cell.tree):
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        if alias.asname:
                            found[alias.asname] = alias.name
                        else:
                            # `import os.path` binds `os`
                            top = alias.name.split(".")[0]
                            found[top] = top
                # relative imports (level > 0) name no library
                case ast.ImportFrom(module=str(module), names=names, level=0):
                    for alias in names:
                        found[alias.asname or alias.name] = f"{module}.{alias.name}"
                case (
                    ast.Name(id=name, ctx=ast.Store())
                    | ast.FunctionDef(name=name)
                    | ast.ClassDef(name=name)
                ):
                    others.add(name)
    return {name: meaning for name, meaning in found.items() if name not in others}


def calls(trees: Iterable[ast.AST], names: Mapping[str, str]) -> Iterator[tuple[str, ast.Call]]:
    """Every call of something that has a dotted name."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (name := dotted_name(node.func, names)):
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
        case ast.Call(
            func=ast.Attribute(attr="run_line_magic"),
            args=[ast.Constant(value=str(name)), ast.Constant(value=str(argument)), *_],
        ):
            return name, argument
    return None
