"""Imports in a step's cells that hold in the cells of later steps, too.

They do so where all cells share one kernel: `from __future__` and star imports.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow.prelude import split_cell
from nbci.dataflow.syntax import is_star_import

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.prelude import Statement

    _ByPlace = dict[tuple[int, int], Statement]
    """Statements by the number of their cell and their line in it."""


def inherited_imports(
    own: Mapping[str, Sequence[tuple[int, ParsedCell]]],
    before: Mapping[str, Sequence[str]],
    order: Sequence[str],
) -> dict[str, tuple[Statement, ...]]:
    """For each step the imports of other steps that it runs, too.

    `own` are the steps' cells with their numbers, `before` the steps right before each, `order` one
    in which they may run. What `from X import *` binds nobody can list, so the steps after it
    import it again. `from __future__` holds for all cells further down.
    """
    futures: dict[str, _ByPlace] = {}
    own_stars: dict[str, _ByPlace] = {}
    for name, cells in own.items():
        futures[name], own_stars[name] = _handed_down(cells)
    if not any(futures.values()) and not any(own_stars.values()):
        return {}

    stars: dict[str, _ByPlace] = {}
    handed: dict[str, tuple[Statement, ...]] = {}
    for name in order:
        inherited: _ByPlace = {}
        for other in before[name]:
            inherited |= stars[other]
        # Star imports hold along the edges, which carry the values.
        stars[name] = inherited | own_stars[name]

        last = _last_cell(own[name])
        for other, statements in futures.items():
            if other == name:
                continue
            # IPython's compiler keeps the flags of `from __future__` for all cells that run later.
            for (cell, line), statement in statements.items():
                if cell < last:
                    inherited[cell, line] = statement
        handed[name] = tuple(inherited[place] for place in sorted(inherited))
    return handed


def _last_cell(cells: Sequence[tuple[int, ParsedCell]]) -> int:
    """The highest number of the cells, 0 without any."""
    return max((number for number, _ in cells), default=0)


def is_future(statement: Statement) -> bool:
    """Whether it is a `from __future__ import …`."""
    return any(map(_is_future, statement.code.tree.body))


def has_future_annotations(statements: Sequence[Statement]) -> bool:
    """Whether one of them is `from __future__ import annotations`."""
    return any(statement.names.future_annotations for statement in statements)


def _handed_down(cells: Sequence[tuple[int, ParsedCell]]) -> tuple[_ByPlace, _ByPlace]:
    """The cells' imports from `__future__`, and their star imports."""
    futures: _ByPlace = {}
    stars: _ByPlace = {}
    for number, cell in cells:
        # A cell that may fail may not have come as far as its import.
        if cell.may_fail or not any(map(_is_handed_down, cell.tree.body)):
            continue
        for statement in split_cell(number, cell.source):
            if is_future(statement):
                futures[statement.cell, statement.line] = statement
            elif any(map(is_star_import, statement.code.tree.body)):
                stars[statement.cell, statement.line] = statement
    return futures, stars


def _is_handed_down(node: ast.stmt) -> bool:
    return _is_future(node) or is_star_import(node)


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__" and not node.level
