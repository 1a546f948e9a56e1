"""Failures as a reader needs them: where, what, why, the last output, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, listed
from nbci.formatting.sizes import size
from nbci.formatting.text import as_json, last_part, outputs_text, short_line
from nbci.report.data.view import steps_with_result
from nbci.report.html.highlight import source_code
from nbci.report.html.markup import Markup, element, fold, fragment, item_list
from nbci.report.html.page import facts, section, step_link
from nbci.report.html.text_diff import diff_block

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.records.run_record import Failure, RunRecord
    from nbci.report.data.view import ShownStep

_LAST_OUTPUT_BYTES = 4_000
_TRACEBACK_BYTES = 20_000
_TRACEBACK_LINES = 25
_LOG_BYTES = 8_000
_INPUTS = 12
_INPUT_LENGTH = 200
_LINES_AROUND = 8
# Hundreds of parts of a matrix that fail together would push everything else off the page.
_EXPLAINED = 10
_MESSAGE_LENGTH = 300


def failures_section(record: RunRecord, steps: Sequence[ShownStep]) -> Markup:
    """Return the run's own failure, then each step's: the first part of a failed run's page.

    Where there are very many, the first are explained and the others only named.
    """
    failed = steps_with_result(steps, "failed")
    return fragment(
        _failure_of_run(record.failure),
        *map(_failure_of_step, failed[:_EXPLAINED]),
        _other_failures(failed[_EXPLAINED:]),
    )


def _failure_of_run(failure: Failure | None) -> Markup | None:
    if failure is None:
        return None
    message = element("p", failure.message, class_="message")
    hint = _hint(failure)
    return section("The run failed", message, hint, anchor="failure", class_="failed")


def _failure_of_step(step: ShownStep) -> Markup:
    what = " failed"
    if step.word == "interrupted":
        what = " was interrupted"
    return section(
        fragment("Step ", step_link(step), what),
        explain_failure(step, root=""),
        anchor=f"failure-{step.stem}",
        class_="failed",
    )


def _other_failures(failed: Sequence[ShownStep]) -> Markup | None:
    if not failed:
        return None
    items = []
    for step in failed:
        message = "failed"
        if step.failure:
            message = step.failure.message
        items.append(fragment(step_link(step), ": ", short_line(message, _MESSAGE_LENGTH)))
    title = f"{counted(len(failed), 'more step')} failed"
    return section(title, item_list(items), anchor="failures", class_="failed")


def failed_place(failure: Failure) -> str:
    """`cell 7, line 2: model.fit(X, y)`; empty when no cell is to blame."""
    if failure.cell is None:
        return ""
    place = f"cell {failure.cell}"
    if failure.line:
        place += f", line {failure.line}"
    if failure.first_line:
        place += f": {short_line(failure.first_line)}"
    return place


def last_output(step: ShownStep) -> str:
    """Return the end of what the failed cell printed before it failed."""
    cell = step.failed_cell
    if cell is None:
        return ""
    outputs = [output for output in cell.outputs if isinstance(output, dict)]
    printed = [output for output in outputs if output.get("output_type") != "error"]
    return last_part(outputs_text(printed).rstrip(), _LAST_OUTPUT_BYTES)


def explain_failure(step: ShownStep, *, root: str, on_page: bool = False) -> Markup:
    """Return the failure of a step.

    On the step's own page the cell's outputs are shown only once, where the link leads.
    """
    failure = step.failure
    if failure is None:
        return element("p", "The step failed without saying why.")

    cell = step.failed_cell
    is_shown_below = on_page and cell is not None and len(cell.outputs) > 0
    details: list[Markup | None] = []
    if not on_page and not failure.traceback:
        details.append(_source(step))
    if not is_shown_below:
        details.append(_traceback(failure))
        details.append(_quote("Last output of the cell", last_output(step)))
    if failure.log:
        log = element("pre", last_part(failure.log, _LOG_BYTES))
        details.append(fold("End of the kernel's log", log))
    return fragment(
        element("p", failure.message, class_="message"),
        _hint(failure),
        _facts(step, failure, root=root, on_page=on_page),
        *details,
    )


def _hint(failure: Failure) -> Markup | None:
    """What the reader can do about the failure, where nbci knows it."""
    if not failure.hint:
        return None
    return element("p", element("strong", "What to do: "), failure.hint)


def _facts(step: ShownStep, failure: Failure, *, root: str, on_page: bool) -> Markup:
    error = None
    # Most messages hold the error already.
    if failure.error and failure.error not in failure.message:
        error = element("code", short_line(failure.error, 500))
    # An exception needs no name for what it is.
    kind = None
    if failure.kind != "exception":
        kind = failure.kind
    exit_code = None
    if failure.exit_code is not None:
        exit_code = str(failure.exit_code)
    return facts(
        (
            ("Where", _link_to_cell(step, failure, root=root, on_page=on_page)),
            ("Error", error),
            ("Kind", kind),
            ("Exit code", exit_code),
            ("Signal", failure.signal),
            *_inputs(step),
        )
    )


def _link_to_cell(step: ShownStep, failure: Failure, *, root: str, on_page: bool) -> str:
    place = exact_place(step, failure)
    cell = step.failed_cell
    if not place or cell is None or step.page is None:
        return place
    page = f"{root}{step.page}"
    if on_page:
        page = ""
    return element("a", place, href=f"{page}#{cell.anchor}")


def exact_place(step: ShownStep, failure: Failure) -> str:
    """As `failed_place`, with the very line, where the cell is at hand."""
    cell, line = step.failed_cell, failure.line
    if cell is None or failure.cell is None or line is None:
        return failed_place(failure)
    lines = cell.source.splitlines()
    if line > len(lines):
        return failed_place(failure)
    return f"cell {failure.cell}, line {line}: {short_line(lines[line - 1])}"


def _inputs(step: ShownStep) -> Iterator[tuple[str, Markup]]:
    """What the step was given: parameters, values of other steps, files."""
    record = step.record
    params = []
    for name, value in (record.params or {}).items():
        params.append(f"{name} = {short_line(as_json(value), 60)}")
    inputs = {
        "Parameters": params,
        "Took": [f"{value.name} ({value.type}, {size(value.bytes)})" for value in record.takes],
        "Read": [f"{ref.path} ({size(ref.bytes)})" for ref in record.deps],
    }
    for title, texts in inputs.items():
        if texts:
            lines = [short_line(text, _INPUT_LENGTH) for text in texts]
            yield title, fragment(listed(lines, _INPUTS))


def _source(step: ShownStep) -> Markup | None:
    """The cell that failed, of a long one only the lines around the failure."""
    cell = step.failed_cell
    if cell is None or not cell.source.strip():
        return None
    lines = cell.source.split("\n")
    at = 0
    if step.failure and step.failure.line:
        at = step.failure.line - 1

    # A failure near the end of a cell is shown with more lines before it.
    first = max(0, min(at - _LINES_AROUND, len(lines) - 2 * _LINES_AROUND))
    shown = lines[first : first + 2 * _LINES_AROUND]
    title = "The cell"
    if len(shown) < len(lines):
        title = f"The cell, lines {first + 1} to {first + len(shown)}"
    return fragment(element("h3", title), source_code("\n".join(shown), step.language))


def _traceback(failure: Failure) -> Markup | None:
    text = failure.traceback
    if not text:
        return None
    # What a cell shows otherwise than its notebook has no traceback: the record keeps the
    # difference in its place.
    if failure.kind == "outputs":
        return fragment(element("h3", "What differs"), diff_block(text.split("\n")))
    shown = last_part(text, _TRACEBACK_BYTES)
    lines = text.count("\n") + 1
    if lines <= _TRACEBACK_LINES:
        return _quote("Traceback", shown)
    return fold(f"Traceback: {counted(lines, 'line')}", element("pre", shown, tabindex=0))


def _quote(title: str, text: str) -> Markup | None:
    if not text:
        return None
    return fragment(element("h3", title), element("pre", text, tabindex=0))
