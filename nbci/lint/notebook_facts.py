"""Read a notebook for the rules, as far as its mistakes allow.

A mistake does not end the reading, so that one check reports several.
"""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from itertools import filterfalse
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.dataflow.code import CellSyntaxError, parse_cell
from nbci.dataflow.dotted import meanings
from nbci.dataflow.flow import flow
from nbci.dataflow.fresh import fresh_names
from nbci.dataflow.inherited_imports import has_future_annotations, inherited_imports
from nbci.dataflow.names import names_of
from nbci.dataflow.ordering import order_from_flow
from nbci.dataflow.origin import NOTHING_BROUGHT, Brought
from nbci.dataflow.step_code import StepCode
from nbci.errors import UsageError
from nbci.graph import Cycle, by_name, edges_of, followers_of, reachable, topological
from nbci.notebook.nbval_marks import may_fail
from nbci.notebook.tags import read_tags
from nbci.pipeline.compose import notebook_pipeline
from nbci.pipeline.notebook_parameters import notebook_parameters
from nbci.pipeline.tagged import understand
from nbci.pipeline.tagged_paths import check_tagged_paths
from nbci.plan.program import prelude_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.dataflow.code import ParsedCell, Stars
    from nbci.dataflow.flow import Flow, StepFlow
    from nbci.notebook.cells import Cell, Notebook
    from nbci.notebook.tags import CellTags
    from nbci.params import Declared
    from nbci.pipeline.model import Step, TaggedNotebook

_EDGE_TAGS = frozenset({"prev", "after", "in", "out"})
"""What can be removed from a cell to make steps whose order is wrong understood after all."""


