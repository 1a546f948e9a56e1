"""A failure as a reader needs it: where, what, why, the last output, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, listed
from nbci.formatting.sizes import size
from nbci.formatting.text import as_json, last_part, outputs_text, short_line
from nbci.report.html.highlight import source_code
from nbci.report.html.markup import Markup, element, folded, fragment
from nbci.report.html.page import facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.records.run_record import Failure
    from nbci.report.data.view import ShownStep

_LAST_OUTPUT_BYTES = 4_000
_TRACEBACK_BYTES = 20_000
_TRACEBACK_LINES = 25
_LOG_BYTES = 8_000
_INPUTS = 12
_AROUND = 8


def place(failure: Failure) -> str:
    """`cell 7, line 2: model.fit(X, y)`; empty when no cell is to blame."""
    if failure.cell is None:
        return ""
    line = f", line {failure.line}" if failure.line else ""
    return f"cell {failure.cell}{line}" + (
        f": {short_line(failure.first_line)}" if failure.first_line else ""
    )


def last_output(step: ShownStep) -> str:
    """Return the end of what the failed cell printed before it failed."""
    cell = step.failed_cell
    if cell is None:
        return ""
    said = [
        output
        for output in cell.outputs
        if isinstance(output, dict) and output.get("output_type") != "error"
    ]
    return last_part(outputs_text(said).rstrip(), _LAST_OUTPUT_BYTES)


def explained(step: ShownStep, *, root: str, on_page: bool = False) -> Markup:
    """Return the failure of a step.

    On the step's own page the cell's outputs are shown only once, where the link leads.
    """
    failure = step.failure
    if failure is None:
        return element("p", "The step failed without saying why.")
    page = "" if on_page else f"{root}{step.page}"
    is_shown = step.page is not None
    cell = step.failed_cell
    is_below = on_page and cell is not None and len(cell.outputs) > 0
    said = "" if is_below else last_output(step)
    traceback = None if is_below else failure.traceback
    where = _where(step, failure)
    error = failure.error if failure.error and failure.error not in failure.message else None
    return fragment(
        element("p", failure.message, class_="message"),
        element("p", element("strong", "What to do: "), failure.hint) if failure.hint else None,
        facts(
            (
                (
                    "Where",
                    element("a", where, href=f"{page}#{cell.anchor}")
                    if cell and where and is_shown
                    else where,
                ),
                ("Error", element("code", short_line(error, 500)) if error else None),
                ("Kind", None if failure.kind == "exception" else failure.kind),
                ("Exit code", None if failure.exit_code is None else str(failure.exit_code)),
                ("Signal", failure.signal),
                *_inputs(step),
            )
        ),
        _source(step) if not on_page and not traceback else None,
        _traceback(traceback),
        _quoted("Last output of the cell", said),
        folded("End of the kernel's log", element("pre", last_part(failure.log, _LOG_BYTES)))
        if failure.log
        else None,
    )


def _where(step: ShownStep, failure: Failure) -> str:
    """As `place`, with the very line, where the cell is at hand."""
    lines = step.failed_cell.source.splitlines() if step.failed_cell else []
    if failure.cell is None or failure.line is None or failure.line > len(lines):
        return place(failure)
    return f"cell {failure.cell}, line {failure.line}: {short_line(lines[failure.line - 1])}"


def _inputs(step: ShownStep) -> Iterator[tuple[str, Markup]]:
    """What the step was given: parameters, values of other steps, files."""
    record = step.record
    params = [
        f"{name} = {short_line(as_json(value), 60)}"
        for name, value in (record.params or {}).items()
    ]
    values = [f"{value.name} ({value.type}, {size(value.bytes)})" for value in record.takes]
    deps = [f"{ref.path} ({size(ref.bytes)})" for ref in record.deps]
    for name, found in (("Parameters", params), ("Took", values), ("Read", deps)):
        if found:
            yield name, fragment(listed([short_line(one, 200) for one in found], _INPUTS))


def _source(step: ShownStep) -> Markup | None:
    """The cell that failed, of a long one only the lines around the failure."""
    cell = step.failed_cell
    if cell is None or not cell.source.strip():
        return None
    lines = cell.source.split("\n")
    at = (step.failure.line if step.failure and step.failure.line else 1) - 1
    first = max(0, min(at - _AROUND, len(lines) - 2 * _AROUND))
    shown = lines[first : first + 2 * _AROUND]
    title = (
        "The cell"
        if len(shown) == len(lines)
        else f"The cell, lines {first + 1} to {first + len(shown)}"
    )
    return fragment(element("h3", title), source_code("\n".join(shown), step.language))


def _traceback(text: str | None) -> Markup | None:
    if not text:
        return None
    shown = last_part(text, _TRACEBACK_BYTES)
    lines = text.count("\n") + 1
    if lines <= _TRACEBACK_LINES:
        return _quoted("Traceback", shown)
    return folded(f"Traceback: {counted(lines, 'line')}", element("pre", shown, tabindex=0))


def _quoted(title: str, text: str | None) -> Markup | None:
    return fragment(element("h3", title), element("pre", text, tabindex=0)) if text else None
