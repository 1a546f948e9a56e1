"""A pipeline with its parameters bound becomes a plan."""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

import nbci
from nbci.dataflow.undefined import NOTHING_BROUGHT, Brought
from nbci.errors import Location, UsageError
from nbci.graph import Cycle, reachable, topological
from nbci.notebook.read import native_kernel
from nbci.pipeline.compose import notebook_parameters, step_declared
from nbci.pipeline.expressions import MetricTemplate
from nbci.pipeline.gates_document import check_known
from nbci.pipeline.paths import check_out
from nbci.pipeline.resolve import is_wanted, resolve, step_parameters
from nbci.plan.group import GroupProgram, StepProgram, analyse, analyse_composition, analysed_alike
from nbci.plan.left_out import left_out
from nbci.plan.model import Plan, PlannedStep
from nbci.plan.parts import setting_parts
from nbci.records.run_record import ParameterValue, Part

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from nbci.params import BoundParameter, Declared, Parameter
    from nbci.pipeline.model import Pipeline, Step

_TEMPLATE = "${}"
_LONGEST_STEP_NAME = 200


def build_plan(
    pipeline: Pipeline,
    bound: Sequence[BoundParameter],
    *,
    sources: Mapping[str, str],
    kernel: str | None = None,
    brought: Brought = NOTHING_BROUGHT,
) -> Plan:
    """The plan; `sources` are digests of the files that the pipeline came from, `kernel` one for
    all its steps.

    `brought` are names that kernels bring.
    """
    resolved = resolve(pipeline, bound)
    groups = list(_analysed(resolved, brought.also(pipeline.names)))
    programs = {name: found for group in groups for name, found in group.steps.items()}
    after = _edges(resolved, groups)
    order = _ordered(resolved, after)
    asked = _Asked(
        resolved=resolved,
        composed_steps={step.name: step for step in pipeline.steps},
        resolved_steps={step.name: step for step in resolved.steps},
        bound=bound,
        declared={path: notebook_parameters(tagged) for path, tagged in resolved.notebooks.items()},
        kernel=kernel,
    )
    planned = {name: _planned_step(asked, name, programs[name], after[name]) for name in order}
    for step in planned.values():
        _check_length(step)
        for path in (*step.outs, *step.metrics):
            check_out(path, step.name, sources, Location(step.notebook))
    planned = _told_apart(
        planned, {name: at for at, group in enumerate(groups) for name in group.steps}
    )
    notebook_of = {step.name: step.notebook for step in resolved.steps}
    definitions = {
        notebook_of[next(iter(group.steps))]: group.definitions
        for group in groups
        if group.definitions
    }
    return Plan(
        pipeline=resolved.name,
        target=resolved.target,
        steps=tuple(
            _with_skips(
                planned, {s.name: s.when for s in resolved.steps if not is_wanted(s, bound)}
            )
        ),
        params=tuple(ParameterValue(name=p.name, value=p.value, source=p.source) for p in bound),
        sources=sources,
        nbci=nbci.__version__,
        keep_going=resolved.keep_going,
        shell_errors=resolved.shell_errors,
        run_timeout_seconds=resolved.run_timeout_seconds,
        metrics=resolved.metrics,
        gates=resolved.gates,
        models=resolved.models,
        triggers=resolved.triggers,
        definitions=definitions or None,
        left_out=tuple(left_out(resolved.notebooks, planned.values())),
        warnings=(
            *_warnings(resolved, groups),
            *_gate_warnings(resolved, planned),
            *_surroundings(planned.values()),
        ),
    )


def _check_length(step: PlannedStep) -> None:
    """UsageError where no folder can have the step's name."""
    if any(len(part) > _LONGEST_STEP_NAME for part in step.name.split("/")):
        raise UsageError(
            f"the name of step {step.name[:40]}... has {len(step.name)} characters",
            hint=f"a folder is named after it: use at most {_LONGEST_STEP_NAME}",
            where=Location(step.notebook),
        )


