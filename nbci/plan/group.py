"""The programs of steps between which values pass: those of a notebook, or of a composition."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.dataflow.flow import flow
from nbci.dataflow.origin import NOTHING_BROUGHT, Brought
from nbci.graph import edges_of, edges_within, topological
from nbci.pipeline.notebook_parameters import notebook_parameters
from nbci.plan.model import PlannedCell, Take
from nbci.plan.parts import text_parts
from nbci.plan.program import GroupProgram, StepProgram, number_of, planned_cells
from nbci.plan.python_notebook import PythonNotebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.dataflow.prelude import Statement
    from nbci.dataflow.step_code import StepCode
    from nbci.pipeline.model import Pipeline, Step, TaggedNotebook


def analyse_groups(pipeline: Pipeline, brought: Brought) -> Iterator[GroupProgram]:
    """The programs of all steps.

    A notebook that many nodes or combinations run is analysed once: a matrix of 1,000 combinations
    would otherwise parse the same cells 1,000 times.
    """
    known: dict[Any, tuple[list[Step], GroupProgram]] = {}
    for steps in _groups(pipeline.steps):
        if steps[0].composition:
            yield from analyse_composition(pipeline.notebooks, steps, brought=brought)
            continue

        shape = _shape(steps)
        if shape in known:
            first, program = known[shape]
            yield _rename_steps(program, first, steps)
            continue

        notebook = pipeline.notebooks[steps[0].notebook]
        by_dataflow = pipeline.order == "dataflow"
        program = analyse(notebook, steps, by_dataflow=by_dataflow, brought=brought)
        known[shape] = steps, program
        yield program


def _groups(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps between which values pass: of one notebook, or of one composition of notebooks."""
    groups: dict[tuple[str, str, str], list[Step]] = {}
    for step in steps:
        matrix = ""
        if step.matrix:
            matrix = json.dumps(step.matrix, sort_keys=True, default=str)
        key = (step.node, step.composition or step.notebook, matrix)
        groups.setdefault(key, []).append(step)
    return list(groups.values())


def _shape(steps: Sequence[Step]) -> tuple[Any, ...]:
    """The notebook with the cells and edges of its steps: all that the analysis depends on."""
    # By position, since the names of steps have their combination in them.
    position: dict[str, int] = {}
    for step in steps:
        position[step.name] = len(position)
    inside = edges_within(steps)
    shapes = []
    for step in steps:
        before = map(position.__getitem__, inside[step.name])
        shapes.append((step.cells, *before))
    return steps[0].notebook, tuple(shapes)


def _rename_steps(
    group: GroupProgram, first: Sequence[Step], steps: Sequence[Step]
) -> GroupProgram:
    """The programs of `steps` from the `group` of `first`, which are alike but for their names.

    Both are steps of one notebook, as the combinations of a matrix have them. Definitions and
    warnings stay with the first.
    """
    names: dict[str, str] = {}
    for one, other in zip(first, steps, strict=True):
        names[one.name] = other.name

    renamed = names.__getitem__
    programs = {}
    for old, new in names.items():
        program = group.steps[old]
        takes = []
        for take in program.takes:
            takes.append(Take(name=take.name, givers=tuple(map(renamed, take.givers))))
        inside = tuple(map(renamed, program.inside))
        programs[new] = replace(program, inside=inside, takes=tuple(takes))
    return GroupProgram(steps=programs)


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

    # As in Kale, what the referring notebook declares holds in the notebooks it refers to.
    root = notebooks[steps[0].composition]
    inherited = frozenset(notebook_parameters(root).names)
    analyses: list[PythonNotebook] = []
    programs: list[GroupProgram] = []
    for path, own in steps_of.items():
        if notebooks[path].notebook.language != "python":
            programs.append(_analyse_other_language(notebooks[path], own))
            continue
        analysis = PythonNotebook(notebooks[path], own, by_dataflow=False, brought=brought)
        analysis.join(inherited, edges_of(own))
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


def _analyse_other_language(tagged: TaggedNotebook, steps: Sequence[Step]) -> GroupProgram:
    """Steps in a language that nbci does not parse.

    All imports and functions cells run in each, no values pass, metrics cells end the last.
    """
    inside = edges_within(steps)
    last = topological(inside)[-1]
    params = notebook_parameters(tagged).names
    programs = {}
    for step in steps:
        metrics: tuple[int, ...] = ()
        # Which step has the names that they print is not known, but a notebook ends with them.
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
    notebook = tagged.notebook
    cells = [
        *planned_cells(notebook, "parameters", tagged.blocks.parameters),
        *planned_cells(notebook, "imports", tagged.blocks.imports),
        *planned_cells(notebook, "functions", tagged.blocks.functions),
        *planned_cells(notebook, "step", step.cells),
        *planned_cells(notebook, "metrics", metrics),
    ]
    # A notebook without step tags runs in its own order.
    if tagged.whole:
        cells.sort(key=number_of)
    return tuple(cells)
