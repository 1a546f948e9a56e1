"""Rules about code as Python reads it: syntax, undefined names, parameters."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from nbci.dataflow.history import lost_history
from nbci.dataflow.names import names_of
from nbci.dataflow.outside import reads_any_name
from nbci.errors import UsageError
from nbci.lint.finding import Hit
from nbci.plan.group import analyse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.undefined import Undefined
    from nbci.lint.notebook_facts import Sheet


def syntax_errors(sheet: Sheet) -> Iterator[Hit]:
    """Cells that are no valid Python."""
    for error in sheet.broken.values():
        yield Hit.of(error)
    if sheet.declaration_refusal is not None:
        yield Hit.of(sheet.declaration_refusal)


def undefined_names(sheet: Sheet) -> Iterator[Hit]:
    """Yield names that surely nothing defines.

    Names that a cell with a syntax error mentions are left out, since that cell may define them.
    """
    found = list(_undefined(sheet, "error"))
    yield from found
    if not sheet.broken and not sheet.refusals:
        seen = {(hit.cell, hit.line, hit.message) for hit in found}
        yield from (
            hit
            for hit in _refused(sheet)
            if (hit.cell, hit.line, hit.message) not in seen and not found
        )


def maybe_undefined_names(sheet: Sheet) -> Iterator[Hit]:
    """Yield names that nothing is seen to define, where some code may define any name."""
    return _undefined(sheet, "warning")


def _undefined(sheet: Sheet, severity: str) -> Iterator[Hit]:
    for found in sheet.flowing.undefined if sheet.flowing and not sheet.composed else ():
        if found.severity == severity and not _named_in_broken(sheet, found.name):
            reason = f" ({found.reason})" if found.reason else ""
            yield Hit(
                message=f"{found.message}{reason}",
                hint=found.hint,
                cell=_cell_number(sheet, found),
                line=found.line,
            )


def _cell_number(sheet: Sheet, found: Undefined) -> int:
    step = next(step for step in sheet.steps if step.name == found.step)
    return sheet.own_cells(step)[found.cell][0]


def _named_in_broken(sheet: Sheet, name: str) -> bool:
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(word.search(sheet.notebook.cell(number).source) for number in sheet.broken)


def _refused(sheet: Sheet) -> Iterator[Hit]:
    """What the plan refuses and the steps' own flow does not show, as in metrics cells."""
    if sheet.tagged is None or not sheet.is_python or sheet.declared is None or sheet.composed:
        return
    try:
        analyse(
            sheet.tagged, sheet.tagged.steps, by_dataflow=sheet.by_dataflow, brought=sheet.brought
        )
    except UsageError as error:
        # the plan puts further errors on the later lines of a hint, or begins with them ("also
        # ...")
        first = (error.hint or "").split("\n")[0]
        hit = Hit.of(error)
        yield Hit(
            message=hit.message,
            hint=None if not first or first.startswith("also ") else first,
            cell=hit.cell,
            line=hit.line,
            column=hit.column,
        )


def joins(sheet: Sheet) -> Iterator[Hit]:
    """Values that reach a step from two others, neither of which comes first."""
    if sheet.flowing is None:
        return
    for warning in sheet.flowing.warnings:
        yield Hit(
            message=warning, hint="let one of the steps come after the other, or use two names"
        )


def not_handed_on(sheet: Sheet) -> Iterator[Hit]:
    """Yield values that steps find in one shared kernel but not in a kernel each.

    Such are deletions, subclasses, and what differs each time that it is made.
    """
    if sheet.flowing is None:
        return
    for warning in sheet.flowing.apart:
        # these warnings are one text whose last clause is what to do
        message, _, remedy = warning.rpartition(": ")
        yield Hit(message=message, hint=remedy)


