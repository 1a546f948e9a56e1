"""Dotted names in code, as the libraries spell them: `np.random.seed` is `numpy.random.seed`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def meanings(trees: Iterable[ast.AST]) -> dict[str, str]:
    """What each name that the code imports stands for."""
    found: dict[str, str] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    # `import a.b` binds `a`, `import a.b as c` binds `c` to `a.b`.
                    root = alias.name.partition(".")[0]
                    if alias.asname:
                        found[alias.asname] = alias.name
                    else:
                        found[root] = root
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def dotted_name(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """The library's name of what the expression refers to.

    A name that is not imported is returned as it is, since it may be a builtin; None for its
    attributes, and for other expressions.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    if node.id in names:
        return ".".join([names[node.id], *reversed(parts)])
    if parts:
        return None
    return node.id
