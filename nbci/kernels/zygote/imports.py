"""What the cells of a notebook import, for a zygote to import ahead."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OPTIONAL = "?"
"""Ends a name that is a module or something else in one."""

_LINE = re.compile(r"^(?:import|from)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)


def imports_of(sources: Iterable[str]) -> tuple[str, ...]:
    """The modules that cells import outside functions, in order; names end in `?` where they may be
    no modules.
    """
    found: dict[str, None] = {}
    for source in sources:
        if "import" in source:
            found.update(dict.fromkeys(_of_cell(source)))
    return tuple(found)


def _of_cell(source: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # magics, or no Python at all
        return _LINE.findall(source)
    names: list[str] = []
    pending: list[ast.AST] = list(reversed(tree.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
            names += [
                f"{node.module}.{alias.name}{OPTIONAL}" for alias in node.names if alias.name != "*"
            ]
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.expr):
            pending += reversed(list(ast.iter_child_nodes(node)))
    return names