def unused_parameters(sheet: Sheet) -> Iterator[Hit]:
    """Parameters that no other code of the notebook mentions."""
    if sheet.tagged is None or sheet.declared is None or sheet.composed:
        return
    numbers = sheet.tagged.blocks.parameters
    elsewhere = "\n".join(
        cell.source for cell in sheet.notebook.cells if cell.number not in numbers
    )
    read = {
        node.id
        for number in numbers
        if number in sheet.cells
        for node in ast.walk(sheet.cells[number].tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for parameter in sheet.declared.parameters:
        # a search of the text, so that names in magics and shell commands count as uses
        if parameter.name not in read and not re.search(
            rf"(?<!\w){re.escape(parameter.name)}(?!\w)", elsewhere
        ):
            where = parameter.where
            yield Hit(
                message=f"the parameter `{parameter.name}` is used nowhere",
                hint="take it away, or use it where a literal stands",
                cell=where.cell if where else None,
                line=where.line if where else None,
            )


def numbered_outputs(sheet: Sheet) -> Iterator[Hit]:
    """Yield uses of `Out[3]` and the like, whose numbers differ in a step."""
    if sheet.tagged is None or sheet.tagged.whole:
        return
    shared = (*sheet.tagged.blocks.imports, *sheet.tagged.blocks.functions)
    given = names_of([sheet.cells[number] for number in shared if number in sheet.cells]).binds
    for step in sheet.steps:
        own = list(sheet.own_cells(step))
        for lost in lost_history([cell for _, cell in own], given):
            if not lost.surely:
                yield Hit(
                    message=lost.message, hint=lost.hint, cell=own[lost.cell][0], line=lost.line
                )


def hidden_names(sheet: Sheet) -> Iterator[Hit]:
    """Yield code that may read parameters which it does not name.

    Every parameter then counts for the reuse of the step.
    """
    if sheet.tagged is None or sheet.declared is None or sheet.flowing is None:
        return
    blocks = sheet.tagged.blocks
    shared = [
        (number, sheet.cells[number])
        for number in (*blocks.imports, *blocks.functions)
        if number in sheet.cells
    ]
    parameters = {parameter.name for parameter in sheet.declared.parameters}
    for step in sheet.steps:
        found = sheet.flow_of(step).names
        hidden = sorted(parameters - found.mentions - found.in_text)
        for reason in found.any_name if hidden else ():
            cell, line = _place_of(reason, [*sheet.own_cells(step), *shared]) or (step.cells[0], 1)
            yield Hit(
                message=f"{reason}: step {step.name} runs again whenever a parameter changes, also `{hidden[0]}`",
                hint="hand over what is needed by its name, such as `dict(x=x)`, so that only this counts",
                cell=cell,
                line=line,
            )


def _place_of(reason: str, cells: Iterable[tuple[int, ParsedCell]]) -> tuple[int, int] | None:
    """Cell and line of the first code that reads names for this reason."""
    for number, cell in cells:
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.expr) and reads_any_name(node, at_module_level=True) == reason:
                return number, node.lineno
    return None


def overwritten_parameters(sheet: Sheet) -> Iterator[Hit]:
    """Yield steps that assign to the name of a parameter.

    Steps after such a step see the assigned value in place of the parameter.
    """
    if (
        sheet.tagged is None
        or sheet.declared is None
        or sheet.flowing is None
        or sheet.tagged.whole
    ):
        return
    parameters = {parameter.name for parameter in sheet.declared.parameters}
    for step in sheet.steps:
        bound = sheet.flow_of(step).names.binds & parameters
        for name in sorted(bound):
            for number, cell in sheet.own_cells(step):
                lines = [
                    node.lineno
                    for node in ast.walk(cell.tree)
                    if isinstance(node, ast.Name)
                    and node.id == name
                    and isinstance(node.ctx, ast.Store)
                ]
                if lines:
                    yield Hit(
                        message=f"step {step.name} assigns to the parameter `{name}`: steps after it see this value, "
                        "others the parameter's",
                        hint="use another name",
                        cell=number,
                        # ast.walk is not in the order of the text
                        line=min(lines),
                    )
                    break
