"""Rules about tags: their spelling, the order that they ask for, cells that they leave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.lint.finding import Hit
from nbci.notebook.tags import read_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.lint.sheet import Sheet

_ON_FIRST_CELL = ("agent", "timeout", "retries", "image", "cache", "report", "gpu", "prev", "after", "limit")


def wrong_tags(sheet: Sheet) -> Iterator[Hit]:
    """Each tag that cannot be read, given those before it in its cell."""
    for cell in sheet.notebook.cells:
        kept: tuple[str, ...] = ()
        for tag in cell.tags if cell.kind == "code" else ():
            try:
                read_tags(sheet.notebook, replace(cell, tags=(*kept, tag)))
                kept = (*kept, tag)
            except UsageError as error:
                yield Hit(message=error.message, hint=error.hint, cell=cell.number)


def cycles(sheet: Sheet) -> Iterator[Hit]:
    """Steps that wait for each other."""
    return (Hit.of(error) for error in sheet.refusals if _is_cycle(error))


def wrong_edges(sheet: Sheet) -> Iterator[Hit]:
    """Edges to steps that do not exist, and whatever else the tags together cannot mean."""
    yield from (Hit.of(error) for error in sheet.refusals if not _is_cycle(error))
    if sheet.tagged is not None and sheet.tagged.whole:
        for number, tags in sheet.tags.items():
            if tags.after:
                yield Hit(
                    message=f"prev:{tags.after[0]}: the notebook has no steps",
                    hint="tag the cell that begins a step `step:NAME`",
                    cell=number,
                )


def _is_cycle(error: UsageError) -> bool:
    return "cycle" in error.message or "comes after itself" in error.message


def dropped_cells(sheet: Sheet) -> Iterator[Hit]:
    """Cells before the first tag of a notebook with steps: they run in no step."""
    if sheet.tagged is None or sheet.tagged.whole:
        return
    for cell in sheet.notebook.cells:
        tags = sheet.tags.get(cell.number)
        if tags is None or tags.role == "skip":
            continue
        if tags.role is not None:
            return
        if cell.source.strip():
            yield Hit(
                message="the cell stands before the first tag, so it belongs to no step and does not run",
                hint="tag it `imports`, `parameters` or `step:NAME`, or `skip` if it is not meant to run",
                cell=cell.number,
            )


def ignored_settings(sheet: Sheet) -> Iterator[Hit]:
    """Settings of a step that stand on another cell than its first, where they do not count."""
    if sheet.tagged is None or sheet.tagged.whole:
        return
    first_cells = {step.cells[0] for step in sheet.tagged.steps if step.cells}
    for cell in sheet.notebook.cells:
        tags = sheet.tags.get(cell.number)
        if tags is None or cell.number in first_cells or tags.role not in {None, "step"}:
            continue
        for tag in cell.tags:
            if tag.partition(":")[0] in _ON_FIRST_CELL:
                yield Hit(
                    message=f"`{tag}` counts only on the first cell of a step",
                    hint="move it to the cell that begins the step",
                    cell=cell.number,
                )


def tags_on_text(sheet: Sheet) -> Iterator[Hit]:
    """Step tags on a cell that is not code, where nobody reads them."""
    for cell in sheet.notebook.cells:
        for tag in cell.tags if cell.kind != "code" else ():
            if tag.partition(":")[0] in {"step", "block"}:
                yield Hit(
                    message=f"`{tag}` stands on a {cell.kind} cell, where it does not count",
                    hint="move it to the code cell below",
                    cell=cell.number,
                )
