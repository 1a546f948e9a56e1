"""The steps of the run in a table, and the warnings."""

from __future__ import annotations

import heapq
from functools import partial
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.sizes import size
from nbci.report.data.matrices import matrices_of
from nbci.report.data.view import kernels_of, steps_with_result
from nbci.report.data.wording import warnings
from nbci.report.html.markup import Markup, element, fold, fragment, item_list, table
from nbci.report.html.page import section, step_link, verdict, with_note
from nbci.report.pages.index.matrix_table import matrix_row, matrix_table
from nbci.report.pages.links import run_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.report.data.addresses import Addresses
    from nbci.report.data.material import Material
    from nbci.report.data.matrices import MatrixSteps
    from nbci.report.data.view import ShownStep

# A sweep or a node of many combinations has hundreds of steps, most of them uninteresting.
_UNFOLDED = 60
_FIRST = 10
_HEADS = ("Step", "Result", "Took", "Attempts", "Peak memory", "Kernel", "Why")


def steps_section(material: Material, steps: Sequence[ShownStep]) -> Markup:
    """Each step with its state, time and why; of very many, first those that are worth a look.

    The combinations of a matrix are one row, and have a table of their own.
    """
    matrices = matrices_of(steps)
    # Where all steps have the same kernel, the environment's part of the page names it.
    row = partial(
        _row,
        notes=_descriptions(steps),
        with_kernel=len(kernels_of(steps)) > 1,
        addresses=material.addresses,
    )
    rows = list(_rows(steps, matrices, row))
    # The page of thousands of steps would double, were each cell to say what it is.
    is_long = len(rows) > _UNFOLDED
    shown = table("Steps", _HEADS, rows, class_="steps", is_stacked=not is_long)
    if is_long:
        first = map(row, _worth_a_look(steps))
        shown = fragment(
            element("h3", "Failed, and slowest"),
            table("Failed, and slowest", _HEADS, first, class_="steps", is_stacked=True),
            fold(f"All {len(steps):,} steps", shown),
        )
    tables = map(matrix_table, matrices)
    note = _note_on_pages(material.run.record, steps)
    return section("Steps", shown, *tables, note, anchor="steps")


def _rows(
    steps: Iterable[ShownStep],
    matrices: Iterable[MatrixSteps],
    row: Callable[[ShownStep], tuple[str, ...]],
) -> Iterator[tuple[str, ...]]:
    """A row for each step, and one for all combinations of a matrix in the place of their first."""
    folded: dict[str, MatrixSteps] = {}
    for matrix in matrices:
        folded.update(dict.fromkeys((step.record.name for step in matrix.steps), matrix))
    for step in steps:
        its_matrix = folded.get(step.record.name)
        if its_matrix is None:
            yield row(step)
        elif its_matrix.steps[0] is step:
            yield matrix_row(its_matrix)


def _worth_a_look(steps: Sequence[ShownStep]) -> list[ShownStep]:
    # Only those that passed: a reused step took no time, and a failed one is listed already.
    failed = steps_with_result(steps, "failed")
    passed = steps_with_result(steps, "passed")
    slowest = heapq.nlargest(_FIRST, passed, key=lambda step: step.record.seconds or 0.0)
    return [*failed[:_FIRST], *slowest]


def _descriptions(steps: Sequence[ShownStep]) -> dict[str, str]:
    """What the pipeline file says of each entry that is one step, by the step's name."""
    by_node: dict[str, list[ShownStep]] = {}
    for step in steps:
        if step.planned is not None and step.description:
            by_node.setdefault(step.planned.node, []).append(step)

    found = {}
    for named in by_node.values():
        # Of a notebook with tags, or a matrix, the text is about no single step.
        if len(named) == 1:
            found[named[0].record.name] = named[0].description or ""
    return found


def _row(
    step: ShownStep, *, notes: Mapping[str, str], with_kernel: bool, addresses: Addresses
) -> tuple[str, ...]:
    record = step.record
    # Columns without content in any row are left out of the table.
    attempts, memory, kernel = "", "", ""
    if len(record.attempts) > 1:
        attempts = str(len(record.attempts))
    if record.usage:
        memory = size(record.usage.peak_memory_bytes)
    if with_kernel:
        kernel = step.kernel
    return (
        with_note(step_link(step), notes.get(record.name)),
        verdict(step.word),
        duration(record.seconds),
        attempts,
        memory,
        kernel,
        _why(step, addresses),
    )


def _why(step: ShownStep, addresses: Addresses) -> str:
    why: str = step.record.reason or ""
    if not why and step.record.result == "reused":
        why = fragment("ran in run ", run_link(step.record.run or "", addresses))
    if not step.is_unwanted:
        return why
    disabled = "report disabled"
    if not why:
        return disabled
    return fragment(why, "; ", disabled)


def _note_on_pages(record: RunRecord, steps: Sequence[ShownStep]) -> Markup | None:
    """Why the names of reused steps are no links."""
    if not any(step.is_left_for_later and not step.is_unwanted for step in steps):
        return None
    command = element("code", f"nbci report {record.run}")
    return element("p", "Pages of reused steps are made when asked for: ", command, class_="note")


def warnings_section(record: RunRecord, plan: Plan, steps: Sequence[ShownStep]) -> Markup | None:
    """Every warning once."""
    found = warnings(record, plan, steps)
    if not found:
        return None
    return section("Warnings", item_list(found), anchor="warnings")
