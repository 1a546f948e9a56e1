"""Which step's code each Markdown cell of a notebook belongs to."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.plan.model import TAGGED_SKIP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.plan.model import MarkdownCell, Plan, PlannedStep

# In every step of the notebook, unlike these: text above imports goes with the code below them.
_OWN_ROLES = ("step", "metrics")
# As CommonMark has headings, or in HTML: https://spec.commonmark.org/0.31.2/#atx-headings
_BEGINS_WITH_HEADING = re.compile(
    r"\s*(?:#{1,6}(?:[ \t]|$)|<h[1-6]\b|[^\n]+\n {0,3}(?:=+|-+)[ \t]*$)", re.MULTILINE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedMarkdown:
    """A Markdown cell and the number of the code cell that it stands above or below."""

    cell: MarkdownCell
    code: int


def markdown_by_step(plan: Plan) -> dict[str, list[PlacedMarkdown]]:
    """The Markdown cells of each step's notebook that belong to its code, in the notebook's order.

    Steps that run the same cells, such as those of a matrix, have the same text.
    """
    if not plan.markdown:
        return {}
    by_notebook: dict[str, list[PlannedStep]] = defaultdict(list)
    for step in plan.steps:
        by_notebook[step.notebook].append(step)

    found: dict[str, list[PlacedMarkdown]] = {}
    for path, cells in plan.markdown.items():
        owners = _owners(plan, path, by_notebook[path])
        if not owners:
            continue
        by_code: dict[int, list[PlacedMarkdown]] = defaultdict(list)
        for placed in _place(cells, owners):
            by_code[placed.code].append(placed)
        # Once for the steps of a matrix, of which there may be 10,000.
        by_program: dict[tuple[int, ...], list[PlacedMarkdown]] = {}
        for step in by_notebook[path]:
            numbers = tuple(_own_cells(step))
            if numbers not in by_program:
                by_program[numbers] = _in_order(by_code, numbers)
            found[step.name] = by_program[numbers]
    return found


def _in_order(
    by_code: Mapping[int, Sequence[PlacedMarkdown]], numbers: Iterable[int]
) -> list[PlacedMarkdown]:
    """The text that goes with the code cells of these numbers."""
    texts: list[PlacedMarkdown] = []
    for number in numbers:
        texts += by_code.get(number, ())
    return sorted(texts, key=lambda text: text.cell.number)


def _own_cells(step: PlannedStep) -> list[int]:
    numbers = []
    for cell in step.cells:
        if cell.role in _OWN_ROLES and cell.number is not None:
            numbers.append(cell.number)
    return numbers


def _owners(plan: Plan, path: str, steps: Sequence[PlannedStep]) -> dict[int, int]:
    """Each code cell in order, and the one that text above it goes with.

    That is the cell itself; of one that is tagged `skip`, the one before it, to whose block the
    cells around it belong.
    """
    run: set[int] = set()
    for step in steps:
        run.update(_own_cells(step))
    skipped: set[int] = set()
    for cell in plan.left_out:
        if cell.notebook == path and cell.reason == TAGGED_SKIP:
            skipped.add(cell.cell)

    # A notebook that only refers to others runs no cell of its own.
    if not run:
        return {}
    owners: dict[int, int] = {}
    last = min(run)
    for number in sorted(run | skipped):
        if number in run:
            last = number
        owners[number] = last
    return owners


def _place(cells: Sequence[MarkdownCell], owners: Mapping[int, int]) -> Iterator[PlacedMarkdown]:
    """Give each cell to the code below it, and what ends a section to the code above."""
    numbers = list(owners)
    between: dict[int, list[MarkdownCell]] = defaultdict(list)
    for cell in cells:
        between[bisect_right(numbers, cell.number)].append(cell)

    for at, group in between.items():
        above, below = numbers[max(at - 1, 0)], numbers[min(at, len(numbers) - 1)]
        conclusion = _conclusion_length(group)
        for cell in group[:conclusion]:
            yield PlacedMarkdown(cell=cell, code=owners[above])
        for cell in group[conclusion:]:
            yield PlacedMarkdown(cell=cell, code=owners[below])


def _conclusion_length(cells: Sequence[MarkdownCell]) -> int:
    """How many of the cells between two code cells stand above the first that begins a section."""
    for at, cell in enumerate(cells):
        if _BEGINS_WITH_HEADING.match(cell.source):
            return at
    return 0
