"""Writes parameters cells for other values than those that they assign."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.params.inject import translation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.params.declared import Declared, Statement


class OverriddenCells(Struct, frozen=True, kw_only=True):
    """Parameters cells to run for given overrides: numbers and sources, then `injected`.

    Running the cells and then `injected` is running the original with the literals replaced in
    place.
    """

    cells: tuple[tuple[int, str], ...]
    injected: str | None


def override_cells(
    declared: Declared, overrides: Mapping[str, Any], *, kernel_name: str = ""
) -> OverriddenCells:
    """The cells to run so that `overrides` hold, in the order that the author wrote.

    Code after the first overridden literal moves behind the injected values, so it sees them and
    runs once. Overrides of names that no cell assigns come first.
    """
    if not overrides:
        return OverriddenCells(cells=declared.cells, injected=None)
    moved_from = _first_moved(declared.statements, overrides)
    # No code runs after an overridden literal, so that all values can come last.
    if moved_from is None:
        injected = translation(overrides, language=declared.language, kernel_name=kernel_name)
        return OverriddenCells(cells=declared.cells, injected=injected)

    kept, moved = declared.statements[:moved_from], declared.statements[moved_from:]
    first = dict(overrides)
    for name in _literal_names(moved) - _literal_names(kept):
        # It is assigned where the author wrote it, in the place of the literal.
        first.pop(name, None)

    imports: list[str] = []
    rest = [translation(first, language=declared.language, kernel_name=kernel_name)]
    for statement in moved:
        # Python takes imports from __future__ only before all other statements of a cell.
        if statement.future:
            imports.append(statement.text)
        else:
            rest += _overridden_texts(statement, overrides, kernel_name)
    injected = "\n".join(part.rstrip("\n") for part in (*imports, *rest))
    return OverriddenCells(cells=_remaining_cells(declared, kept), injected=injected)


def _literal_names(statements: Iterable[Statement]) -> set[str]:
    names: set[str] = set()
    for statement in statements:
        names.update(statement.literals)
    return names


def _first_moved(statements: Sequence[Statement], overrides: Mapping[str, Any]) -> int | None:
    """The first code that stands after an overridden literal: from there on everything moves."""
    seen = False
    for index, statement in enumerate(statements):
        if seen and not statement.literals:
            return index
        seen = seen or not overrides.keys().isdisjoint(statement.literals)
    return None


def _overridden_texts(
    statement: Statement, overrides: Mapping[str, Any], kernel_name: str
) -> list[str]:
    """What runs in the place of the statement: its text, or the override, or both."""
    replaced = {name: overrides[name] for name in statement.literals if name in overrides}
    if not replaced:
        return [statement.text]
    text = translation(replaced, language="python", kernel_name=kernel_name, comment=None)
    if len(replaced) == len(statement.literals):
        return [text]
    # `a = b = 1` with only `a` overridden still has to bind `b`.
    return [statement.text, text]


def _remaining_cells(declared: Declared, kept: Sequence[Statement]) -> tuple[tuple[int, str], ...]:
    """The cells with those of their statements that stay; an untouched cell as it was written."""
    whole = _by_cell(declared.statements)
    remaining = _by_cell(kept)
    cells = []
    for number, source in declared.cells:
        statements = remaining[number]
        if len(statements) == len(whole[number]):
            cells.append((number, source))
        else:
            cells.append((number, _source_of(statements)))
    return tuple(cells)


def _by_cell(statements: Iterable[Statement]) -> dict[int, list[Statement]]:
    by_cell: dict[int, list[Statement]] = defaultdict(list)
    for statement in statements:
        by_cell[statement.cell].append(statement)
    return by_cell


def _source_of(statements: Iterable[Statement]) -> str:
    text = ""
    for statement in statements:
        if statement.joined:
            text += "; "
        elif text:
            text += "\n"
        text += statement.text
    return text
