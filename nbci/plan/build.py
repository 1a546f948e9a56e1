"""A pipeline with its parameters bound becomes a plan."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

import nbci
from nbci.dataflow.origin import NOTHING_BROUGHT, Brought
from nbci.errors import Location, UsageError
from nbci.formatting.numbers import listed
from nbci.graph import Cycle, reachable, topological
from nbci.notebook.read import native_kernel
from nbci.pipeline.compose import notebook_parameters, step_declared
from nbci.pipeline.expressions import MetricTemplate
from nbci.pipeline.gates_document import check_known
from nbci.pipeline.model import Step
from nbci.pipeline.paths import check_out, overlap
from nbci.pipeline.resolve import is_wanted, resolve, step_parameters
from nbci.plan.group import analyse, analyse_composition, rename_steps
from nbci.plan.left_out import left_out
from nbci.plan.model import Plan, PlannedStep
from nbci.plan.parts import setting_parts
from nbci.records.run_record import ParameterValue, Part

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from nbci.params import BoundParameter, Declared, Parameter
    from nbci.pipeline.model import Pipeline, TaggedNotebook
    from nbci.plan.model import Definition
    from nbci.plan.program import GroupProgram, StepProgram

_TEMPLATE = "${}"

# file systems allow 255 bytes a name; what nbci appends to it (attempts, suffixes) needs room, too
_LONGEST_STEP_NAME = 200

# What a step and its plan have in common under one name is copied as it is. The two types stay
# apart, since a base class would move these keys to the front of every plan.json.
COPIED_SETTINGS = tuple(
    name for name in PlannedStep.__struct_fields__ if name in Step.__struct_fields__
)


class _Request(Struct, frozen=True, kw_only=True):
    """What every step's plan is made from: the pipeline, its parameters, the kernel asked for."""

    resolved: Pipeline
    composed_steps: Mapping[str, Step]
    resolved_steps: Mapping[str, Step]
    bound: Sequence[BoundParameter]
    declared: Mapping[str, Declared]
    kernel: str | None


def build_plan(
    pipeline: Pipeline,
    bound: Sequence[BoundParameter],
    *,
    sources: Mapping[str, str],
    kernel: str | None = None,
    brought: Brought = NOTHING_BROUGHT,
) -> Plan:
    """Plan the pipeline with these parameters.

    `sources` are digests of the files that the pipeline came from, `kernel` one for all its steps,
    `brought` names that kernels bring.
    """
    resolved = resolve(pipeline, bound)
    # Edges first, since values pass along them; then what each step is made of.
    groups = list(_analyse_groups(resolved, brought.also(pipeline.names)))
    after = _edges(resolved, groups)
    request = _request(pipeline, resolved, bound, kernel)
    steps = _planned_steps(request, groups, after)
    for step in steps.values():
        _check_names(step, sources)
    steps = _with_repetitions(steps, groups)
    params = [ParameterValue(name=p.name, value=p.value, source=p.source) for p in bound]

    return Plan(
        pipeline=resolved.name,
        target=resolved.target,
        steps=tuple(_with_skips(steps, _unwanted(resolved, bound))),
        params=tuple(params),
        sources=sources,
        nbci=nbci.__version__,
        keep_going=resolved.keep_going,
        shell_errors=resolved.shell_errors,
        run_timeout_seconds=resolved.run_timeout_seconds,
        metrics=resolved.metrics,
        gates=resolved.gates,
        models=resolved.models,
        triggers=resolved.triggers,
        definitions=_definitions(resolved, groups) or None,
        left_out=tuple(left_out(resolved.notebooks, steps.values())),
        # The order in which people meet them: cells, then gates, then settings.
        warnings=(
            *_warnings(resolved, groups),
            *_gate_warnings(resolved, steps),
            *_ignored_settings(steps.values()),
        ),
    )


def _request(
    pipeline: Pipeline, resolved: Pipeline, bound: Sequence[BoundParameter], kernel: str | None
) -> _Request:
    declared = {}
    for path, tagged in resolved.notebooks.items():
        declared[path] = notebook_parameters(tagged)
    return _Request(
        resolved=resolved,
        composed_steps=_by_name(pipeline.steps),
        resolved_steps=_by_name(resolved.steps),
        bound=bound,
        declared=declared,
        kernel=kernel,
    )