def _groups(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps that one notebook, or a composition of some, expanded into: values pass within each
    of these only.
    """
    groups: dict[tuple[str, str, str], list[Step]] = {}
    for step in steps:
        matrix = json.dumps(step.matrix, sort_keys=True, default=str) if step.matrix else ""
        groups.setdefault((step.node, step.composition or step.notebook, matrix), []).append(step)
    return list(groups.values())


def _analysed(pipeline: Pipeline, brought: Brought) -> Iterator[GroupProgram]:
    """The programs of all steps; a notebook that many nodes or combinations run is analysed once."""
    known: dict[Any, tuple[list[Step], GroupProgram]] = {}
    for steps in _groups(pipeline.steps):
        if steps[0].composition:
            yield from analyse_composition(pipeline.notebooks, steps, brought=brought)
            continue
        position = {step.name: at for at, step in enumerate(steps)}
        edges = [[position[other] for other in step.after if other in position] for step in steps]
        shape = (
            steps[0].notebook,
            tuple((step.cells, *before) for step, before in zip(steps, edges, strict=True)),
        )
        if shape in known:
            first, found = known[shape]
            yield analysed_alike(found, first, steps)
        else:
            notebook = pipeline.notebooks[steps[0].notebook]
            found = analyse(
                notebook, steps, by_dataflow=pipeline.order == "dataflow", brought=brought
            )
            known[shape] = steps, found
            yield found


def _edges(pipeline: Pipeline, groups: Sequence[GroupProgram]) -> dict[str, tuple[str, ...]]:
    """What each step comes after: as declared or as variables ask, and after whoever writes what it
    reads.
    """
    writers = {out: step.name for step in pipeline.steps for out in (*step.outs, *step.metrics)}
    below: dict[str, list[str]] = {}
    for out, writer in writers.items():
        for folder in _places(out)[1:]:
            below.setdefault(folder, []).append(writer)
    group_of = {name: group for group in groups for name in group.steps}
    edges: dict[str, tuple[str, ...]] = {}
    for step in pipeline.steps:
        after = step.after
        if pipeline.order == "dataflow":
            group = group_of[step.name].steps
            after = (*(name for name in after if name not in group), *group[step.name].inside)
        makers = [writers[place] for dep in step.deps for place in _places(dep) if place in writers]
        makers += [writer for dep in step.deps for writer in below.get(dep, ())]
        edges[step.name] = tuple(
            name for name in dict.fromkeys((*after, *makers)) if name != step.name
        )
    return edges


def _places(path: str) -> list[str]:
    """The path and the folders that it lies in."""
    places = [path]
    while path := posixpath.dirname(path):
        places.append(path)
    return places


def _ordered(pipeline: Pipeline, after: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return topological(after)
    except Cycle as cycle:
        raise UsageError(
            f"the steps form a cycle: {cycle}",
            hint="take one of these edges away; a step also comes after the one that writes what it reads",
            where=Location(pipeline.target),
        ) from cycle


class _Asked(Struct, frozen=True, kw_only=True):
    """What every step's plan is made from.

    Its steps as composed and as resolved, its parameters, those that each notebook declares, the
    kernel.
    """

    resolved: Pipeline
    composed_steps: Mapping[str, Step]
    resolved_steps: Mapping[str, Step]
    bound: Sequence[BoundParameter]
    declared: Mapping[str, Declared]
    kernel: str | None


def _planned_step(
    asked: _Asked, name: str, found: StepProgram, after: tuple[str, ...]
) -> PlannedStep:
    step = asked.resolved_steps[name]
    tagged = asked.resolved.notebooks[step.notebook]
    declared = asked.declared[step.notebook]
    known = step_declared(step, asked.resolved.notebooks) if step.composition else declared
    params = step_parameters(asked.resolved, asked.composed_steps[name], asked.bound, known)
    defaults = {parameter.name: parameter.default for parameter in declared.parameters}
    values = {parameter.name: _storable(parameter.value) for parameter in params}
    planned = PlannedStep(
        name=step.name,
        node=step.node,
        notebook=step.notebook,
        kernel=native_kernel(asked.kernel) or tagged.notebook.kernel_name or "python3",
        language=tagged.notebook.language,
        cells=found.cells,
        after=after,
        params=values or None,
        param_sources={parameter.name: parameter.source for parameter in params} or None,
        param_types={p.name: p.type.annotation for p in declared.parameters if _is_typed(p, values)}
        or None,
        overrides=tuple(
            p.name for p in params if _is_override(p, defaults, composed=bool(step.composition))
        ),
        takes=found.takes,
        gives=found.gives,
        optional_gives=found.optional_gives,
        defined_by_reference=found.defined_by_reference,
        probes=found.probes,
        deps=step.deps,
        outs=step.outs,
        metrics=step.metrics,
        agent=step.agent,
        gpu=step.wants_gpu,
        timeout_seconds=step.timeout_seconds,
        cell_timeout_seconds=step.cell_timeout_seconds,
        retries=step.retries,
        env=step.env or None,
        environment=step.environment,
        container=step.container,
        secrets=step.secrets,
        withheld=step.withheld,
        cwd=step.folder
        or ("." if step.cwd == "project" else posixpath.dirname(step.notebook) or "."),
        cache=step.cache,
        report=step.report,
    )
    return replace(planned, parts=(*found.parts, *setting_parts(planned, found.named_params)))


def _is_override(parameter: BoundParameter, defaults: Mapping[str, Any], *, composed: bool) -> bool:
    """Whether the notebook's own literal does not stand; in a composition another notebook's may."""
    if composed and parameter.name not in defaults:
        return True
    return (composed or parameter.overridden) and not _same(
        parameter.value, defaults.get(parameter.name)
    )


def _is_typed(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Whether the parameter waits for a metric that has to become what it is declared as."""
    kind = parameter.type
    return restored(values.get(parameter.name)) != values.get(parameter.name) and (
        kind.kind != "any" or bool(kind.choices)
    )


def _same(value: Any, default: Any) -> bool:
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


def _told_apart(
    planned: Mapping[str, PlannedStep], group_of: Mapping[str, int]
) -> dict[str, PlannedStep]:
    """The steps, with what tells those whose keys are alike from each other.

    The second runs in a state that the first has left, which may show in nothing that counts, such
    as random numbers without a seed: what the first came to is not what the second gives.
    Combinations of a matrix, and other notebooks of which none comes after the other, share what
    they have in common.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, step in planned.items():
        alike.setdefault(tuple(part.digest or part.label for part in step.parts), []).append(name)
    told = dict(planned)
    edges = {name: step.after for name, step in planned.items()}
    for names in alike.values():
        for at, name in enumerate(names):
            before = reachable([name], edges) if at else set()
            times = sum(
                other in before or group_of[other] == group_of[name] for other in names[:at]
            )
            if times:
                again = Part(kind="repetition", label=str(times + 1), digest="")
                told[name] = replace(planned[name], parts=(*planned[name].parts, again))
    return told


def _with_skips(
    planned: Mapping[str, PlannedStep], unwanted: Mapping[str, str | None]
) -> list[PlannedStep]:
    """Skip what `when` rules out, and what cannot do without the values or files of a skipped step."""
    reasons: dict[str, str] = {}
    for name, step in planned.items():
        if name in unwanted:
            reasons[name] = f"its condition `{unwanted[name]}` does not hold"
            continue
        lost = next(
            (t for t in step.takes if t.givers and all(giver in reasons for giver in t.givers)),
            None,
        )
        if lost is not None:
            reasons[name] = f"it needs `{lost.name}` of step {lost.givers[0]}, which is skipped"
            continue
        for other in (name for name in step.after if name in reasons):
            written = (*planned[other].outs, *planned[other].metrics)
            files = [
                out
                for out in written
                if any(out in _places(dep) or dep in _places(out) for dep in step.deps)
            ]
            if files:
                reasons[name] = f"it needs {files[0]} of step {other}, which is skipped"
    return [
        replace(step, action="skip", reason=reasons[name]) if name in reasons else step
        for name, step in planned.items()
    ]


def _gate_warnings(pipeline: Pipeline, planned: Mapping[str, PlannedStep]) -> tuple[str, ...]:
    """Gates over metrics that may not come to be.

    Files and scraps can hold metrics that nothing in a plan names.
    """
    if not pipeline.gates:
        return ()
    probed = [f"{step.name}:{probe.name}" for step in planned.values() for probe in step.probes]
    open_ended = any(
        step.metrics
        or step.language != "python"
        or any("glue" in cell.source for cell in step.cells)
        for step in planned.values()
    )
    known = dict.fromkeys((*probed, *pipeline.metrics))
    return check_known(pipeline.gates, pipeline.gate_places, known, certain=not open_ended)


def _surroundings(steps: Collection[PlannedStep]) -> Iterator[str]:
    """What is asked for that a run on this machine does not give."""
    names = [step.name for step in steps if step.container]
    if names:
        asking = f"step {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        yield f"`container` of {asking} is for agents: a run on this machine ignores it, and uses the kernel it finds"


def _warnings(pipeline: Pipeline, groups: Sequence[GroupProgram]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            (*pipeline.warnings, *(warning for group in groups for warning in group.warnings))
        )
    )
