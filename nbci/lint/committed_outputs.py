"""Rules about the outputs and execution counts that are committed with a notebook."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from nbci.formatting.sizes import size
from nbci.formatting.text import joined_lines, short_line, without_ansi
from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.lint.notebook_facts import NotebookFacts

CELL_BYTES = 1_000_000
NOTEBOOK_BYTES = 5_000_000

_RUN_ALL = "restart the kernel and run all cells, or clear the outputs"
_SHOWN = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign)
# The frame of a cell in a traceback of IPython 8 and 9: the cell's count, lines, the line marked.
_QUOTED = re.compile(
    r"^Cell In ?\[(\d+)\], line \d+.*\n(?:(?!-+> |Cell |File ).+\n)*-+> \d+ (.*)$", re.MULTILINE
)


def large_outputs(facts: NotebookFacts) -> Iterator[Hit]:
    """Outputs too large to commit, in one cell or all together."""
    total, named = 0, False
    for number, raw in enumerate(facts.notebook.document.get("cells", ()), start=1):
        taken = 0
        outputs = raw.get("outputs")
        if outputs:
            taken = len(json.dumps(outputs))
        total += taken
        if taken > CELL_BYTES:
            named = True
            yield Hit(
                message=f"the cell's outputs take {size(taken)}; the limit is {size(CELL_BYTES)}",
                hint="clear them before you commit: a run's own record keeps its outputs",
                cell=number,
            )
    # with a cell reported above, the total would be a second finding about the same bytes
    if total > NOTEBOOK_BYTES and not named:
        yield Hit(
            message=f"the notebook's outputs take {size(total)}; "
            f"the limit is {size(NOTEBOOK_BYTES)}",
            hint="clear them before you commit: a run's own record keeps its outputs",
        )


def cells_out_of_order(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield the first cell that ran before the cell above it, or has that cell's own number.

    The outputs shown may then differ from those of a run from top to bottom.
    """
    highest, above = 0, 0
    for number, raw in _code_cells(facts):
        count = _count(raw)
        if count is None:
            continue
        if count <= highest:
            message = (
                f"the cell ran as number {count}, "
                f"after cell {above} above it had run as number {highest}"
            )
            # No kernel gives a number twice: the cell was copied, or comes from another session.
            if count == highest:
                message = f"the cell and cell {above} above it both ran as number {count}"
            yield Hit(message=message, hint=_RUN_ALL, cell=number)
            # every later cell may be out of order for the same reason, so one hit is enough
            return
        highest, above = count, number


def missing_counts(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield the first output that was never counted, and the first code left out above outputs."""
    uncounted, last_shown = None, 0
    for number, raw in _code_cells(facts):
        if not _outputs(raw):
            continue
        last_shown = number
        if _count(raw) is None and uncounted is None:
            uncounted = number
    if uncounted is not None:
        # nbval fails such a cell, too: "Unrun reference cell has outputs"
        yield Hit(
            message="the cell has outputs, and no execution count: no run of it is known",
            hint=_RUN_ALL,
            cell=uncounted,
        )
        return
    for number, raw in _code_cells(facts):
        if number < last_shown and _count(raw) is None and _is_run(facts, number):
            yield Hit(
                message=f"the cell has not run, and cell {last_shown} below it shows outputs",
                hint=_RUN_ALL,
                cell=number,
            )
            return


def stale_outputs(facts: NotebookFacts) -> Iterator[Hit]:
    """Cells whose outputs their code, as it stands, cannot have made."""
    for number, raw in _code_cells(facts):
        outputs = _outputs(raw)
        if not outputs:
            continue
        message = (
            _no_code(facts, number)
            or _other_count(raw, outputs)
            or _other_line(facts, number, raw, outputs)
            or _no_result(facts, number, outputs)
        )
        if message is not None:
            yield Hit(message=message, hint=_RUN_ALL, cell=number)


def _no_code(facts: NotebookFacts, number: int) -> str | None:
    if facts.notebook.cell(number).source.strip():
        return None
    return "the cell has outputs, and no code"


def _other_count(raw: Mapping[str, Any], outputs: list[dict[str, Any]]) -> str | None:
    count = _count(raw)
    for output in outputs:
        result = _whole_number(output.get("execution_count"))
        if result is not None and count is not None and result != count:
            return f"the cell ran as number {count}, and shows the result of number {result}"
    return None


def _other_line(
    facts: NotebookFacts, number: int, raw: Mapping[str, Any], outputs: list[dict[str, Any]]
) -> str | None:
    """The line that a traceback quotes of this cell, where the cell has no such line."""
    source = facts.notebook.cell(number).source
    for output in outputs:
        traceback = output.get("traceback")
        if not isinstance(traceback, list):
            continue
        text = without_ansi("\n".join(map(joined_lines, traceback)))
        for count, quoted in _QUOTED.findall(text):
            # What IPython has made of a magic, such as `get_ipython().system(...)`, is quoted.
            is_own = count == str(_count(raw)) and "get_ipython()" not in quoted
            if is_own and quoted.strip() not in source:
                return f"the cell's error is of a line that it does not have: {short_line(quoted)}"
    return None


def _no_result(facts: NotebookFacts, number: int, outputs: list[dict[str, Any]]) -> str | None:
    """A result that is shown where no statement of the cell is an expression or an assignment.

    An assignment's value is shown with IPython's `ast_node_interactivity = "last_expr_or_assign"`.
    """
    cell = facts.cells.get(number)
    is_shown = any(output.get("output_type") == "execute_result" for output in outputs)
    # a cell magic hands its body to code of its own, and an empty tree is one that does not parse
    if cell is None or not is_shown or not cell.tree.body or cell.source.lstrip().startswith("%%"):
        return None
    if any(isinstance(statement, _SHOWN) for statement in cell.tree.body):
        return None
    return "the cell shows a result, and no line of it has one"


def _is_run(facts: NotebookFacts, number: int) -> bool:
    """Whether a run would run the cell: it holds more than comments, and no tag keeps it out."""
    tags = facts.tags[number]
    if tags.role in ("skip", "reference") or "nbval-skip" in facts.notebook.cell(number).tags:
        return False
    lines = map(str.strip, facts.notebook.cell(number).source.splitlines())
    return any(line and not line.startswith("#") for line in lines)


def _code_cells(facts: NotebookFacts) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The code cells as the file has them, with their numbers from 1."""
    for number, raw in enumerate(facts.notebook.document.get("cells", ()), start=1):
        if raw.get("cell_type") == "code":
            yield number, raw


def _outputs(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    outputs = raw.get("outputs")
    if not isinstance(outputs, list):
        return []
    return [output for output in outputs if isinstance(output, dict)]


def _count(raw: Mapping[str, Any]) -> int | None:
    return _whole_number(raw.get("execution_count"))


def _whole_number(value: object) -> int | None:
    # bool is a subclass of int in Python, and JSON may hold true here
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return None
