"""Analyses the steps of a Python notebook: their order, values that pass, the cells they run."""

from __future__ import annotations

from itertools import filterfalse
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.code import parse_cell
from nbci.dataflow.flow import flow
from nbci.dataflow.fresh import fresh_names
from nbci.dataflow.inherited_imports import has_future_annotations, inherited_imports
from nbci.dataflow.names import names_of
from nbci.dataflow.ordering import order_from_flow
from nbci.dataflow.outside import finds_definitions
from nbci.dataflow.prelude import names_bound_by, reach, reached_names
from nbci.dataflow.shape import shape_of
from nbci.dataflow.step_code import StepCode
from nbci.dataflow.submodules import Submodules
from nbci.errors import UsageError
from nbci.graph import Cycle, by_name, edges_within, topological
from nbci.notebook.nbval_marks import may_fail
from nbci.pipeline.notebook_parameters import notebook_parameters
from nbci.plan.definitions import definitions
from nbci.plan.metrics_cells import MetricsPart, assign
from nbci.plan.model import PlannedCell, Probe, Take
from nbci.plan.name_checks import NameChecks
from nbci.plan.parts import cell_parts, digest_of, inherited_import_part, statement_part
from nbci.plan.program import (
    GroupProgram,
    StepProgram,
    inherited_import_cells,
    number_of,
    order_by_role,
    planned_cells,
    prelude_cells,
    prelude_statements,
)
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.flow import Flow, StepFlow
    from nbci.dataflow.names import Names
    from nbci.dataflow.origin import Brought
    from nbci.dataflow.prelude import Statement
    from nbci.pipeline.model import Step, TaggedNotebook
    from nbci.plan.model import Definition

_IMMUTABLE = (bool, int, float, str, bytes, type(None))
"""Types of parameters whose objects nobody can change."""

Edges = dict[str, tuple[str, ...]]
"""For each step of the notebook those of its steps that it comes after."""


class _Prelude(Struct, frozen=True, kw_only=True):
    """What stands before a step's own cells: cells, parts of its key, the names that they mention.

    `any_name`: they may read names that they do not mention.
    """

    cells: tuple[PlannedCell, ...]
    parts: tuple[Part, ...]
    mentions: frozenset[str]
    any_name: bool
    kept: tuple[Statement, ...]


