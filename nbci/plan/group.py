"""The steps of one notebook: the values that pass between them, and the cells that each runs."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.dataflow.code import parse_cell
from nbci.dataflow.flow import StepCode, flow, order_from_flow
from nbci.dataflow.names import names_of
from nbci.dataflow.prelude import named, reach
from nbci.errors import UsageError
from nbci.graph import Cycle, topological
from nbci.pipeline.compose import notebook_parameters
from nbci.plan.metrics_cells import MetricsPart, assign
from nbci.plan.model import PlannedCell, Probe, Take
from nbci.plan.parts import code_parts, digest_of, text_parts
from nbci.plan.program import ordered, prelude_cells, prelude_statements
from nbci.records.model import Part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.flow import Flow, StepFlow
    from nbci.dataflow.prelude import Statement
    from nbci.dataflow.undefined import Undefined
    from nbci.pipeline.model import Step, TaggedNotebook


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgram:
    """What analysis adds to a step."""

    after: tuple[str, ...]
    cells: tuple[PlannedCell, ...]
    takes: tuple[Take, ...] = ()
    gives: tuple[str, ...] = ()
    optional_gives: tuple[str, ...] = ()
    defined_by_reference: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    parts: tuple[Part, ...] = ()
    named_params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProgram:
    """The programs of a notebook's steps by name, and what there is to warn about."""

    steps: Mapping[str, StepProgram]
    warnings: tuple[str, ...] = ()


def analyse(tagged: TaggedNotebook, steps: Sequence[Step], *, by_dataflow: bool) -> GroupProgram:
    """Programs of the steps that one notebook expanded into; UsageError for names that surely nobody defines."""
    if tagged.notebook.language != "python":
        return _foreign(tagged, steps)
    return _Analysis(tagged, steps, by_dataflow=by_dataflow).result()


def _foreign(tagged: TaggedNotebook, steps: Sequence[Step]) -> GroupProgram:
    """Steps in another language: all imports and functions cells run, no values pass, metrics cells end the last."""
    programs = {}
    here = {step.name for step in steps}
    last = topological({step.name: [other for other in step.after if other in here] for step in steps})[-1]
    for step in steps:
        metrics = tagged.blocks.metrics if step.name == last else ()
        cells = _whole_cells(tagged, step, metrics)
        names = tuple(parameter.name for parameter in notebook_parameters(tagged).parameters)
        programs[step.name] = StepProgram(
            after=step.after, cells=cells, parts=tuple(text_parts(cells)), named_params=names
        )
    return GroupProgram(steps=programs)


def _whole_cells(tagged: TaggedNotebook, step: Step, metrics: Sequence[int]) -> tuple[PlannedCell, ...]:
    blocks = tagged.blocks
    cells = [
        *(_planned(tagged, number, "parameters") for number in blocks.parameters),
        *(_planned(tagged, number, "imports") for number in blocks.imports),
        *(_planned(tagged, number, "functions") for number in blocks.functions),
        *(_planned(tagged, number, "step") for number in step.cells),
        *(_planned(tagged, number, "metrics") for number in metrics),
    ]
    return tuple(sorted(cells, key=lambda cell: cell.number or 0)) if tagged.whole else tuple(cells)


def _planned(tagged: TaggedNotebook, number: int, role: str) -> PlannedCell:
    return PlannedCell(role=role, number=number, source=tagged.notebook.cell(number).source)  # type: ignore[arg-type]  # one of the roles