class NotebookFacts(Struct, frozen=True, kw_only=True, dict=True):
    """A notebook and what could be understood of it.

    `tags` are those that can be read; `refusals` are what understanding them together met with.
    `cells` are the Python cells that run, by number; `broken` those that do not parse. `declared`
    and `flowing` are None where mistakes, or another language, leave nothing to say. `composed`: it
    refers to other notebooks, or another to it, so variables may come from there.
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
        return tuple(map(by_name(self.tagged.steps).__getitem__, self._flows))

    def own_cells(self, step: Step) -> dict[int, ParsedCell]:
        """Return the step's own cells that parse, by their numbers.

        In a notebook without step tags these are all cells that run.
        """
        numbers = list(step.cells)
        if self.tagged is not None and self.tagged.whole:
            numbers = sorted({*numbers, *self.tagged.blocks.metrics})
        return self.parsed(numbers)

    def parsed(self, numbers: Iterable[int]) -> dict[int, ParsedCell]:
        """Those of the cells that parse, by their numbers."""
        return {number: self.cells[number] for number in numbers if number in self.cells}

    @functools.cached_property
    def imported_names(self) -> Mapping[str, str]:
        """The dotted name that each imported name stands for.

        A name that the notebook also binds otherwise is left out, since it may stand for something
        else.
        """
        names = meanings(cell.tree for cell in self.cells.values())
        # behind all imports: a name may be bound in a cell above the one that imports it
        for cell in self.cells.values():
            for node in ast.walk(cell.tree):
                match node:
                    case (
                        ast.Name(id=name, ctx=ast.Store())
                        | ast.FunctionDef(name=name)
                        | ast.ClassDef(name=name)
                    ):
                        names.pop(name, None)
        return names

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

    # Both are cached: rules ask them of every step, and a notebook may have hundreds.
    @functools.cached_property
    def _flows(self) -> dict[str, StepFlow]:
        if self.flowing is None:
            return {}
        return by_name(self.flowing.steps)

    @functools.cached_property
    def _followers(self) -> dict[str, list[str]]:
        before: dict[str, list[str]] = {}
        for step in self.steps:
            before[step.name] = self._steps_before(step)
        for name, others in before.items():
            # an edge to a step that does not exist is a finding of the rule wrong-edge
            before[name] = list(filter(before.__contains__, others))
        return followers_of(before)

    def _steps_before(self, step: Step) -> list[str]:
        """The names of the steps that this one comes right after."""
        if self.flowing is None or not self.by_dataflow:
            return list(step.after)
        names: list[str] = []
        for take in self.flow_of(step).takes:
            names.extend(take.givers)
        return names


def read_facts(
    notebook: Notebook,
    *,
    by_dataflow: bool = False,
    stars: Stars | None = None,
    brought: Brought = NOTHING_BROUGHT,
    composed: bool = False,
) -> NotebookFacts:
    """Read a notebook's tags, cells and flow, each as far as the mistakes before it allow.

    `stars` are what its star imports bind, `brought` the names that its kernel brings.
    """
    # tags that cannot be read are left out here; the rule wrong-tag reports them
    cells = tuple(_with_readable_tags(notebook, cell) for cell in notebook.cells)
    readable = replace(notebook, cells=cells)
    tags: dict[int, CellTags] = {}
    for cell in readable.cells:
        if cell.kind == "code":
            tags[cell.number] = read_tags(readable, cell)

    tagged, refusals = _understand_repaired(readable)
    if tagged is not None and stars:
        tagged = replace(tagged, stars=stars)
    facts = NotebookFacts(
        notebook=notebook,
        tags=tags,
        tagged=tagged,
        refusals=refusals,
        by_dataflow=by_dataflow,
        brought=brought,
        composed=composed or (tagged is not None and bool(tagged.references)),
    )

    if facts.is_python:
        facts = _with_parsed_cells(facts)
    if tagged is None:
        return facts
    return _with_flow(_with_parameters(facts))


def _with_readable_tags(notebook: Notebook, cell: Cell) -> Cell:
    if cell.kind != "code":
        return replace(cell, tags=())
    kept: tuple[str, ...] = ()
    for tag in cell.tags:
        # with those before it: two tags may each be right and not stand together
        candidate = replace(cell, tags=(*kept, tag))
        try:
            check_tagged_paths(notebook, candidate, read_tags(notebook, candidate))
        except UsageError:
            continue
        kept = candidate.tags
    return replace(cell, tags=kept)


def _understand_repaired(
    notebook: Notebook,
) -> tuple[TaggedNotebook | None, tuple[UsageError, ...]]:
    """Understand the notebook without the edges that are wrong, and say what was wrong.

    The first is None where removing edges does not help.
    """
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
    """Remove from the cell that the error names the edge that it names, or else all edges."""
    if error.where is None or error.where.cell is None:
        return notebook
    named = re.match(r"prev:(\S+): ", error.message)

    def is_wrong(tag: str) -> bool:
        prefix, _, value = tag.partition(":")
        if prefix not in _EDGE_TAGS:
            return False
        return named is None or value.strip() == named[1]

    cell = notebook.cell(error.where.cell)
    cells = list(notebook.cells)
    cells[cell.number - 1] = replace(cell, tags=tuple(filterfalse(is_wrong, cell.tags)))
    return replace(notebook, cells=tuple(cells))


def _with_parsed_cells(facts: NotebookFacts) -> NotebookFacts:
    stars = None
    if facts.tagged is not None:
        stars = facts.tagged.stars
    cells: dict[int, ParsedCell] = {}
    broken: dict[int, CellSyntaxError] = {}

    for cell in facts.notebook.cells:
        if cell.kind != "code" or facts.tags[cell.number].role == "skip":
            continue
        try:
            cells[cell.number] = parse_cell(
                cell.source,
                may_fail=may_fail(cell.tags),
                where=facts.notebook.where(cell),
                stars=stars,
            )
        except CellSyntaxError as error:
            broken[cell.number] = error

    tagged = _without_broken(facts.tagged, broken)
    return replace(facts, cells=cells, broken=broken, tagged=tagged)


def _without_broken(
    tagged: TaggedNotebook | None, broken: Mapping[int, CellSyntaxError]
) -> TaggedNotebook | None:
    if tagged is None or not broken:
        return tagged
    cells = list(tagged.notebook.cells)
    for number in broken:
        # emptied, not removed: the steps refer to cells by their numbers
        cells[number - 1] = replace(tagged.notebook.cell(number), source="")
    return replace(tagged, notebook=replace(tagged.notebook, cells=tuple(cells)))


def _with_parameters(facts: NotebookFacts) -> NotebookFacts:
    assert facts.tagged is not None
    try:
        return replace(facts, declared=notebook_parameters(facts.tagged))
    except UsageError as error:
        return replace(facts, declaration_refusal=error)


def _with_flow(facts: NotebookFacts) -> NotebookFacts:
    """Add the values that pass between the steps, unless the steps form a cycle."""
    if not facts.is_python or facts.tagged is None:
        return facts
    tagged = facts.tagged
    in_parameters = facts.parsed(tagged.blocks.parameters)
    names = _parameter_names(facts, in_parameters.values())
    prelude = prelude_statements(tagged)
    in_prelude = [(statement.cell, statement.code) for statement in prelude]
    fresh = fresh_names([*in_parameters.items(), *in_prelude])

    own_cells = {step.name: facts.own_cells(step) for step in tagged.steps}
    steps = _code_of_steps(tagged, own_cells)
    if facts.by_dataflow:
        edges = order_from_flow(list(steps.values()), names, prelude, fresh=fresh)
        steps = _with_edges(tagged, steps, edges)
    after = edges_of(steps.values())
    try:
        order = topological(after)
    except Cycle:
        # the rule `cycle` reports it; without an order there is no flow to speak of
        return facts

    # `from __future__ import annotations` of one step holds in those after it, as in a notebook
    numbered = {name: list(cells.items()) for name, cells in own_cells.items()}
    imports = inherited_imports(numbered, after, order)
    in_order: list[StepCode] = []
    for name in order:
        has_future = has_future_annotations(imports.get(name, ()))
        in_order.append(replace(steps[name], future_annotations=has_future))
    flowing = flow(in_order, names, prelude, brought=facts.brought, fresh=fresh)
    return replace(facts, flowing=flowing)


def _parameter_names(facts: NotebookFacts, cells: Iterable[ParsedCell]) -> frozenset[str]:
    """The names that the parameters cells bind, parameters or not."""
    bound = names_of(list(cells)).binds
    if facts.declared is None:
        return bound
    return bound.union(facts.declared.names)


def _code_of_steps(
    tagged: TaggedNotebook, own_cells: Mapping[str, Mapping[int, ParsedCell]]
) -> dict[str, StepCode]:
    steps: dict[str, StepCode] = {}
    for step in tagged.steps:
        after = step.after
        # a notebook without step tags is one step, which waits for none
        if tagged.whole:
            after = ()
        cells = tuple(own_cells[step.name].values())
        steps[step.name] = StepCode(name=step.name, after=after, cells=cells)
    return steps


def _with_edges(
    tagged: TaggedNotebook, steps: Mapping[str, StepCode], edges: Iterable[tuple[str, str]]
) -> dict[str, StepCode]:
    """The steps with the edges that their variables make, besides those that tags declare."""
    before: dict[str, list[str]] = defaultdict(list)
    if tagged.declares_edges:
        for name, step in steps.items():
            before[name].extend(step.after)
    for earlier, later in edges:
        before[later].append(earlier)

    connected: dict[str, StepCode] = {}
    for name, step in steps.items():
        # several variables may pass between the same two steps
        connected[name] = replace(step, after=tuple(dict.fromkeys(before[name])))
    return connected
