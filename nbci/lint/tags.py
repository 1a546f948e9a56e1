"""Rules about tags: their spelling, their order, and cells that they leave out."""

from __future__ import annotations

from itertools import filterfalse
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import UsageError
from nbci.lint.finding import Hit
from nbci.notebook.tags import SETTING_TAGS, STEP_TAGS, read_tags
from nbci.pipeline.tagged import BEFORE_ANY_STEP
from nbci.pipeline.tagged_paths import check_tagged_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.lint.notebook_facts import NotebookFacts
    from nbci.pipeline.model import TaggedNotebook


def wrong_tags(facts: NotebookFacts) -> Iterator[Hit]:
    """Each tag that cannot be read, given those before it in its cell."""
    for cell in facts.notebook.cells:
        if cell.kind != "code":
            continue
        kept: tuple[str, ...] = ()
        for tag in cell.tags:
            candidate = replace(cell, tags=(*kept, tag))
            try:
                tags = read_tags(facts.notebook, candidate)
                check_tagged_paths(facts.notebook, candidate, tags)
                kept = (*kept, tag)
            except UsageError as error:
                yield Hit(message=error.message, hint=error.hint, cell=cell.number)


def cycles(facts: NotebookFacts) -> Iterator[Hit]:
    """Steps that wait for each other."""
    return map(Hit.of, filter(_is_cycle, facts.refusals))


def wrong_edges(facts: NotebookFacts) -> Iterator[Hit]:
    """Edges to steps that do not exist, and whatever else the tags together cannot mean."""
    yield from map(Hit.of, filterfalse(_is_cycle, facts.refusals))
    if facts.tagged is not None and facts.tagged.whole:
        for number, tags in facts.tags.items():
            if tags.after:
                yield Hit(
                    message=f"prev:{tags.after[0]}: the notebook has no steps",
                    hint="tag the cell that begins a step `step:NAME`",
                    cell=number,
                )


def _is_cycle(error: UsageError) -> bool:
    # UsageError has no kind that would tell a cycle, so its words are searched
    return "cycle" in error.message or "comes after itself" in error.message


def dropped_cells(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield cells before the first tag of a notebook with steps, which run in no step."""
    if facts.tagged is None:
        return
    for number in facts.tagged.dropped:
        yield Hit(
            message=f"the cell {BEFORE_ANY_STEP}, so it belongs to no step and does not run",
            hint="tag it `imports`, `parameters` or `step:NAME`, "
            "or `skip` if it is not meant to run",
            cell=number,
        )


def cells_behind_metrics(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield untagged cells behind a metrics cell.

    Only their content decides whether they belong to the metrics or to the step before.
    """
    tagged = facts.tagged
    if tagged is None or tagged.whole:
        return
    behind = False
    for number, tags in facts.tags.items():
        if tags.role not in {None, "skip"}:
            behind = tags.role == "metrics"
        elif behind and tags.role is None and facts.notebook.cell(number).source.strip():
            yield _behind_metrics(number, tagged)


def _behind_metrics(number: int, tagged: TaggedNotebook) -> Hit:
    if number in tagged.blocks.metrics:
        return Hit(
            message="the cell stands behind a metrics cell and only prints, "
            "so it names metrics, too",
            hint="tag it `metrics` if it does, or `step:NAME`",
            cell=number,
        )
    name, owner = "NAME", "what stands before"
    for step in tagged.steps:
        if number in step.cells:
            name, owner = step.name, f"step {step.name}, which stands before"
    return Hit(
        message=f"the cell stands behind a metrics cell and belongs to {owner}: "
        "it runs before the metrics do",
        hint=f"tag it `step:{name}`, or `metrics` if it names metrics",
        cell=number,
    )


def ignored_settings(facts: NotebookFacts) -> Iterator[Hit]:
    """Settings of a step that stand on another cell than its first, where they do not count."""
    if facts.tagged is None or facts.tagged.whole:
        return
    first_cells = {step.cells[0] for step in facts.tagged.steps if step.cells}
    for cell in facts.notebook.cells:
        tags = facts.tags.get(cell.number)
        if tags is None or cell.number in first_cells or tags.role not in {None, "step"}:
            continue
        for tag in cell.tags:
            if tag.partition(":")[0] in SETTING_TAGS:
                yield Hit(
                    message=f"`{tag}` counts only on the first cell of a step",
                    hint="move it to the cell that begins the step",
                    cell=cell.number,
                )


def tags_on_text(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield step tags on a cell that is not code, where they have no effect."""
    for cell in facts.notebook.cells:
        if cell.kind == "code":
            continue
        for tag in cell.tags:
            if tag.partition(":")[0] in STEP_TAGS:
                yield Hit(
                    message=f"`{tag}` stands on a {cell.kind} cell, where it does not count",
                    hint="move it to the code cell below",
                    cell=cell.number,
                )
