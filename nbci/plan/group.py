"""The steps of one notebook: the values that pass between them, and the cells that each runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.dataflow.code import parse_cell
from nbci.dataflow.flow import StepCode, flow
from nbci.dataflow.fresh import fresh_names
from nbci.dataflow.handed import handed_down, has_future_annotations
from nbci.dataflow.history import lost_history
from nbci.dataflow.names import names_of
from nbci.dataflow.ordering import order_from_flow
from nbci.dataflow.outside import BROUGHT_BY_SOME_KERNELS, finds_definitions
from nbci.dataflow.prelude import named, reach
from nbci.dataflow.shape import shape_of
from nbci.dataflow.undefined import NOTHING_BROUGHT, Brought
from nbci.errors import UsageError
from nbci.graph import Cycle, topological
from nbci.pipeline.compose import notebook_parameters
from nbci.plan.definitions import definitions
from nbci.plan.metrics_cells import MetricsPart, assign
from nbci.plan.model import PlannedCell, Probe, Take
from nbci.plan.parts import cell_parts, digest_of, handed_part, statement_part, text_parts
from nbci.plan.program import imports_handed_down, ordered, prelude_cells, prelude_statements
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.flow import Flow, StepFlow
    from nbci.dataflow.names import Names
    from nbci.dataflow.prelude import Statement
    from nbci.dataflow.undefined import Undefined
    from nbci.pipeline.model import Step, TaggedNotebook
    from nbci.plan.model import Definition


_SETTLED = (bool, int, float, str, bytes, type(None))
"""Types of parameters whose objects nobody can change."""


class StepProgram(Struct, frozen=True, kw_only=True):
    """What analysis adds to a step; `inside` are the steps of its notebook that it comes after."""

    inside: tuple[str, ...]
    cells: tuple[PlannedCell, ...]
    takes: tuple[Take, ...] = ()
    gives: tuple[str, ...] = ()
    optional_gives: tuple[str, ...] = ()
    defined_by_reference: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    parts: tuple[Part, ...] = ()
    named_params: tuple[str, ...] = ()


class GroupProgram(Struct, frozen=True, kw_only=True):
    """The programs of a notebook's steps by name, what their values may refer to, and what there is
    to warn about.
    """

    steps: Mapping[str, StepProgram]
    definitions: tuple[Definition, ...] = ()
    warnings: tuple[str, ...] = ()


class _Prelude(Struct, frozen=True, kw_only=True):
    """What stands before a step's own cells: the cells, the parts of its key, the names that they
    mention.

    `any_name`: they may read names that they do not mention.
    """

    cells: tuple[PlannedCell, ...]
    parts: tuple[Part, ...]
    mentions: frozenset[str]
    any_name: bool
    kept: tuple[Statement, ...]


def analyse(
    tagged: TaggedNotebook,
    steps: Sequence[Step],
    *,
    by_dataflow: bool,
    brought: Brought = NOTHING_BROUGHT,
) -> GroupProgram:
    """Programs of the steps that one notebook expanded into; UsageError for names that surely
    nobody defines.

    `brought` are names that kernels bring.
    """
    if tagged.notebook.language != "python":
        return _foreign(tagged, steps)
    return _Analysis(tagged, steps, by_dataflow=by_dataflow, brought=brought).result()


def analyse_composition(
    notebooks: Mapping[str, TaggedNotebook],
    steps: Sequence[Step],
    *,
    brought: Brought = NOTHING_BROUGHT,
) -> list[GroupProgram]:
    """Programs of the steps of notebooks that are composed: values pass between all of them,
    imports do not.
    """
    of_notebook: dict[str, list[Step]] = {}
    for step in steps:
        of_notebook.setdefault(step.notebook, []).append(step)
    root = notebooks[steps[0].composition]
    handed = frozenset(parameter.name for parameter in notebook_parameters(root).parameters)
    analyses, found = [], []
    for path, own in of_notebook.items():
        if notebooks[path].notebook.language == "python":
            analysis = _Analysis(notebooks[path], own, by_dataflow=False, brought=brought)
            analysis.join(handed, {step.name: step.after for step in own})
            analyses.append(analysis)
        else:
            found.append(_foreign(notebooks[path], own))
    codes = [code for analysis in analyses for code in analysis.codes()]
    flowing = flow(
        codes,
        frozenset().union(*(analysis.parameter_names for analysis in analyses)),
        [statement for analysis in analyses for statement in analysis.prelude],
        brought=brought,
        fresh=dict(item for analysis in analyses for item in analysis.fresh.items()),
    )
    everything = frozenset().union(*(analysis.given for analysis in analyses))
    return [
        *found,
        *(analysis.programs(flowing, everything - analysis.given) for analysis in analyses),
    ]


def _foreign(tagged: TaggedNotebook, steps: Sequence[Step]) -> GroupProgram:
    """Steps in another language: all imports and functions cells run, no values pass, metrics cells
    end the last.
    """
    programs = {}
    here = {step.name for step in steps}
    last = topological(
        {step.name: [other for other in step.after if other in here] for step in steps}
    )[-1]
    for step in steps:
        metrics = tagged.blocks.metrics if step.name == last else ()
        cells = _whole_cells(tagged, step, metrics)
        names = tuple(parameter.name for parameter in notebook_parameters(tagged).parameters)
        programs[step.name] = StepProgram(
            inside=tuple(other for other in step.after if other in here),
            cells=cells,
            parts=tuple(text_parts(cells)),
            named_params=names,
        )
    return GroupProgram(steps=programs)


def _whole_cells(
    tagged: TaggedNotebook, step: Step, metrics: Sequence[int]
) -> tuple[PlannedCell, ...]:
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


def analysed_alike(
    found: GroupProgram, first: Sequence[Step], steps: Sequence[Step]
) -> GroupProgram:
    """The programs of `steps` from those `found` for `first`: other steps of the same notebook,
    alike but for names.
    """
    names = {one.name: other.name for one, other in zip(first, steps, strict=True)}
    programs = {}
    for one, other in zip(first, steps, strict=True):
        program = found.steps[one.name]
        takes = tuple(
            Take(name=take.name, givers=tuple(names[giver] for giver in take.givers))
            for take in program.takes
        )
        inside = tuple(names[name] for name in program.inside)
        programs[other.name] = replace(program, inside=inside, takes=takes)
    return GroupProgram(steps=programs)


def _mentions(names: Names) -> frozenset[str]:
    """The names in code and in the texts of it that are read as code."""
    return names.mentions | names.in_text


class _Analysis:
    """The analysis of one Python notebook's steps."""

    def __init__(
        self, tagged: TaggedNotebook, steps: Sequence[Step], *, by_dataflow: bool, brought: Brought
    ) -> None:
        self.tagged = tagged
        self.brought = brought
        self.notebook = tagged.notebook
        self.steps = {step.name: step for step in steps}
        self.prelude = prelude_statements(tagged)
        self.made_by_prelude = frozenset().union(*(statement.binds for statement in self.prelude))
        self.preludes: dict[tuple[frozenset[str], bool], _Prelude] = {}
        declared = notebook_parameters(tagged)
        self.parameter_statements = [s for s in declared.statements if not s.literals]
        self.parameter_code = names_of(
            [parse_cell(statement.text) for statement in self.parameter_statements]
        )
        in_parameters_cells = names_of(
            [self._parsed(number) for number in tagged.blocks.parameters]
        )
        self.in_parameters = _mentions(in_parameters_cells) & self.made_by_prelude
        self.parameter_names = in_parameters_cells.binds | {
            parameter.name for parameter in declared.parameters
        }
        self.settled = frozenset(
            p.name for p in declared.parameters if isinstance(p.default, _SETTLED)
        )
        made = self.parameter_names.union(*(s.binds for s in self.prelude if s.kind != "import"))
        self.by_reference = tuple(sorted(made))
        in_parameters = [(number, self._parsed(number)) for number in tagged.blocks.parameters]
        self.fresh = fresh_names([*in_parameters, *((s.cell, s.code) for s in self.prelude)])
        # code in a parameters cell may use what imports cells import: then those run first
        self.imports_first = bool(in_parameters_cells.needs & self.made_by_prelude)
        self.own = {step.name: [self._parsed(number) for number in step.cells] for step in steps}
        declared_edges = (
            self._declared_edges() if self.tagged.declares_edges or not by_dataflow else {}
        )
        self.inside = self._edges(declared_edges) if by_dataflow else declared_edges
        try:
            self.order = topological(self.inside)
        except Cycle as cycle:
            raise UsageError(
                f"the steps form a cycle: {cycle}", where=self.notebook.where(self.notebook.cell(1))
            ) from cycle
        self.beyond: Mapping[str, tuple[str, ...]] = {}
        self.handed = self._handed_down()
        self.metrics = self._metrics()

    def result(self) -> GroupProgram:
        return self.programs(
            flow(
                self.codes(),
                self.parameter_names,
                self.prelude,
                settled=self.settled,
                brought=self.brought,
                fresh=self.fresh,
            )
        )

    def join(self, handed: frozenset[str], after: Mapping[str, tuple[str, ...]]) -> None:
        """Become a part of a composition, with parameters `handed` down and steps that also come
        `after` others'.
        """
        self.parameter_names |= handed
        self.beyond = {
            name: tuple(one for one in before if one not in self.steps)
            for name, before in after.items()
        }

    def codes(self) -> list[StepCode]:
        """The steps' code in an order in which they may run."""
        return [self._code(name) for name in self.order]

    @property
    def given(self) -> frozenset[str]:
        """The names that all of the notebook's steps have before any value comes."""
        return self.parameter_names | self.made_by_prelude

    def programs(self, flowing: Flow, elsewhere: frozenset[str] = frozenset()) -> GroupProgram:
        """The steps' programs; `flowing` may have steps of other notebooks, too, which alone are
        given `elsewhere`.
        """
        self._refuse_undefined(flowing)
        lost = () if self.tagged.whole else tuple(self._lost_history())
        flowed = {step.name: step for step in flowing.steps if step.name in self.steps}
        self._refuse_others_names(flowed.values(), elsewhere)
        used = named(
            self.prelude,
            self.in_parameters.union(*(_mentions(one.names) for one in flowed.values())),
        )
        return GroupProgram(
            steps={
                name: self._program(flowed[name], self.metrics[name], used) for name in self.steps
            },
            definitions=self._definitions(flowing),
            warnings=(
                *flowing.warnings,
                *flowing.apart,
                *(
                    self._warning(found)
                    for found in self._undefined(flowing)
                    if found.severity == "warning"
                ),
                *lost,
            ),
        )

    def _definitions(self, flowing: Flow) -> tuple[Definition, ...]:
        """What values may refer to; nothing where none passes, or there is no class or function to
        refer to.
        """
        if not self.by_reference or not any(step.takes for step in flowing.steps):
            return ()
        return definitions(self.prelude, self.parameter_names)

    def _program(
        self, flowed: StepFlow, parts: Sequence[MetricsPart], used: frozenset[str]
    ) -> StepProgram:
        name = flowed.name
        complete = bool(flowed.names.any_name) or any(
            finds_definitions(cell.source) for cell in self._cells(name)
        )
        wanted = (
            _mentions(flowed.names).union(give.name for give in flowed.gives) & self.made_by_prelude
        )
        prelude = self._prelude(wanted, used, complete=complete)
        any_name = prelude.any_name or bool(flowed.names.any_name)
        self._refuse_two_meanings(name, prelude.kept)
        handed = self.handed.get(name, ())
        cells = self._ordered_cells(name, parts, (*prelude.cells, *imports_handed_down(handed)))
        mentions = _mentions(flowed.names) | prelude.mentions
        own = dict(zip(self.steps[name].cells, self.own[name], strict=True))
        return StepProgram(
            inside=(*self.inside[name], *self.beyond.get(name, ())),
            cells=cells,
            named_params=tuple(
                sorted(self.parameter_names if any_name else self.parameter_names & mentions)
            ),
            parts=(*prelude.parts, *map(handed_part, handed), *cell_parts(cells, own)),
            takes=tuple(Take(name=take.name, givers=take.givers) for take in flowed.takes),
            gives=tuple(give.name for give in flowed.gives if not give.optional),
            optional_gives=tuple(give.name for give in flowed.gives if give.optional),
            defined_by_reference=tuple(one for one in self.by_reference if one not in flowed.makes),
            probes=tuple(probe for part in parts for probe in part.probes),
        )

    def _prelude(self, wanted: frozenset[str], used: frozenset[str], *, complete: bool) -> _Prelude:
        """The parameters, imports and functions of every step that mentions these of their names.

        `complete`: such a step may come upon definitions that it does not mention.
        """
        found = self.preludes.get((wanted, complete))
        if found is None:
            everything = wanted | self.in_parameters
            kept = reach(self.prelude, everything, used, complete=complete)
            if not complete and any(finds_definitions(statement.text) for statement in kept):
                kept = reach(self.prelude, everything, used, complete=True)
            self._refuse_early(kept)
            found = self.preludes[wanted, complete] = _Prelude(
                cells=(
                    *(
                        _planned(self.tagged, number, "parameters")
                        for number in self.tagged.blocks.parameters
                    ),
                    *prelude_cells(
                        self.tagged, self.prelude, self.prelude if self.tagged.whole else kept
                    ),
                ),
                parts=(*self._parameter_code_parts(), *map(statement_part, kept)),
                mentions=_mentions(self.parameter_code).union(*(s.mentions for s in kept)),
                any_name=bool(self.parameter_code.any_name) or any(s.names.any_name for s in kept),
                kept=kept,
            )
        return found

    def _ordered_cells(
        self, name: str, parts: Sequence[MetricsPart], prelude: tuple[PlannedCell, ...]
    ) -> tuple[PlannedCell, ...]:
        own = [
            *prelude,
            *(_planned(self.tagged, number, "step") for number in self.steps[name].cells),
            *(part.cell for part in parts),
        ]
        if self.tagged.whole:
            return tuple(sorted(own, key=lambda cell: cell.number or 0))
        return ordered(own, imports_first=self.imports_first)

    def _parameter_code_parts(self) -> list[Part]:
        """Code in the parameters cells runs in every step; the literals count by their values."""
        return [
            Part(
                kind="statement",
                label=f"a line of cell {s.cell}",
                digest=digest_of(shape_of(parse_cell(s.text).tree)),
            )
            for s in self.parameter_statements
        ]

    def _parsed(self, number: int) -> ParsedCell:
        cell = self.notebook.cell(number)
        may_fail = "raises-exception" in cell.tags
        return parse_cell(
            cell.source, may_fail=may_fail, where=self.notebook.where(cell), stars=self.tagged.stars
        )

    def _declared_edges(self) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(other for other in step.after if other in self.steps)
            for name, step in self.steps.items()
        }

    def _edges(self, declared: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """The order from the variables, and as declared."""
        codes = [StepCode(name=name, cells=tuple(cells)) for name, cells in self.own.items()]
        edges = {name: list(declared.get(name, ())) for name in self.steps}
        for earlier, later in self._edges_of_variables(codes):
            edges[later].append(earlier)
        return {name: tuple(dict.fromkeys(others)) for name, others in edges.items()}

    def _edges_of_variables(self, codes: Sequence[StepCode]) -> tuple[tuple[str, str], ...]:
        return order_from_flow(
            codes, self.parameter_names, self.prelude, settled=self.settled, fresh=self.fresh
        )

    def _handed_down(self) -> dict[str, tuple[Statement, ...]]:
        own = {
            name: list(zip(step.cells, self.own[name], strict=True))
            for name, step in self.steps.items()
        }
        return handed_down(own, self.inside, self.order)

    def _code(self, name: str) -> StepCode:
        return StepCode(
            name=name,
            after=(*self.inside[name], *self.beyond.get(name, ())),
            cells=tuple(self._cells(name)),
            notebook=self.notebook.path,
            own=self.made_by_prelude if self.beyond else frozenset(),
            future_annotations=has_future_annotations(self.handed.get(name, ())),
        )

    def _metrics(self) -> dict[str, list[MetricsPart]]:
        """For each step the metrics cells, or parts of them, that end it."""
        found: dict[str, list[MetricsPart]] = {name: [] for name in self.steps}
        if not self.tagged.blocks.metrics:
            return found
        given = self.parameter_names | self.made_by_prelude
        asked = (
            names_of([self._parsed(number) for number in self.tagged.blocks.metrics]).mentions
            - given
        )
        mentions = {name: names_of(cells).mentions & asked for name, cells in self.own.items()}
        seen: dict[str, frozenset[str]] = {}
        for name in self.order:
            seen[name] = mentions[name].union(*(seen[before] for before in self.inside[name]))
        steps = [(name, mentions[name]) for name in self.order]
        for part in assign(self.notebook, self.tagged.blocks.metrics, steps, seen, given):
            found[part.step].append(part)
        return found

    def _cells(self, name: str) -> list[ParsedCell]:
        return [*self.own[name], *(parse_cell(part.cell.source) for part in self.metrics[name])]

    def _refuse_undefined(self, flowing: Flow) -> None:
        errors = [found for found in self._undefined(flowing) if found.severity == "error"]
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

    def _lost_history(self) -> Iterator[str]:
        """What to warn of; UsageError for a last value that a step surely has not."""
        for name, cells in self.own.items():
            for lost in lost_history(cells, self.given):
                cell = self.notebook.cell(self.steps[name].cells[lost.cell])
                where = self.notebook.where(cell, line=lost.line)
                if lost.surely:
                    raise UsageError(f"in step {name}, {lost.message}", hint=lost.hint, where=where)
                yield f"{where}: {lost.message}: {lost.hint}"

    def _undefined(self, flowing: Flow) -> list[Undefined]:
        return [found for found in flowing.undefined if found.step in self.steps]

    def _refuse_others_names(self, flowed: Iterable[StepFlow], elsewhere: frozenset[str]) -> None:
        """Refuse names that only another notebook's parameters, imports or functions cells make."""
        for step in flowed:
            found = (step.names.surely_needs & elsewhere) - {take.name for take in step.takes}
            for name in sorted(found):
                position = step.names.first_use[name]
                number = self._numbers(step.name)[position.cell]
                raise UsageError(
                    f"`{name}` is used by step {step.name}, and only another notebook's imports, functions or "
                    "parameters cells define it",
                    hint="these hold in their own notebook: define it here, too",
                    where=self.notebook.where(self.notebook.cell(number), line=position.line),
                )

    def _warning(self, found: Undefined) -> str:
        reason = f" ({found.reason})" if found.reason else ""
        return f"{self._place(found)}: {found.message}{reason}"

    def _refuse_early(self, kept: Sequence[Statement]) -> None:
        """Refuse imports and functions cells that surely use a name while they run which only a
        step's cells bind.
        """
        if self.tagged.whole:
            return
        names = names_of([statement.code for statement in kept])
        given = (
            self.parameter_names
            | self.brought.surely
            | self.brought.perhaps.keys()
            | BROUGHT_BY_SOME_KERNELS.keys()
        )
        missing = [name for name in names.first_use if name in names.surely_needs - given]
        if not missing or names.uncertain:
            return
        name, position = missing[0], names.first_use[missing[0]]
        cell = self.notebook.cell(kept[position.cell].cell)
        makers = [step for step in self.order if name in names_of(self.own[step]).binds]
        made = f"step {makers[0]} makes it" if makers else "nothing defines it"
        raise UsageError(
            f"`{name}` is used while this cell runs, which is before every step's own cells, and {made}",
            hint=f"define `{name}` in an imports or functions cell, or tag this cell as one of the step's",
            where=self.notebook.where(cell, line=position.line),
        )

    def _refuse_two_meanings(self, name: str, kept: Sequence[Statement]) -> None:
        """Refuse a name that cells of all steps define twice, with a step's cell that uses it
        between them.
        """
        if self.tagged.whole:
            return
        bound: dict[str, list[Statement]] = {}
        for statement in kept:
            for one in statement.binds if statement.kind != "import" else ():
                bound.setdefault(one, []).append(statement)
        for one, statements in bound.items():
            first, last = statements[0], statements[-1]
            between = [n for n in self.steps[name].cells if first.cell < n < last.cell]
            if between and digest_of(shape_of(first.code.tree)) != digest_of(
                shape_of(last.code.tree)
            ):
                raise UsageError(
                    f"`{one}` is defined in cell {first.cell} and again here, and step {name}, whose cell {between[0]} "
                    "stands between them, would see the second",
                    hint=f"give the two different names, or define `{one}` again in the step that wants it",
                    where=self.notebook.where(self.notebook.cell(last.cell), line=last.line),
                )

    def _number(self, found: Undefined) -> int:
        return self._numbers(found.step)[found.cell]

    def _numbers(self, step: str) -> list[int]:
        return [*self.steps[step].cells, *(part.cell.number or 1 for part in self.metrics[step])]

    def _place(self, found: Undefined) -> str:
        return str(self.notebook.where(self.notebook.cell(self._number(found)), line=found.line))
