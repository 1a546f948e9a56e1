"""The cells that one step runs, in order: parameters, imports, functions, its own, metrics."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.dataflow.prelude import names_bound_by, reach, split_cell
from nbci.params import override_cells
from nbci.pipeline.notebook_parameters import notebook_parameters
from nbci.plan.model import Definition, PlannedCell, PlannedStep, Probe, Take

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.prelude import Statement
    from nbci.notebook.cells import Cell, Notebook
    from nbci.params import OverriddenCells
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import CellRole
    from nbci.records.run_record import Part


class StepProgram(Struct, frozen=True, kw_only=True):
    """What analysis adds to a step; `inside` are the steps of its notebook that it comes after."""

    inside: tuple[str, ...]
    cells: tuple[PlannedCell, ...]
    takes: tuple[Take, ...] = ()
    gives: tuple[str, ...] = ()
    optional_gives: tuple[str, ...] = ()
    defined_by_reference: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    parts: tuple[Part, ...] = ()
    named_params: tuple[str, ...] = ()


class GroupProgram(Struct, frozen=True, kw_only=True):
    """The programs of a notebook's steps by name, with its definitions and warnings.

    `definitions` are those that values of its steps may refer to.
    """

    steps: Mapping[str, StepProgram]
    definitions: tuple[Definition, ...] = ()
    warnings: tuple[str, ...] = ()


def program(
    tagged: TaggedNotebook, step: PlannedStep, *, overrides: Mapping[str, Any], also: frozenset[str]
) -> tuple[PlannedCell, ...]:
    """The step's planned cells with its parameters put in.

    `also` names classes and functions of the imports and functions cells that the values it takes
    refer to: their definitions run too, though the step's own code does not mention them.
    """
    cells = step.cells
    # Which classes a value refers to is known only once it was saved, so not yet in the plan.
    if also:
        cells = with_definitions(tagged, cells, also)
    if not overrides:
        return cells

    declared = notebook_parameters(tagged)
    return _with_overrides(cells, override_cells(declared, overrides, kernel_name=step.kernel))


def _with_overrides(
    cells: Sequence[PlannedCell], overridden: OverriddenCells
) -> tuple[PlannedCell, ...]:
    sources = dict(overridden.cells)
    result: list[PlannedCell] = []
    behind_parameters = 0
    for cell in cells:
        if cell.role == "parameters" and cell.number is not None:
            result.append(planned_cell("parameters", cell.number, sources[cell.number]))
        else:
            result.append(cell)
        if cell.role == "parameters":
            behind_parameters = len(result)

    # As papermill does: after the parameters cells, whose values it replaces; else before all.
    if overridden.injected is not None:
        result.insert(behind_parameters, planned_cell("injected", None, overridden.injected))
    return tuple(result)


def planned_cell(role: CellRole, number: int | None, source: str) -> PlannedCell:
    """A cell of a program; `number` is None for one that nbci puts in."""
    return PlannedCell(role=role, number=number, source=source)


def planned_cells(
    notebook: Notebook, role: CellRole, numbers: Iterable[int]
) -> Iterator[PlannedCell]:
    """Cells of the notebook as they are written."""
    for number in numbers:
        yield planned_cell(role, number, notebook.cell(number).source)


def number_of(cell: PlannedCell) -> int:
    """Where a cell stands in its notebook; 0 for one that nbci puts in."""
    return cell.number or 0


def prelude_statements(tagged: TaggedNotebook) -> tuple[Statement, ...]:
    """The statements of a Python notebook's imports and functions cells, imports first."""
    statements: list[Statement] = []
    for number in (*tagged.blocks.imports, *tagged.blocks.functions):
        statements += _statements(tagged, tagged.notebook.cell(number))
    return tuple(statements)


def _statements(tagged: TaggedNotebook, cell: Cell) -> tuple[Statement, ...]:
    return split_cell(
        cell.number, cell.source, where=tagged.notebook.where(cell), stars=tagged.stars
    )


