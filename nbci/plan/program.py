"""The cells that one step runs, in order: parameters, imports, functions, its own, metrics."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from nbci.dataflow.prelude import reach, split
from nbci.params import override_cells
from nbci.pipeline.compose import notebook_parameters
from nbci.plan.model import PlannedCell, PlannedStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.dataflow.prelude import Statement
    from nbci.notebook.cells import Cell
    from nbci.pipeline.model import TaggedNotebook


def program(
    tagged: TaggedNotebook, step: PlannedStep, *, overrides: Mapping[str, Any], also: frozenset[str]
) -> tuple[PlannedCell, ...]:
    """The step's planned cells with its parameters put in.

    `also` names classes and functions of the imports and functions cells that the values it takes
    refer to: their definitions run too, though the step's own code does not mention them.
    """
    cells = with_definitions(tagged, step.cells, also) if also else step.cells
    if not overrides:
        return cells
    declared = notebook_parameters(tagged)
    overridden = override_cells(declared, overrides, kernel_name=step.kernel)
    sources = dict(overridden.cells)
    result: list[PlannedCell] = []
    if overridden.injected is not None and not any(cell.role == "parameters" for cell in cells):
        result.append(PlannedCell(role="injected", number=None, source=overridden.injected))
    last = max((at for at, cell in enumerate(cells) if cell.role == "parameters"), default=-1)
    for at, cell in enumerate(cells):
        if cell.role == "parameters" and cell.number is not None:
            result.append(
                PlannedCell(role="parameters", number=cell.number, source=sources[cell.number])
            )
        else:
            result.append(cell)
        if at == last and overridden.injected is not None:
            result.append(PlannedCell(role="injected", number=None, source=overridden.injected))
    return tuple(result)


def prelude_statements(tagged: TaggedNotebook) -> tuple[Statement, ...]:
    """The statements of a Python notebook's imports and functions cells, imports first."""
    notebook = tagged.notebook
    return tuple(
        statement
        for number in (*tagged.blocks.imports, *tagged.blocks.functions)
        for statement in _statements(tagged, notebook.cell(number))
    )


def _statements(tagged: TaggedNotebook, cell: Cell) -> tuple[Statement, ...]:
    return split(cell.number, cell.source, where=tagged.notebook.where(cell), stars=tagged.stars)


def prelude_cells(
    tagged: TaggedNotebook, prelude: Sequence[Statement], kept: Sequence[Statement]
) -> tuple[PlannedCell, ...]:
    """The imports and functions cells with only the kept statements of their `prelude`.

    A cell of which nothing is kept is left out.
    """
    totals = Counter(statement.cell for statement in prelude)
    by_cell: dict[int, list[Statement]] = {}
    for statement in kept:
        by_cell.setdefault(statement.cell, []).append(statement)
    cells: list[PlannedCell] = []
    for role, numbers in (
        ("imports", tagged.blocks.imports),
        ("functions", tagged.blocks.functions),
    ):
        for number in numbers:
            found = by_cell.get(number)
            if found:
                source = tagged.notebook.cell(number).source
                text = source if len(found) == totals[number] else _at_their_lines(found)
                cells.append(
                    PlannedCell(
                        role="imports" if role == "imports" else "functions",
                        number=number,
                        source=text,
                    )
                )
    return tuple(cells)


def imports_handed_down(statements: Sequence[Statement]) -> tuple[PlannedCell, ...]:
    """Cells of other steps, of which the step runs these imports."""
    by_cell: dict[int, list[Statement]] = {}
    for statement in statements:
        by_cell.setdefault(statement.cell, []).append(statement)
    return tuple(
        PlannedCell(role="imports", number=number, source=_at_their_lines(found))
        for number, found in by_cell.items()
    )


def _at_their_lines(statements: Sequence[Statement]) -> str:
    """The statements' text, each at its line in the cell, so that a failure names the line that its
    writer sees.
    """
    lines: list[str] = []
    for statement in statements:
        lines += [""] * (statement.line - 1 - len(lines))
        lines += statement.text.split("\n")
    return "\n".join(lines)


def with_definitions(
    tagged: TaggedNotebook, cells: tuple[PlannedCell, ...], also: frozenset[str]
) -> tuple[PlannedCell, ...]:
    """The cells with the definitions of `also`, and of what those need, among their imports and
    functions.
    """
    shared = {*tagged.blocks.imports, *tagged.blocks.functions}
    statements = prelude_statements(tagged)
    everything = frozenset().union(*(statement.binds for statement in statements))
    planned = {
        (cell.number, statement.text)
        for cell in cells
        if cell.role in ("imports", "functions") and cell.number is not None
        for statement in split(cell.number, cell.source)
    }
    added = {(s.cell, s.line) for s in reach(statements, also, everything) if s.kind != "other"}
    kept = [s for s in statements if (s.cell, s.text) in planned or (s.cell, s.line) in added]
    roles = [cell.role for cell in cells if cell.role in ("parameters", "imports")]
    return ordered(
        [
            cell
            for cell in cells
            if cell.role not in ("imports", "functions") or cell.number not in shared
        ]
        + list(prelude_cells(tagged, statements, kept)),
        imports_first=roles[:1] == ["imports"] and "parameters" in roles,
    )


def ordered(cells: Sequence[PlannedCell], *, imports_first: bool) -> tuple[PlannedCell, ...]:
    """The cells by role: parameters and imports, either first, then functions, step, metrics."""
    first = ("imports", "parameters") if imports_first else ("parameters", "imports")
    rank = {role: at for at, role in enumerate((*first, "functions", "step", "metrics"))}
    return tuple(sorted(cells, key=lambda cell: rank[cell.role]))
