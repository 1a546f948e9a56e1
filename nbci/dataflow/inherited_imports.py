"""Imports in a step's cells that hold in the cells of later steps, too.

They do so where all cells share one kernel: `from __future__` and star imports.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow.prelude import split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.prelude import Statement


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
    made = {name: tuple(_statements(cells)) for name, cells in own.items()}
    if not any(made.values()):
        return {}
    futures: list[tuple[str, Statement]] = []
    for name, statements in made.items():
        futures += [(name, one) for one in statements if is_future(one)]

    stars: dict[str, dict[tuple[int, int], Statement]] = {}
    handed: dict[str, tuple[Statement, ...]] = {}
    for name in order:
        inherited: dict[tuple[int, int], Statement] = {}
        for other in before[name]:
            inherited |= stars[other]
        # Star imports hold along the edges, which carry the values.
        stars[name] = dict(inherited)
        for one in made[name]:
            if not is_future(one):
                stars[name][one.cell, one.line] = one

        # IPython's compiler keeps the flags of `from __future__` for all cells that run later.
        last = max((number for number, _ in own[name]), default=0)
        for other, one in futures:
            if other != name and one.cell < last:
                inherited[one.cell, one.line] = one
        handed[name] = tuple(inherited[place] for place in sorted(inherited))
    return handed


def is_future(statement: Statement) -> bool:
    """Whether it is a `from __future__ import …`."""
    return any(map(_is_future, statement.code.tree.body))


def has_future_annotations(statements: Sequence[Statement]) -> bool:
    """Whether one of them is `from __future__ import annotations`."""
    return any(one.names.future_annotations for one in statements)


def _statements(cells: Sequence[tuple[int, ParsedCell]]) -> Iterator[Statement]:
    for number, cell in cells:
        if cell.may_fail or not any(map(_is_handed_down, cell.tree.body)):
            continue
        for one in split(number, cell.source):
            if any(map(_is_handed_down, one.code.tree.body)):
                yield one


def _is_handed_down(node: ast.stmt) -> bool:
    if _is_future(node):
        return True
    return isinstance(node, ast.ImportFrom) and "*" in [alias.name for alias in node.names]


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__" and not node.level