def _by_name(steps: Iterable[Step]) -> dict[str, Step]:
    return {step.name: step for step in steps}


def _planned_steps(
    request: _Request, groups: Sequence[GroupProgram], after: Mapping[str, tuple[str, ...]]
) -> dict[str, PlannedStep]:
    """The plan of each step by its name, in an order in which they can run."""
    programs: dict[str, StepProgram] = {}
    for group in groups:
        programs.update(group.steps)

    planned = {}
    for name in _execution_order(request.resolved, after):
        planned[name] = _planned_step(request, name, programs[name], after[name])
    return planned


def _unwanted(pipeline: Pipeline, bound: Sequence[BoundParameter]) -> dict[str, str | None]:
    """The steps that their own `when` rules out, with it."""
    return {step.name: step.when for step in pipeline.steps if not is_wanted(step, bound)}


def _definitions(
    pipeline: Pipeline, groups: Sequence[GroupProgram]
) -> dict[str, tuple[Definition, ...]]:
    """What values of each notebook may refer to, by the notebook's path."""
    steps = _by_name(pipeline.steps)
    by_notebook = {}
    for group in groups:
        # Nothing for a notebook without any: on agents every step reads the whole plan.
        if group.definitions:
            first_step = next(iter(group.steps))
            by_notebook[steps[first_step].notebook] = group.definitions
    return by_notebook


def _check_names(step: PlannedStep, sources: Mapping[str, str]) -> None:
    """UsageError for a name that no folder can have, and for an out that is a source."""
    # Each part of a name with slashes is a folder.
    longest_part = max(step.name.split("/"), key=len)
    if len(longest_part) > _LONGEST_STEP_NAME:
        raise UsageError(
            f"the name of step {step.name[:40]}... has {len(step.name)} characters",
            hint=f"a folder is named after it: use at most {_LONGEST_STEP_NAME}",
            where=Location(step.notebook),
        )
    for path in (*step.outs, *step.metrics):
        check_out(path, step.name, sources, Location(step.notebook))


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


def _analyse_groups(pipeline: Pipeline, brought: Brought) -> Iterator[GroupProgram]:
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
            yield rename_steps(program, first, steps)
            continue

        notebook = pipeline.notebooks[steps[0].notebook]
        by_dataflow = pipeline.order == "dataflow"
        program = analyse(notebook, steps, by_dataflow=by_dataflow, brought=brought)
        known[shape] = steps, program
        yield program


def _shape(steps: Sequence[Step]) -> tuple[Any, ...]:
    """The notebook with the cells and edges of its steps: all that the analysis depends on."""
    # By position, since the names of steps have their combination in them.
    position = {step.name: at for at, step in enumerate(steps)}
    shapes = []
    for step in steps:
        before = [position[other] for other in step.after if other in position]
        shapes.append((step.cells, *before))
    return steps[0].notebook, tuple(shapes)


def _edges(pipeline: Pipeline, groups: Sequence[GroupProgram]) -> dict[str, tuple[str, ...]]:
    """What each step comes after: as declared, as variables ask, and who writes what it reads."""
    writers = _Writers(pipeline.steps)
    group_of: dict[str, GroupProgram] = {}
    for group in groups:
        group_of.update(dict.fromkeys(group.steps, group))

    edges: dict[str, tuple[str, ...]] = {}
    for step in pipeline.steps:
        after = step.after
        # Within a notebook the analysis decides; edges to other notebooks stay as declared.
        if pipeline.order == "dataflow":
            programs = group_of[step.name].steps
            outside = [name for name in after if name not in programs]
            after = (*outside, *programs[step.name].inside)

        before = dict.fromkeys((*after, *writers.of(step.deps)))
        # A step that reads what it writes itself does not wait for itself.
        before.pop(step.name, None)
        edges[step.name] = tuple(before)
    return edges


