"""Reads what the cells of a notebook import, so that a zygote can import it before it forks."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OPTIONAL = "?"
"""Ends a name that is a module or something else in one."""

_LINE = re.compile(r"^(?:import|from)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)
# What runs later, if at all. Expressions hold no import, and are most of the tree.
_NOT_ENTERED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.expr)


def imports_of(sources: Iterable[str]) -> tuple[str, ...]:
    """The modules that cells import outside functions, in order.

    Names end in `?` where they may be no modules.
    """
    found: dict[str, None] = {}
    for source in sources:
        # Parsing takes most of the time here, and most cells import nothing.
        if "import" in source:
            found.update(dict.fromkeys(_imports_of_cell(source)))
    return tuple(found)


def _imports_of_cell(source: str) -> list[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # A cell with magics is no Python, and one may be in another language altogether.
        return _LINE.findall(source)

    names: list[str] = []
    pending: list[ast.AST] = list(reversed(tree.body))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # Relative imports raise in a notebook: it is in no package.
            if node.module and not node.level:
                names += _names_imported_from(node.module, node.names)
        elif not isinstance(node, _NOT_ENTERED):
            pending += reversed(list(ast.iter_child_nodes(node)))
    return names


def _names_imported_from(module: str, aliases: Iterable[ast.alias]) -> list[str]:
    members = [alias.name for alias in aliases if alias.name != "*"]
    return [module, *(f"{module}.{member}{OPTIONAL}" for member in members)]