class PythonNotebook:
    """The analysis of one Python notebook's steps.

    `parameter_names`, `prelude` (the statements of imports and functions cells), `fresh` and
    `codes()` go into the flow of values, which covers several notebooks where they are composed;
    `programs` takes its result.
    """

    def __init__(
        self, tagged: TaggedNotebook, steps: Sequence[Step], *, by_dataflow: bool, brought: Brought
    ) -> None:
        self._tagged = tagged
        self._brought = brought
        self._steps = by_name(steps)
        self.prelude = prelude_statements(tagged)
        self._prelude_names = names_bound_by(self.prelude)
        # Keyed by wanted names: most steps want the same few, and a plan may have 10,000 steps.
        self._preludes: dict[tuple[frozenset[str], bool], _Prelude] = {}

        self._read_parameters()
        self._cells: dict[str, list[ParsedCell]] = {}
        for step in steps:
            self._cells[step.name] = self._parse_cells(step.cells)
        self._inside = self._edges(by_dataflow=by_dataflow)
        self._order = self._execution_order()
        self._outside: Mapping[str, tuple[str, ...]] = {}
        numbered = self._numbered_cells()
        self._metrics_cells = self._parse_cells(tagged.blocks.metrics)
        self._submodules = Submodules(self.prelude, numbered, self._metrics_cells)
        self._inherited = inherited_imports(numbered, self._inside, self._order)
        self._metrics = self._metrics_of_steps()
        self._checks = NameChecks(tagged, self._steps, self._cells, self._metrics, self._order)

    def _read_parameters(self) -> None:
        """What the parameters cells declare and use, and the names that each step has of them."""
        numbers = self._tagged.blocks.parameters
        cells = self._parse_cells(numbers)
        names = names_of(cells)
        declared = notebook_parameters(self._tagged)
        self.parameter_names = names.binds.union(declared.names)
        immutable = []
        for parameter in declared.parameters:
            if isinstance(parameter.default, _IMMUTABLE):
                immutable.append(parameter.name)
        self._immutable = frozenset(immutable)

        # Code in the parameters cells runs in every step; the literals count by their values.
        code: list[ParsedCell] = []
        self._parameter_code_parts: list[Part] = []
        for statement in declared.statements:
            if not statement.literals:
                parsed = parse_cell(statement.text)
                code.append(parsed)
                label = f"a line of cell {statement.cell}"
                part = Part(kind="statement", label=label, digest=digest_of(shape_of(parsed.tree)))
                self._parameter_code_parts.append(part)
        self._parameter_code = names_of(code)

        # Code in a parameters cell may use what imports cells import: then those run first.
        self._wanted_by_parameters = _mentions(names) & self._prelude_names
        self._imports_first = bool(names.needs & self._prelude_names)

        common = list(zip(numbers, cells, strict=True))
        by_reference = set(self.parameter_names)
        for one in self.prelude:
            common.append((one.cell, one.code))
            # What an import binds is found in its module, wherever a value refers to it.
            if one.kind != "import":
                by_reference |= one.binds
        self._by_reference = tuple(sorted(by_reference))
        self.fresh = fresh_names(common)

    def result(self) -> GroupProgram:
        """The programs of the steps, where the notebook stands by itself."""
        return self.programs(
            flow(
                self.codes(),
                self.parameter_names,
                self.prelude,
                settled=self._immutable,
                brought=self._brought,
                fresh=self.fresh,
            )
        )

    def join(self, inherited: frozenset[str], after: Mapping[str, tuple[str, ...]]) -> None:
        """Become a part of a composition.

        `inherited` are parameters of the notebook that refers to this one; `after` has for each
        step those that it comes after, also in other notebooks.
        """
        self.parameter_names |= inherited
        outside = {}
        for name, before in after.items():
            outside[name] = tuple(filterfalse(self._steps.__contains__, before))
        self._outside = outside

    def codes(self) -> list[StepCode]:
        """The steps' code in an order in which they may run."""
        return list(map(self._code, self._order))

    @property
    def given(self) -> frozenset[str]:
        """The names that all of the notebook's steps have before any value comes."""
        return self.parameter_names | self._prelude_names

    def programs(self, flowing: Flow, elsewhere: frozenset[str] = frozenset()) -> GroupProgram:
        """The steps' programs.

        `flowing` may have steps of other notebooks, too, which alone are given `elsewhere`.
        """
        undefined = [found for found in flowing.undefined if found.step in self._steps]
        self._checks.refuse_undefined(undefined)
        history_warnings = tuple(self._checks.history_warnings(self.given))
        flowed: dict[str, StepFlow] = {}
        mentions = set(self._wanted_by_parameters)
        for step in flowing.steps:
            if step.name in self._steps:
                self._checks.refuse_names_of_other_notebooks(step, elsewhere)
                flowed[step.name] = step
                mentions |= _mentions(step.names)

        named_by_steps = reached_names(self.prelude, mentions)
        return GroupProgram(
            steps={name: self._program(flowed[name], named_by_steps) for name in self._steps},
            definitions=self._definitions(flowing),
            warnings=(
                *flowing.warnings,
                *flowing.apart,
                *self._checks.undefined_warnings(undefined),
                *history_warnings,
            ),
        )

    def _definitions(self, flowing: Flow) -> tuple[Definition, ...]:
        """What values may refer to; nothing where none passes or there is nothing to refer to."""
        if not self._by_reference or not any(step.takes for step in flowing.steps):
            return ()
        return definitions(self.prelude, self.parameter_names)

    # one step

    def _program(self, flowed: StepFlow, named_by_steps: frozenset[str]) -> StepProgram:
        name = flowed.name
        prelude = self._prelude_of(flowed, named_by_steps)
        self._checks.refuse_two_meanings(name, prelude.kept)
        inherited = (*self._inherited.get(name, ()), *self._submodules.inherited(name))
        cells = self._ordered_cells(name, (*prelude.cells, *inherited_import_cells(inherited)))

        named_params = self.parameter_names
        if not prelude.any_name and not flowed.names.any_name:
            named_params &= _mentions(flowed.names) | prelude.mentions
        own = dict(zip(self._steps[name].cells, self._cells[name], strict=True))
        probes: list[Probe] = []
        for part in self._metrics[name]:
            probes += part.probes
        gives: list[str] = []
        optional_gives: list[str] = []
        for give in flowed.gives:
            if give.optional:
                optional_gives.append(give.name)
            else:
                gives.append(give.name)
        return StepProgram(
            inside=(*self._inside[name], *self._outside.get(name, ())),
            cells=cells,
            named_params=tuple(sorted(named_params)),
            parts=(
                *prelude.parts,
                *map(inherited_import_part, inherited),
                *cell_parts(cells, own),
            ),
            takes=tuple(Take(name=take.name, givers=take.givers) for take in flowed.takes),
            gives=tuple(gives),
            optional_gives=tuple(optional_gives),
            defined_by_reference=self._defined_by_reference(flowed),
            probes=tuple(probes),
        )

    def _defined_by_reference(self, flowed: StepFlow) -> tuple[str, ...]:
        if not flowed.makes:
            return self._by_reference
        return tuple(filterfalse(flowed.makes.__contains__, self._by_reference))

    def _prelude_of(self, flowed: StepFlow, named_by_steps: frozenset[str]) -> _Prelude:
        """The parameters, imports and functions that the step runs."""
        # Pickles, test runners and dir() come upon definitions that the code does not name.
        complete = bool(flowed.names.any_name)
        for cell in self._all_cells(flowed.name):
            complete = complete or finds_definitions(cell.source)
        wanted = _mentions(flowed.names).union(give.name for give in flowed.gives)
        wanted &= self._prelude_names
        wanted |= self._submodules.names_to_import(flowed.name)
        prelude = self._preludes.get((wanted, complete))
        if prelude is None:
            prelude = self._make_prelude(wanted, named_by_steps, complete=complete)
            self._preludes[wanted, complete] = prelude
        return prelude

    def _make_prelude(
        self, wanted: frozenset[str], named_by_steps: frozenset[str], *, complete: bool
    ) -> _Prelude:
        wanted |= self._wanted_by_parameters
        kept = reach(self.prelude, wanted, named_by_steps, complete=complete)
        if not complete and any(finds_definitions(statement.text) for statement in kept):
            kept = reach(self.prelude, wanted, named_by_steps, complete=True)
        self._checks.refuse_early_uses(kept, self.parameter_names, self._brought)

        shown = kept
        # A notebook without step tags runs its cells as they are, in its own order.
        if self._tagged.whole:
            shown = self.prelude
        blocks = self._tagged.blocks
        parameter_cells = planned_cells(self._tagged.notebook, "parameters", blocks.parameters)
        mentions = set(_mentions(self._parameter_code))
        any_name = bool(self._parameter_code.any_name)
        for one in kept:
            mentions |= one.mentions
            any_name = any_name or bool(one.names.any_name)
        return _Prelude(
            cells=(*parameter_cells, *prelude_cells(self._tagged, self.prelude, shown)),
            parts=(*self._parameter_code_parts, *map(statement_part, kept)),
            mentions=frozenset(mentions),
            any_name=any_name,
            kept=kept,
        )

    def _ordered_cells(
        self, name: str, prelude: tuple[PlannedCell, ...]
    ) -> tuple[PlannedCell, ...]:
        own = planned_cells(self._tagged.notebook, "step", self._steps[name].cells)
        cells = [*prelude, *own]
        for part in self._metrics[name]:
            cells.append(part.cell)
        if self._tagged.whole:
            return tuple(sorted(cells, key=number_of))
        return order_by_role(cells, imports_first=self._imports_first)

    # code and order of all steps

    def _parse_cells(self, numbers: Sequence[int]) -> list[ParsedCell]:
        return list(map(self._parse, numbers))

    def _parse(self, number: int) -> ParsedCell:
        notebook = self._tagged.notebook
        cell = notebook.cell(number)
        return parse_cell(
            cell.source,
            may_fail=may_fail(cell.tags),
            where=notebook.where(cell),
            stars=self._tagged.stars,
        )

    def _edges(self, *, by_dataflow: bool) -> Edges:
        declared: Edges = {}
        # Without `prev:` tags the edges are the notebook's order, which data flow replaces.
        if self._tagged.declares_edges or not by_dataflow:
            declared = edges_within(self._steps.values())
        if not by_dataflow:
            return declared

        codes = []
        for name, cells in self._cells.items():
            codes.append(StepCode(name=name, cells=tuple(cells)))
        # Dictionaries, since an edge may be declared and found: it stands once, at its first place.
        edges: dict[str, dict[str, None]] = {}
        for name in self._steps:
            edges[name] = dict.fromkeys(declared.get(name, ()))
        for earlier, later in order_from_flow(
            codes, self.parameter_names, self.prelude, settled=self._immutable, fresh=self.fresh
        ):
            edges[later][earlier] = None
        return {name: tuple(others) for name, others in edges.items()}

    def _execution_order(self) -> tuple[str, ...]:
        try:
            return topological(self._inside)
        except Cycle as cycle:
            notebook = self._tagged.notebook
            raise UsageError(
                f"the steps form a cycle: {cycle}", where=notebook.where(notebook.cell(1))
            ) from cycle

    def _numbered_cells(self) -> dict[str, list[tuple[int, ParsedCell]]]:
        numbered = {}
        for name, step in self._steps.items():
            numbered[name] = list(zip(step.cells, self._cells[name], strict=True))
        return numbered

    def _code(self, name: str) -> StepCode:
        own: frozenset[str] = frozenset()
        # Only in a composition may another notebook's step give a name of this prelude.
        if self._outside:
            own = self._prelude_names
        return StepCode(
            name=name,
            after=(*self._inside[name], *self._outside.get(name, ())),
            cells=tuple(self._all_cells(name)),
            notebook=self._tagged.notebook.path,
            own=own,
            future_annotations=has_future_annotations(self._inherited.get(name, ())),
        )

    def _all_cells(self, name: str) -> list[ParsedCell]:
        """The step's own cells, and the metrics cells that end it."""
        cells = list(self._cells[name])
        for part in self._metrics[name]:
            cells.append(parse_cell(part.cell.source))
        return cells

    def _metrics_of_steps(self) -> dict[str, list[MetricsPart]]:
        """For each step the metrics cells, or parts of them, that end it."""
        parts: dict[str, list[MetricsPart]] = {name: [] for name in self._steps}
        numbers = self._tagged.blocks.metrics
        if not numbers:
            return parts

        asked = names_of(self._metrics_cells).mentions - self.given
        steps: list[tuple[str, frozenset[str]]] = []
        # What a step mentions, or one that it comes after: those values can reach it.
        reachable: dict[str, frozenset[str]] = {}
        for name in self._order:
            mentions = names_of(self._cells[name]).mentions & asked
            steps.append((name, mentions))
            reachable[name] = mentions.union(*map(reachable.__getitem__, self._inside[name]))
        for part in assign(self._tagged.notebook, numbers, steps, reachable, self.given):
            parts[part.step].append(part)
        return parts


def _mentions(names: Names) -> frozenset[str]:
    """The names in code and in the texts of it that are read as code."""
    return names.mentions | names.in_text
