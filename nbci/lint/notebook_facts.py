"""Read a notebook for the rules, as far as its mistakes allow.

A mistake does not end the reading, so that one check reports several.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.dataflow.code import CellSyntaxError, parse_cell
from nbci.dataflow.flow import StepCode, flow
from nbci.dataflow.fresh import fresh_names
from nbci.dataflow.inherited_imports import has_future_annotations, inherited_imports
from nbci.dataflow.names import names_of
from nbci.dataflow.ordering import order_from_flow
from nbci.dataflow.undefined import NOTHING_BROUGHT, Brought
from nbci.errors import UsageError
from nbci.graph import Cycle, followers_of, reachable, topological
from nbci.notebook.tags import read_tags
from nbci.pipeline.compose import notebook_parameters, notebook_pipeline
from nbci.pipeline.tagged import understand
from nbci.plan.program import prelude_statements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.dataflow.code import ParsedCell, Stars
    from nbci.dataflow.flow import Flow, StepFlow
    from nbci.notebook.cells import Cell, Notebook
    from nbci.notebook.tags import CellTags
    from nbci.params import Declared
    from nbci.pipeline.model import Step, TaggedNotebook


class Sheet(Struct, frozen=True, kw_only=True, dict=True):
    """A notebook and what could be understood of it.

    `tags` are those that can be read; `refusals` are what understanding them together met with.
    `cells` are the Python cells that run, by number; `broken` those that do not parse. `declared`
    and `flowing` are None where mistakes, or another language, leave nothing to say; `flow_refusal`
    is what computing the flow met with. `composed`: it refers to other notebooks, or another to it,
    so variables may come from there.
    """

    notebook: Notebook
    tags: Mapping[int, CellTags]
    tagged: TaggedNotebook | None = None
    refusals: tuple[UsageError, ...] = ()
    cells: Mapping[int, ParsedCell] = field(default_factory=dict)
    broken: Mapping[int, CellSyntaxError] = field(default_factory=dict)
    declared: Declared | None = None
    declaration_refusal: UsageError | None = None
    flowing: Flow | None = None
    by_dataflow: bool = False
    brought: Brought = NOTHING_BROUGHT
    composed: bool = False

    @property
    def is_python(self) -> bool:
        """Whether its cells are read as Python."""
        return self.notebook.language == "python"

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps in the order that they run where that is known, else in the notebook's."""
        if self.tagged is None:
            return ()
        if self.flowing is None:
            return self.tagged.steps
        by_name = {step.name: step for step in self.tagged.steps}
        return tuple(by_name[step.name] for step in self.flowing.steps)

    def own_cells(self, step: Step) -> tuple[tuple[int, ParsedCell], ...]:
        """Return the step's own cells that parse, with their numbers.

        In a notebook without step tags these are all cells that run.
        """
        numbers = list(step.cells)
        if self.tagged is not None and self.tagged.whole:
            numbers = sorted({*numbers, *self.tagged.blocks.metrics})
        return tuple((number, self.cells[number]) for number in numbers if number in self.cells)

    def steps_after(self, step: Step) -> tuple[Step, ...]:
        """The steps that run after this one has ended, because they wait for it."""
        later = reachable([step.name], self._followers)
        return tuple(other for other in self.steps if other.name in later and other is not step)

    def is_last(self, step: Step) -> bool:
        """Whether no step waits for this one."""
        return not self._followers.get(step.name)

    def flow_of(self, step: Step) -> StepFlow:
        """What passes into and out of the step; only where `flowing` is known."""
        return self._flows[step.name]

    @functools.cached_property
    def _flows(self) -> dict[str, StepFlow]:
        return {step.name: step for step in self.flowing.steps} if self.flowing is not None else {}

    @functools.cached_property
    def _followers(self) -> dict[str, list[str]]:
        before = {step.name: self._before(step) for step in self.steps}
        return followers_of(
            {name: [one for one in others if one in before] for name, others in before.items()}
        )

    def _before(self, step: Step) -> tuple[str, ...]:
        """The steps that this one comes right after."""
        if self.flowing is None or not self.by_dataflow:
            return step.after
        return tuple(giver for take in self.flow_of(step).takes for giver in take.givers)


def read_sheet(
    notebook: Notebook,
    *,
    by_dataflow: bool = False,
    stars: Stars | None = None,
    brought: Brought = NOTHING_BROUGHT,
    composed: bool = False,
) -> Sheet:
    """Read a notebook's tags, cells and flow, each as far as the mistakes before it allow.

    `stars` are what its star imports bind, `brought` the names that its kernel brings.
    """
    # tags that cannot be read are left out here; the rule wrong-tag reports them
    readable = replace(
        notebook, cells=tuple(_with_readable_tags(notebook, cell) for cell in notebook.cells)
    )
    tags = {
        cell.number: read_tags(readable, cell) for cell in readable.cells if cell.kind == "code"
    }
    tagged, refusals = _understood(readable)
    tagged = replace(tagged, stars=stars) if tagged is not None and stars else tagged
    sheet = Sheet(
        notebook=notebook,
        tags=tags,
        tagged=tagged,
        refusals=refusals,
        by_dataflow=by_dataflow,
        brought=brought,
    )
    sheet = replace(sheet, composed=composed or bool(tagged is not None and tagged.references))
    if sheet.is_python:
        sheet = _parsed(sheet)
    return _with_flow(_with_parameters(sheet)) if tagged is not None else sheet


