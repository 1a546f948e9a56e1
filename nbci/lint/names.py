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
    from collections.abc import Iterator, Mapping

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.undefined import Undefined
    from nbci.lint.notebook_facts import NotebookFacts


def syntax_errors(facts: NotebookFacts) -> Iterator[Hit]:
    """Cells that are no valid Python."""
    for error in facts.broken.values():
        yield Hit.of(error)
    if facts.declaration_refusal is not None:
        yield Hit.of(facts.declaration_refusal)


def undefined_names(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield names that surely nothing defines.

    Names that a cell with a syntax error mentions are left out, since that cell may define them.
    """
    found = list(_undefined_hits(facts, "error"))
    yield from found
    # The plan refuses the first thing that it meets, so it says nothing new besides others.
    if not found and not facts.broken and not facts.refusals:
        yield from _refusal_of_plan(facts)


def maybe_undefined_names(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield names that nothing is seen to define, where some code may define any name."""
    return _undefined_hits(facts, "warning")


def _undefined_hits(facts: NotebookFacts, severity: str) -> Iterator[Hit]:
    # in a composition the names may come from another notebook
    if facts.flowing is None or facts.composed:
        return
    for found in facts.flowing.undefined:
        if found.severity != severity or _named_in_broken(facts, found.name):
            continue
        message = found.message
        if found.reason:
            message += f" ({found.reason})"
        yield Hit(
            message=message,
            hint=found.hint,
            cell=_cell_number(facts, found),
            line=found.line,
        )


def _cell_number(facts: NotebookFacts, found: Undefined) -> int | None:
    for step in facts.steps:
        if step.name == found.step:
            return list(facts.own_cells(step))[found.cell]
    return None


def _named_in_broken(facts: NotebookFacts, name: str) -> bool:
    word = re.compile(rf"\b{re.escape(name)}\b")
    return any(word.search(facts.notebook.cell(number).source) for number in facts.broken)


def _refusal_of_plan(facts: NotebookFacts) -> Iterator[Hit]:
    """What the plan refuses and the steps' own flow does not show, as in metrics cells."""
    if facts.tagged is None or not facts.is_python or facts.declared is None or facts.composed:
        return
    try:
        analyse(
            facts.tagged, facts.tagged.steps, by_dataflow=facts.by_dataflow, brought=facts.brought
        )
    except UsageError as error:
        # the plan puts further errors on the later lines of a hint, or begins with them:
        # "also ..."
        hint: str | None = (error.hint or "").split("\n")[0]
        if not hint or hint.startswith("also "):
            hint = None
        hit = Hit.of(error)
        yield Hit(
            message=hit.message,
            hint=hint,
            cell=hit.cell,
            line=hit.line,
            column=hit.column,
        )


def joins(facts: NotebookFacts) -> Iterator[Hit]:
    """Values that reach a step from two others, neither of which comes first."""
    if facts.flowing is None:
        return
    for warning in facts.flowing.warnings:
        yield Hit(
            message=warning, hint="let one of the steps come after the other, or use two names"
        )


def not_handed_on(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield values that steps find in one shared kernel but not in a kernel each.

    Such are deletions, subclasses, and what differs each time that it is made.
    """
    if facts.flowing is None:
        return
    for warning in facts.flowing.apart:
        # these warnings are one text whose last clause is what to do
        message, _, remedy = warning.rpartition(": ")
        yield Hit(message=message, hint=remedy)


def unused_parameters(facts: NotebookFacts) -> Iterator[Hit]:
    """Parameters that no other code of the notebook mentions."""
    if facts.tagged is None or facts.declared is None or facts.composed:
        return
    numbers = facts.tagged.blocks.parameters
    others = [cell.source for cell in facts.notebook.cells if cell.number not in numbers]
    elsewhere = "\n".join(others)
    # one parameter may be computed from another, in the parameters cell itself
    read: set[str] = set()
    for cell in facts.parsed(numbers).values():
        for node in _names_in(cell, ast.Load):
            read.add(node.id)

    for parameter in facts.declared.parameters:
        # a search of the text, so that names in magics and shell commands count as uses
        word = rf"(?<!\w){re.escape(parameter.name)}(?!\w)"
        if parameter.name in read or re.search(word, elsewhere):
            continue
        cell_number = line = None
        if parameter.where is not None:
            cell_number, line = parameter.where.cell, parameter.where.line
        yield Hit(
            message=f"the parameter `{parameter.name}` is used nowhere",
            hint="take it away, or use it where a literal stands",
            cell=cell_number,
            line=line,
        )


def _names_in(cell: ParsedCell, context: type[ast.expr_context]) -> Iterator[ast.Name]:
    """The names in the cell that are read (`ast.Load`) or assigned to (`ast.Store`)."""
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, context):
            yield node


def numbered_outputs(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield uses of `Out[3]` and the like, whose numbers differ in a step."""
    if facts.tagged is None or facts.tagged.whole:
        return
    shared = (*facts.tagged.blocks.imports, *facts.tagged.blocks.functions)
    given = names_of(list(facts.parsed(shared).values())).binds
    for step in facts.steps:
        own = facts.own_cells(step)
        numbers = list(own)
        for lost in lost_history(list(own.values()), given):
            # what is surely lost is refused by the plan, and reported as an undefined name
            if not lost.surely:
                yield Hit(
                    message=lost.message, hint=lost.hint, cell=numbers[lost.cell], line=lost.line
                )


def hidden_names(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield code that may read parameters which it does not name.

    Every parameter then counts for the reuse of the step.
    """
    if facts.tagged is None or facts.declared is None or facts.flowing is None:
        return
    blocks = facts.tagged.blocks
    shared = facts.parsed((*blocks.imports, *blocks.functions))
    for step in facts.steps:
        found = facts.flow_of(step).names
        hidden = sorted(set(facts.declared.names) - found.mentions - found.in_text)
        if not hidden:
            continue
        for reason in found.any_name:
            place = _place_of(reason, facts.own_cells(step)) or _place_of(reason, shared)
            cell, line = place or (step.cells[0], 1)
            yield Hit(
                message=f"{reason}: step {step.name} runs again whenever a parameter changes, "
                f"also `{hidden[0]}`",
                hint="hand over what is needed by its name, such as `dict(x=x)`, "
                "so that only this counts",
                cell=cell,
                line=line,
            )


def _place_of(reason: str, cells: Mapping[int, ParsedCell]) -> tuple[int, int] | None:
    """Cell and line of the first code that reads names for this reason."""
    for number, cell in cells.items():
        for node in ast.walk(cell.tree):
            if isinstance(node, ast.expr) and reads_any_name(node, at_module_level=True) == reason:
                return number, node.lineno
    return None


def overwritten_parameters(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield steps that assign to the name of a parameter.

    Steps after such a step see the assigned value in place of the parameter.
    """
    if (
        facts.tagged is None
        or facts.declared is None
        or facts.flowing is None
        or facts.tagged.whole
    ):
        return
    for step in facts.steps:
        bound = facts.flow_of(step).names.binds.intersection(facts.declared.names)
        for name in sorted(bound):
            place = _first_assignment(name, facts.own_cells(step))
            if place is not None:
                yield Hit(
                    message=f"step {step.name} assigns to the parameter `{name}`: "
                    "steps after it see this value, others the parameter's",
                    hint="use another name",
                    cell=place[0],
                    line=place[1],
                )


def _first_assignment(name: str, cells: Mapping[int, ParsedCell]) -> tuple[int, int] | None:
    """Cell and line where the name is first assigned to."""
    for number, cell in cells.items():
        # the least line, since ast.walk is not in the order of the text
        stores = _names_in(cell, ast.Store)
        line = min((node.lineno for node in stores if node.id == name), default=None)
        if line is not None:
            return number, line
    return None