class _Analysis:
    """The analysis of one Python notebook's steps."""

    def __init__(self, tagged: TaggedNotebook, steps: Sequence[Step], *, by_dataflow: bool) -> None:
        self.tagged = tagged
        self.notebook = tagged.notebook
        self.steps = {step.name: step for step in steps}
        self.prelude = prelude_statements(tagged)
        declared = notebook_parameters(tagged)
        self.parameter_statements = [s for s in declared.statements if not s.literals]
        self.parameter_code = names_of([parse_cell(statement.text) for statement in self.parameter_statements])
        self.parameter_names = self._names_of_parameters_cells()
        self.own = {step.name: [self._parsed(number) for number in step.cells] for step in steps}
        self.mentions = {name: names_of(cells).mentions for name, cells in self.own.items()}
        self.after = self._edges() if by_dataflow else {step.name: step.after for step in steps}
        inside = {name: [other for other in after if other in self.steps] for name, after in self.after.items()}
        try:
            self.order = topological(inside)
        except Cycle as cycle:
            raise UsageError(
                f"the steps form a cycle: {cycle}", where=self.notebook.where(self.notebook.cell(1))
            ) from cycle
        self.inside = inside
        self.metrics = self._metrics()

    def result(self) -> GroupProgram:
        flowing = flow(
            [
                StepCode(name=name, after=tuple(self.inside[name]), cells=tuple(self._cells(name)))
                for name in self.order
            ],
            self.parameter_names,
            self.prelude,
        )
        self._refuse_undefined(flowing)
        used = named(self.prelude, frozenset().union(*(flowed.names.mentions for flowed in flowing.steps)))
        flowed = {step.name: step for step in flowing.steps}
        parts: dict[str, list[MetricsPart]] = {name: [] for name in self.steps}
        for part in self.metrics:
            parts[part.step].append(part)
        return GroupProgram(
            steps={name: self._program(flowed[name], parts[name], used) for name in self.steps},
            warnings=(
                *flowing.warnings,
                *(f"{self._place(u)}: {u.message}" for u in flowing.undefined if u.severity == "warning"),
            ),
        )

    def _program(self, flowed: StepFlow, parts: Sequence[MetricsPart], used: frozenset[str]) -> StepProgram:
        name = flowed.name
        kept = reach(self.prelude, flowed.names.mentions, used)
        cells = self._ordered_cells(name, parts, kept)
        mentions = flowed.names.mentions.union(self.parameter_code.mentions, *(s.names.mentions for s in kept))
        return StepProgram(
            after=tuple(self.after[name]),
            cells=cells,
            parts=(
                *self._parameter_code_parts(),
                *code_parts(cells, kept, dict(zip(self.steps[name].cells, self.own[name], strict=True))),
            ),
            named_params=tuple(sorted(self.parameter_names & mentions)),
            takes=tuple(Take(name=take.name, givers=take.givers) for take in flowed.takes),
            gives=tuple(give.name for give in flowed.gives if not give.optional),
            optional_gives=tuple(give.name for give in flowed.gives if give.optional),
            defined_by_reference=tuple(
                sorted({bound for statement in self.prelude if statement.kind != "import" for bound in statement.binds})
            ),
            probes=tuple(probe for part in parts for probe in part.probes),
        )

    def _ordered_cells(
        self, name: str, parts: Sequence[MetricsPart], kept: Sequence[Statement]
    ) -> tuple[PlannedCell, ...]:
        own = [
            *(_planned(self.tagged, number, "parameters") for number in self.tagged.blocks.parameters),
            *prelude_cells(self.tagged, self.prelude, kept),
            *(_planned(self.tagged, number, "step") for number in self.steps[name].cells),
            *(part.cell for part in parts),
        ]
        if self.tagged.whole:
            return tuple(sorted(own, key=lambda cell: cell.number or 0))
        return ordered(own, self._imports_first())

    def _parameter_code_parts(self) -> list[Part]:
        """Code in the parameters cells runs in every step; the literals count by their values."""
        return [
            Part(
                kind="statement", label=f"a line of cell {s.cell}", digest=digest_of(ast.dump(parse_cell(s.text).tree))
            )
            for s in self.parameter_statements
        ]

    def _imports_first(self) -> tuple[PlannedCell, ...]:
        """Code in a parameters cell may use what imports cells import: then those run first."""
        numbers = self.tagged.blocks.parameters
        needs = names_of([self._parsed(number) for number in numbers]).needs
        if not any(needs & statement.binds for statement in self.prelude):
            return ()
        return (
            PlannedCell(role="imports", number=None, source=""),
            PlannedCell(role="parameters", number=None, source=""),
        )

    def _parsed(self, number: int) -> ParsedCell:
        cell = self.notebook.cell(number)
        return parse_cell(cell.source, may_fail="raises-exception" in cell.tags, where=self.notebook.where(cell))

    def _names_of_parameters_cells(self) -> frozenset[str]:
        declared = {parameter.name for parameter in notebook_parameters(self.tagged).parameters}
        code = names_of([self._parsed(number) for number in self.tagged.blocks.parameters])
        return code.binds | declared

    def _edges(self) -> dict[str, tuple[str, ...]]:
        """The order from the variables; what the step comes after in other notebooks stays."""
        codes = [StepCode(name=name, cells=tuple(cells)) for name, cells in self.own.items()]
        edges: dict[str, list[str]] = {
            name: [other for other in step.after if other not in self.steps] for name, step in self.steps.items()
        }
        if self.tagged.declares_edges:
            for name, step in self.steps.items():
                edges[name] += [other for other in step.after if other in self.steps]
        for earlier, later in order_from_flow(codes, self.parameter_names, self.prelude):
            edges[later].append(earlier)
        return {name: tuple(dict.fromkeys(others)) for name, others in edges.items()}

    def _metrics(self) -> tuple[MetricsPart, ...]:
        if not self.tagged.blocks.metrics:
            return ()
        given = self.parameter_names.union(*(statement.binds for statement in self.prelude))
        seen: dict[str, frozenset[str]] = {}
        for name in self.order:
            seen[name] = self.mentions[name].union(*(seen[before] for before in self.inside[name]))
        mentions = [(name, self.mentions[name] - given) for name in self.order]
        return assign(self.notebook, self.tagged.blocks.metrics, mentions, seen, given)

    def _cells(self, name: str) -> list[ParsedCell]:
        return [*self.own[name], *(parse_cell(part.cell.source) for part in self.metrics if part.step == name)]

    def _refuse_undefined(self, flowing: Flow) -> None:
        errors = [found for found in flowing.undefined if found.severity == "error"]
        if not errors:
            return
        others = [f"{self._place(found)}: {found.message}" for found in errors[1:6]]
        hints = [hint for hint in (errors[0].hint, *(f"also {other}" for other in others)) if hint]
        cell = self.notebook.cell(self._number(errors[0]))
        raise UsageError(
            errors[0].message,
            hint="\n".join(hints) or None,
            where=self.notebook.where(cell, line=errors[0].line),
        )

    def _number(self, found: Undefined) -> int:
        numbers = [
            *self.steps[found.step].cells,
            *(part.cell.number or 1 for part in self.metrics if part.step == found.step),
        ]
        return numbers[found.cell]

    def _place(self, found: Undefined) -> str:
        return str(self.notebook.where(self.notebook.cell(self._number(found)), line=found.line))