def prelude_cells(
    tagged: TaggedNotebook, prelude: Sequence[Statement], kept: Sequence[Statement]
) -> tuple[PlannedCell, ...]:
    """The imports and functions cells with only the kept statements of their `prelude`.

    A cell of which nothing is kept is left out.
    """
    totals = Counter(statement.cell for statement in prelude)
    kept_by_cell = _by_cell(kept)
    cells: list[PlannedCell] = []

    def add(role: CellRole, numbers: Iterable[int]) -> None:
        for number in numbers:
            statements = kept_by_cell.get(number, ())
            if not statements:
                continue
            source = _at_their_lines(statements)
            # A whole cell stays as it is written, with the comments between its statements.
            if len(statements) == totals[number]:
                source = tagged.notebook.cell(number).source
            cells.append(planned_cell(role, number, source))

    add("imports", tagged.blocks.imports)
    add("functions", tagged.blocks.functions)
    return tuple(cells)


def inherited_import_cells(statements: Sequence[Statement]) -> tuple[PlannedCell, ...]:
    """The imports that the step takes over from other steps' cells, as cells of its own."""
    cells = []
    in_order = sorted(statements, key=lambda statement: (statement.cell, statement.line))
    for number, found in _by_cell(in_order).items():
        cells.append(planned_cell("imports", number, _at_their_lines(found)))
    return tuple(cells)


def _by_cell(statements: Iterable[Statement]) -> dict[int, list[Statement]]:
    by_cell: dict[int, list[Statement]] = {}
    for statement in statements:
        by_cell.setdefault(statement.cell, []).append(statement)
    return by_cell


def _at_their_lines(statements: Sequence[Statement]) -> str:
    """The statements' text, each at its line in the cell.

    So a failure names the line that the notebook's author sees.
    """
    lines: list[str] = []
    for statement in statements:
        lines += [""] * (statement.line - 1 - len(lines))
        lines += statement.text.split("\n")
    return "\n".join(lines)


def with_definitions(
    tagged: TaggedNotebook, cells: tuple[PlannedCell, ...], also: frozenset[str]
) -> tuple[PlannedCell, ...]:
    """The cells with the definitions of `also`, and of what those need.

    They are put among the step's imports and functions cells.
    """
    statements = prelude_statements(tagged)
    needed = reach(statements, also, names_bound_by(statements))
    # Statements of other kinds run in every step, so they are in its planned cells already.
    added = {(one.cell, one.line) for one in needed if one.kind != "other"}
    planned = _planned_statements(cells)
    kept = []
    for one in statements:
        if (one.cell, one.text) in planned or (one.cell, one.line) in added:
            kept.append(one)

    # Imports that the step inherited from another step's cell stay as they are.
    shared = {*tagged.blocks.imports, *tagged.blocks.functions}
    others = []
    for cell in cells:
        if cell.role not in ("imports", "functions") or cell.number not in shared:
            others.append(cell)

    # The plan's order stands: imports come first where the parameters cells need them.
    roles = [cell.role for cell in cells if cell.role in ("parameters", "imports")]
    imports_first = roles[:1] == ["imports"] and "parameters" in roles
    return order_by_role(
        [*others, *prelude_cells(tagged, statements, kept)], imports_first=imports_first
    )


def _planned_statements(cells: Iterable[PlannedCell]) -> set[tuple[int, str]]:
    """The statements of a step's imports and functions cells, as number of the cell and text."""
    planned: set[tuple[int, str]] = set()
    for cell in cells:
        if cell.role in ("imports", "functions") and cell.number is not None:
            for statement in split_cell(cell.number, cell.source):
                planned.add((cell.number, statement.text))
    return planned


def order_by_role(cells: Sequence[PlannedCell], *, imports_first: bool) -> tuple[PlannedCell, ...]:
    """The cells by role: parameters and imports, either first, then functions, step, metrics."""
    roles = ["parameters", "imports", "functions", "step", "metrics"]
    if imports_first:
        roles[:2] = ["imports", "parameters"]
    return tuple(sorted(cells, key=lambda cell: roles.index(cell.role)))