class _Writers:
    """The steps that write files, by path and by the folders that these lie in."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._by_path: dict[str, str] = {}
        for step in steps:
            for out in (*step.outs, *step.metrics):
                self._by_path[out] = step.name

        self._below: dict[str, list[str]] = {}
        for out, writer in self._by_path.items():
            for folder in _with_folders(out)[1:]:
                self._below.setdefault(folder, []).append(writer)

    def of(self, paths: Sequence[str]) -> Iterator[str]:
        """First who writes the paths or folders around them, then who writes files in them."""
        for path in paths:
            for place in _with_folders(path):
                if place in self._by_path:
                    yield self._by_path[place]
        for path in paths:
            yield from self._below.get(path, ())


def _with_folders(path: str) -> list[str]:
    """The path and the folders that it lies in."""
    places = [path]
    while path := posixpath.dirname(path):
        places.append(path)
    return places


def _execution_order(pipeline: Pipeline, after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return topological(after)
    except Cycle as cycle:
        raise UsageError(
            f"the steps form a cycle: {cycle}",
            hint="take one of these edges away; "
            "a step also comes after the one that writes what it reads",
            where=Location(pipeline.target),
        ) from cycle


def _planned_step(
    request: _Request, name: str, program: StepProgram, after: tuple[str, ...]
) -> PlannedStep:
    step = request.resolved_steps[name]
    tagged = request.resolved.notebooks[step.notebook]
    settings = {key: getattr(step, key) for key in COPIED_SETTINGS}
    settings |= _parameter_settings(request, step)
    settings |= {
        "after": after,
        "cells": program.cells,
        "env": step.env or None,
        "cwd": _working_folder(step),
    }
    planned = PlannedStep(
        **settings,
        kernel=_kernel_name(request, tagged),
        language=tagged.notebook.language,
        takes=program.takes,
        gives=program.gives,
        optional_gives=program.optional_gives,
        defined_by_reference=program.defined_by_reference,
        probes=program.probes,
        gpu=step.wants_gpu,
    )
    return replace(planned, parts=(*program.parts, *setting_parts(planned, program.named_params)))


def _kernel_name(request: _Request, tagged: TaggedNotebook) -> str:
    return native_kernel(request.kernel) or tagged.notebook.kernel_name or "python3"


def _working_folder(step: Step) -> str:
    """The folder that the step's cells run in, relative to the project's root."""
    if step.folder:
        return step.folder
    if step.cwd == "project":
        return "."
    return posixpath.dirname(step.notebook) or "."


def _parameter_settings(request: _Request, step: Step) -> dict[str, Any]:
    """The step's parameters: values, where these come from, types, and which are overridden."""
    declared = request.declared[step.notebook]
    known = declared
    if step.composition:
        # a composition hands parameters of the notebook that refers to others down to them
        known = step_declared(step, request.resolved.notebooks)
    composed_step = request.composed_steps[step.name]
    params = step_parameters(request.resolved, composed_step, request.bound, known)

    types: dict[str, str] = {}
    defaults: dict[str, Any] = {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    overrides: list[str] = []
    for parameter in declared.parameters:
        defaults[parameter.name] = parameter.default
    for bound in params:
        values[bound.name] = _storable(bound.value)
        sources[bound.name] = bound.source
        if _is_override(bound, defaults, composed=bool(step.composition)):
            overrides.append(bound.name)
    for parameter in declared.parameters:
        if _is_typed(parameter, values):
            types[parameter.name] = parameter.type.annotation
    return {
        "params": values or None,
        "param_sources": sources or None,
        "param_types": types or None,
        "overrides": tuple(overrides),
    }


def _is_override(parameter: BoundParameter, defaults: Mapping[str, Any], *, composed: bool) -> bool:
    """Whether a value other than the literal of the notebook itself holds."""
    if composed and parameter.name not in defaults:
        return True
    if not composed and not parameter.overridden:
        return False
    return not _is_same(parameter.value, defaults.get(parameter.name))


def _is_typed(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Whether the parameter waits for a metric that has to become what it is declared as."""
    value = values.get(parameter.name)
    if restored(value) == value:
        return False
    return parameter.type.kind != "any" or bool(parameter.type.choices)


def _is_same(value: Any, default: Any) -> bool:
    """Whether no cell can tell the one from the other: nor by an order, nor by 1 for True."""
    return type(value) is type(default) and repr(value) == repr(default)


def _storable(value: Any) -> Any:
    """The value as JSON can hold it; a template that waits for a metric is marked as one."""
    if isinstance(value, MetricTemplate):
        return {_TEMPLATE: value.text}
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_storable(item) for item in value)
    return value


def restored(value: Any) -> Any:
    """The value as it was before the plan was stored: templates are templates again."""
    if isinstance(value, dict):
        if list(value) == [_TEMPLATE]:
            return MetricTemplate(text=value[_TEMPLATE])
        return {key: restored(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(restored(item) for item in value)
    return value


def _with_repetitions(
    planned: Mapping[str, PlannedStep], groups: Sequence[GroupProgram]
) -> dict[str, PlannedStep]:
    """Number the steps that otherwise would have the same key.

    The second runs in a state that the first has left, which may show in nothing that counts, such
    as random numbers without a seed: what the first came to is not what the second gives.
    Combinations of a matrix, and other notebooks of which none comes after the other, share what
    they have in common.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, step in planned.items():
        key = tuple(part.digest or part.label for part in step.parts)
        alike.setdefault(key, []).append(name)

    group_of: dict[str, int] = {}
    for number, group in enumerate(groups):
        group_of.update(dict.fromkeys(group.steps, number))

    numbered = dict(planned)
    edges = {name: step.after for name, step in planned.items()}
    for names in alike.values():
        for at, name in enumerate(names[1:], start=1):
            before = reachable([name], edges)
            times = 1
            for other in names[:at]:
                if other in before or group_of[other] == group_of[name]:
                    times += 1
            if times > 1:
                again = Part(kind="repetition", label=str(times), digest="")
                numbered[name] = replace(planned[name], parts=(*planned[name].parts, again))
    return numbered


def _with_skips(
    planned: Mapping[str, PlannedStep], unwanted: Mapping[str, str | None]
) -> Iterator[PlannedStep]:
    """Skip what `when` rules out, and what needs values or files of a skipped step."""
    reasons: dict[str, str] = {}
    for name, step in planned.items():
        if name in unwanted:
            reason: str | None = f"its condition `{unwanted[name]}` does not hold"
        else:
            reason = _lost_value(step, reasons) or _lost_file(step, planned, reasons)

        if reason is None:
            yield step
        else:
            reasons[name] = reason
            yield replace(step, action="skip", reason=reason)


def _lost_value(step: PlannedStep, skipped: Mapping[str, str]) -> str | None:
    """Why the step cannot run: every giver of a value is skipped; None where it can."""
    for take in step.takes:
        # At a join, one giver that runs is enough.
        if take.givers and skipped.keys() >= set(take.givers):
            return f"it needs `{take.name}` of step {take.givers[0]}, which is skipped"
    return None


def _lost_file(
    step: PlannedStep, planned: Mapping[str, PlannedStep], skipped: Collection[str]
) -> str | None:
    """Why the step cannot run: a file that a skipped step writes; None where there is none."""
    reason = None
    for name in step.after:
        if name not in skipped:
            continue
        writer = planned[name]
        for out in (*writer.outs, *writer.metrics):
            if any(overlap(dep, out) for dep in step.deps):
                reason = f"it needs {out} of step {name}, which is skipped"
                break
    return reason


def _gate_warnings(pipeline: Pipeline, planned: Mapping[str, PlannedStep]) -> tuple[str, ...]:
    """Gates over metrics that may not come to be."""
    if not pipeline.gates:
        return ()
    known: dict[str, None] = {}
    for step in planned.values():
        for probe in step.probes:
            known[f"{step.name}:{probe.name}"] = None
    known |= dict.fromkeys(pipeline.metrics)
    certain = not any(map(_may_have_other_metrics, planned.values()))
    return check_known(pipeline.gates, pipeline.gate_places, known, certain=certain)


def _may_have_other_metrics(step: PlannedStep) -> bool:
    """Whether files and scraps of the step can hold metrics that nothing in a plan names."""
    if step.metrics or step.language != "python":
        return True
    # scrapbook's `sb.glue(name, value)` records a scrap.
    return any("glue" in cell.source for cell in step.cells)


def _ignored_settings(steps: Collection[PlannedStep]) -> Iterator[str]:
    """What is asked for that a run on this machine does not give."""
    names = [step.name for step in steps if step.container]
    if not names:
        return
    yield (
        f"`container` of step {listed(names, 1)} is for agents: "
        "a run on this machine ignores it, and uses the kernel it finds"
    )


def _warnings(pipeline: Pipeline, groups: Sequence[GroupProgram]) -> Iterable[str]:
    """Each warning once, in the order in which they came up."""
    warnings = dict.fromkeys(pipeline.warnings)
    for group in groups:
        warnings |= dict.fromkeys(group.warnings)
    return warnings
