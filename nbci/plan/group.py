"""The programs of steps between which values pass: those of a notebook, or of a composition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.dataflow.flow import flow
from nbci.dataflow.origin import NOTHING_BROUGHT, Brought
from nbci.graph import topological
from nbci.pipeline.compose import notebook_parameters
from nbci.plan.model import PlannedCell, Take
from nbci.plan.parts import text_parts
from nbci.plan.program import GroupProgram, StepProgram, planned_cell
from nbci.plan.python_notebook import PythonNotebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.dataflow.prelude import Statement
    from nbci.dataflow.step_code import StepCode
    from nbci.pipeline.model import Step, TaggedNotebook
    from nbci.plan.model import CellRole


def analyse(
    tagged: TaggedNotebook,
    steps: Sequence[Step],
    *,
    by_dataflow: bool,
    brought: Brought = NOTHING_BROUGHT,
) -> GroupProgram:
    """Programs of the steps that one notebook expanded into.

    `brought` are names that kernels bring. UsageError for names that surely nobody defines.
    """
    if tagged.notebook.language != "python":
        return _analyse_other_language(tagged, steps)
    return PythonNotebook(tagged, steps, by_dataflow=by_dataflow, brought=brought).result()


def analyse_composition(
    notebooks: Mapping[str, TaggedNotebook],
    steps: Sequence[Step],
    *,
    brought: Brought = NOTHING_BROUGHT,
) -> list[GroupProgram]:
    """Programs of the steps of composed notebooks: values pass between them, imports do not."""
    steps_of: dict[str, list[Step]] = {}
    for step in steps:
        steps_of.setdefault(step.notebook, []).append(step)

    root = notebooks[steps[0].composition]
    inherited = frozenset(_parameter_names(root))
    analyses: list[PythonNotebook] = []
    programs: list[GroupProgram] = []
    for path, own in steps_of.items():
        if notebooks[path].notebook.language != "python":
            programs.append(_analyse_other_language(notebooks[path], own))
            continue
        analysis = PythonNotebook(notebooks[path], own, by_dataflow=False, brought=brought)
        analysis.join(inherited, {step.name: step.after for step in own})
        analyses.append(analysis)

    # One flow over all of them: a value may come from a step of any notebook.
    codes: list[StepCode] = []
    prelude: list[Statement] = []
    fresh: dict[str, str] = {}
    params: frozenset[str] = frozenset()
    every_name: frozenset[str] = frozenset()
    for analysis in analyses:
        codes += analysis.codes()
        prelude += analysis.prelude
        fresh |= analysis.fresh
        params |= analysis.parameter_names
        every_name |= analysis.given
    flowing = flow(codes, params, prelude, brought=brought, fresh=fresh)
    for analysis in analyses:
        programs.append(analysis.programs(flowing, every_name - analysis.given))
    return programs


def _parameter_names(tagged: TaggedNotebook) -> tuple[str, ...]:
    return tuple(parameter.name for parameter in notebook_parameters(tagged).parameters)


def _analyse_other_language(tagged: TaggedNotebook, steps: Sequence[Step]) -> GroupProgram:
    """Steps in a language that nbci does not parse.

    All imports and functions cells run in each, no values pass, metrics cells end the last.
    """
    names = [step.name for step in steps]
    inside: dict[str, tuple[str, ...]] = {}
    for step in steps:
        inside[step.name] = tuple(name for name in step.after if name in names)
    last = topological(inside)[-1]

    params = _parameter_names(tagged)
    programs = {}
    for step in steps:
        metrics: tuple[int, ...] = ()
        if step.name == last:
            metrics = tagged.blocks.metrics
        cells = _all_cells(tagged, step, metrics)
        programs[step.name] = StepProgram(
            inside=inside[step.name],
            cells=cells,
            parts=tuple(text_parts(cells)),
            # Its code is not read, so it may use any of them.
            named_params=params,
        )
    return GroupProgram(steps=programs)


def _all_cells(
    tagged: TaggedNotebook, step: Step, metrics: Sequence[int]
) -> tuple[PlannedCell, ...]:
    """The cells of all steps around the step's own, none left out."""
    cells: list[PlannedCell] = []

    def add(role: CellRole, numbers: Iterable[int]) -> None:
        for number in numbers:
            cells.append(planned_cell(role, number, tagged.notebook.cell(number).source))

    add("parameters", tagged.blocks.parameters)
    add("imports", tagged.blocks.imports)
    add("functions", tagged.blocks.functions)
    add("step", step.cells)
    add("metrics", metrics)
    # A notebook without step tags runs in its own order.
    if tagged.whole:
        cells.sort(key=lambda cell: cell.number or 0)
    return tuple(cells)


def rename_steps(group: GroupProgram, first: Sequence[Step], steps: Sequence[Step]) -> GroupProgram:
    """The programs of `steps` from the `group` of `first`, which are alike but for their names.

    Both are steps of one notebook, as the combinations of a matrix have them. Definitions and
    warnings stay with the first.
    """
    names = {one.name: other.name for one, other in zip(first, steps, strict=True)}
    programs = {}
    for old, new in names.items():
        program = group.steps[old]
        takes = []
        for take in program.takes:
            givers = tuple(names[giver] for giver in take.givers)
            takes.append(Take(name=take.name, givers=givers))
        inside = tuple(names[name] for name in program.inside)
        programs[new] = replace(program, inside=inside, takes=tuple(takes))
    return GroupProgram(steps=programs)