def _with_readable_tags(notebook: Notebook, cell: Cell) -> Cell:
    kept: tuple[str, ...] = ()
    for tag in cell.tags if cell.kind == "code" else ():
        try:
            read_tags(notebook, replace(cell, tags=(*kept, tag)))
        except UsageError:
            continue
        kept = (*kept, tag)
    return replace(cell, tags=kept)


def _understood(notebook: Notebook) -> tuple[TaggedNotebook | None, tuple[UsageError, ...]]:
    """The notebook understood, with the edges of each cell that cannot be left out."""
    refusals: list[UsageError] = []
    # each round removes the edges of one cell, so more rounds than cells cannot help
    for _ in range(len(notebook.cells) + 1):
        try:
            tagged = understand(notebook)
            notebook_pipeline(tagged, notebook.path)
        except UsageError as error:
            refusals.append(error)
            repaired = _without_edges(notebook, error)
            # nothing was left to remove, so the next round would fail in the same way
            if repaired == notebook:
                return None, tuple(refusals)
            notebook = repaired
        else:
            return tagged, tuple(refusals)
    return None, tuple(refusals)


def _without_edges(notebook: Notebook, error: UsageError) -> Notebook:
    number = error.where.cell if error.where else None
    named = re.match(r"prev:(\S+): ", error.message)

    def is_wrong(tag: str) -> bool:
        prefix, _, value = tag.partition(":")
        return prefix in {"prev", "after", "in", "out"} and (
            named is None or value.strip() == named[1]
        )

    def repaired(cell: Cell) -> Cell:
        kept = tuple(tag for tag in cell.tags if not is_wrong(tag))
        return replace(cell, tags=kept) if cell.number == number else cell

    return replace(notebook, cells=tuple(map(repaired, notebook.cells)))


def _parsed(sheet: Sheet) -> Sheet:
    cells: dict[int, ParsedCell] = {}
    broken: dict[int, CellSyntaxError] = {}
    for cell in sheet.notebook.cells:
        if cell.kind != "code" or sheet.tags[cell.number].role == "skip":
            continue
        try:
            cells[cell.number] = parse_cell(
                cell.source,
                may_fail="raises-exception" in cell.tags,
                where=sheet.notebook.where(cell),
                stars=sheet.tagged.stars if sheet.tagged is not None else None,
            )
        except CellSyntaxError as error:
            broken[cell.number] = error
    return replace(sheet, cells=cells, broken=broken, tagged=_without_broken(sheet.tagged, broken))


def _without_broken(
    tagged: TaggedNotebook | None, broken: Mapping[int, CellSyntaxError]
) -> TaggedNotebook | None:
    if tagged is None or not broken:
        return tagged
    cells = tuple(
        # emptied, not removed: the steps refer to cells by their numbers
        replace(cell, source="") if cell.number in broken else cell
        for cell in tagged.notebook.cells
    )
    return replace(tagged, notebook=replace(tagged.notebook, cells=cells))


def _with_parameters(sheet: Sheet) -> Sheet:
    assert sheet.tagged is not None
    try:
        return replace(sheet, declared=notebook_parameters(sheet.tagged))
    except UsageError as error:
        return replace(sheet, declaration_refusal=error)


def _with_flow(sheet: Sheet) -> Sheet:
    """The values that pass between the steps; where they form a cycle there is nothing to say."""
    if not sheet.is_python or sheet.tagged is None:
        return sheet
    parameters = (
        frozenset(parameter.name for parameter in sheet.declared.parameters)
        if sheet.declared
        else frozenset()
    )
    code = names_of(
        [sheet.cells[number] for number in sheet.tagged.blocks.parameters if number in sheet.cells]
    )
    names = parameters | code.binds
    prelude = prelude_statements(sheet.tagged)
    in_parameters = [
        (number, sheet.cells[number])
        for number in sheet.tagged.blocks.parameters
        if number in sheet.cells
    ]
    fresh = fresh_names(
        [*in_parameters, *((statement.cell, statement.code) for statement in prelude)]
    )
    steps = [
        StepCode(
            name=step.name,
            after=() if sheet.tagged.whole else step.after,
            cells=tuple(cell for _, cell in sheet.own_cells(step)),
        )
        for step in sheet.tagged.steps
    ]
    if sheet.by_dataflow:
        steps = _by_dataflow(
            sheet.tagged, steps, order_from_flow(steps, names, prelude, fresh=fresh)
        )
    try:
        order = topological({step.name: step.after for step in steps})
    except Cycle:
        return sheet
    by_name = {step.name: step for step in steps}
    handed = inherited_imports(
        {step.name: sheet.own_cells(step) for step in sheet.tagged.steps},
        {step.name: step.after for step in steps},
        order,
    )
    codes = [
        replace(by_name[name], future_annotations=has_future_annotations(handed.get(name, ())))
        for name in order
    ]
    return replace(sheet, flowing=flow(codes, names, prelude, brought=sheet.brought, fresh=fresh))


def _by_dataflow(
    tagged: TaggedNotebook, steps: list[StepCode], edges: tuple[tuple[str, str], ...]
) -> list[StepCode]:
    before: dict[str, list[str]] = {
        step.name: list(step.after if tagged.declares_edges else ()) for step in steps
    }
    for earlier, later in edges:
        before[later].append(earlier)
    return [replace(step, after=tuple(dict.fromkeys(before[step.name]))) for step in steps]
