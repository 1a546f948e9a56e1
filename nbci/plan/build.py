"""A pipeline with its parameters bound becomes a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

import nbci
from nbci.dataflow.origin import NOTHING_BROUGHT, Brought
from nbci.errors import Location, UsageError
from nbci.formatting.numbers import listed
from nbci.graph import by_name, edges_of, reachable
from nbci.pipeline.gates_document import check_known
from nbci.pipeline.paths import check_out
from nbci.pipeline.resolve import is_wanted, resolve
from nbci.plan.asked_metrics import may_have_other_metrics
from nbci.plan.evaluation import check_evaluations, with_predicting_steps
from nbci.plan.group import analyse_groups
from nbci.plan.left_out import left_out
from nbci.plan.markdown_cells import markdown_cells
from nbci.plan.model import Plan
from nbci.plan.planned_seeds import plan_seeds
from nbci.plan.planned_step import StepPlanner
from nbci.plan.select import with_skips
from nbci.plan.step_edges import execution_order, step_edges
from nbci.plan.stored_outputs import with_stored_outputs
from nbci.records.run_record import ParameterValue, Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.params import BoundParameter
    from nbci.pipeline.model import Pipeline
    from nbci.plan.model import Definition, PlannedStep
    from nbci.plan.program import GroupProgram, StepProgram

# file systems allow 255 bytes a name; what nbci appends to it (attempts, suffixes) needs room, too
_LONGEST_STEP_NAME = 200


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
    groups = list(analyse_groups(resolved, brought.also(pipeline.names)))
    steps = _planned_steps(resolved, groups, StepPlanner(resolved, bound, kernel))
    for step in steps.values():
        _check_names(step, sources)
    steps = with_stored_outputs(_with_repetitions(steps, groups), resolved.notebooks)
    steps = by_name(with_skips(steps, _unwanted_steps(resolved, bound)))
    check_evaluations(resolved, steps.values())
    return _assemble(resolved, bound, sources, groups, steps)


def _planned_steps(
    pipeline: Pipeline, groups: Sequence[GroupProgram], planner: StepPlanner
) -> dict[str, PlannedStep]:
    """The plan of each step by its name, in an order in which they can run."""
    programs: dict[str, StepProgram] = {}
    for group in groups:
        programs.update(group.steps)

    after = step_edges(pipeline, groups)
    planned = {}
    for name in execution_order(pipeline, after):
        planned[name] = planner.plan(name, programs[name], after[name])
    return planned


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
    for path in step.writes:
        check_out(path, step.name, sources, Location(step.notebook))


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
        # Not by the labels of all parts: these have the numbers of cells, which twins do not share.
        key = tuple(part.digest or part.label for part in step.parts)
        alike.setdefault(key, []).append(name)

    group_of: dict[str, int] = {}
    for number, group in enumerate(groups):
        group_of.update(dict.fromkeys(group.steps, number))

    numbered = dict(planned)
    edges = edges_of(planned.values())
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


def _unwanted_steps(pipeline: Pipeline, bound: Sequence[BoundParameter]) -> dict[str, str | None]:
    """The steps that their own `when` rules out, with it."""
    return {step.name: step.when for step in pipeline.steps if not is_wanted(step, bound)}


def _assemble(
    pipeline: Pipeline,
    bound: Sequence[BoundParameter],
    sources: Mapping[str, str],
    groups: Sequence[GroupProgram],
    steps: Mapping[str, PlannedStep],
) -> Plan:
    return Plan(
        pipeline=pipeline.name,
        target=pipeline.target,
        description=pipeline.description,
        steps=tuple(steps.values()),
        params=tuple(_parameter_values(pipeline, bound)),
        sources=sources,
        nbci=nbci.__version__,
        keep_going=pipeline.keep_going,
        shell_errors=pipeline.shell_errors,
        run_timeout_seconds=pipeline.run_timeout_seconds,
        metrics=pipeline.metrics,
        gates=with_predicting_steps(pipeline.gates, pipeline.gate_places, steps.values()),
        models=pipeline.models,
        triggers=pipeline.triggers,
        seeds=plan_seeds(pipeline, bound),
        definitions=_definitions(pipeline, groups) or None,
        left_out=tuple(left_out(pipeline.notebooks, steps.values())),
        markdown=markdown_cells(pipeline.notebooks, steps.values()) or None,
        # The order in which people meet them: cells, then gates, then settings.
        warnings=(
            *_warnings(pipeline, groups),
            *_gate_warnings(pipeline, steps),
            *_ignored_settings(steps),
        ),
    )


def _parameter_values(
    pipeline: Pipeline, bound: Sequence[BoundParameter]
) -> Iterator[ParameterValue]:
    declared = by_name(pipeline.params)
    for parameter in bound:
        yield ParameterValue(
            name=parameter.name,
            value=parameter.value,
            source=parameter.source,
            help=declared[parameter.name].help,
        )


def _definitions(
    pipeline: Pipeline, groups: Sequence[GroupProgram]
) -> dict[str, tuple[Definition, ...]]:
    """What values of each notebook may refer to, by the notebook's path."""
    steps = by_name(pipeline.steps)
    by_notebook = {}
    for group in groups:
        # Nothing for a notebook without any: on agents every step reads the whole plan.
        if group.definitions:
            first_step = next(iter(group.steps))
            by_notebook[steps[first_step].notebook] = group.definitions
    return by_notebook


def _warnings(pipeline: Pipeline, groups: Sequence[GroupProgram]) -> tuple[str, ...]:
    """Each warning of reading and analysing once, in the order in which they came up."""
    warnings = dict.fromkeys(pipeline.warnings)
    for group in groups:
        warnings |= dict.fromkeys(group.warnings)
    return tuple(warnings)


def _gate_warnings(pipeline: Pipeline, planned: Mapping[str, PlannedStep]) -> tuple[str, ...]:
    """Gates over metrics that may not come to be."""
    if not pipeline.gates:
        return ()
    known: dict[str, None] = {}
    for step in planned.values():
        for probe in step.probes:
            known[f"{step.name}:{probe.name}"] = None
    known |= dict.fromkeys(pipeline.metrics)
    certain = not any(map(may_have_other_metrics, planned.values()))
    return check_known(pipeline.gates, pipeline.gate_places, known, certain=certain)


def _ignored_settings(planned: Mapping[str, PlannedStep]) -> Iterator[str]:
    """What is asked for that a run on this machine does not give."""
    names = [name for name, step in planned.items() if step.container]
    if not names:
        return
    yield (
        f"`container` of step {listed(names, 1)} is for agents: "
        "a run on this machine ignores it, and uses the kernel it finds"
    )
