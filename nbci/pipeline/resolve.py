"""A pipeline with its parameters bound: values in the place of every `${name}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import Location
from nbci.params import Assignment, BoundParameter, bind
from nbci.pipeline.conditions import holds
from nbci.pipeline.edges import refuse_shared_outs
from nbci.pipeline.expressions import MetricTemplate, as_text, references, substitute
from nbci.pipeline.paths import project_path
from nbci.pipeline.tagged_paths import fill_paths_of_notebook, has_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.params import Declared
    from nbci.pipeline.model import Pipeline, Step


def resolve(pipeline: Pipeline, bound: Sequence[BoundParameter]) -> Pipeline:
    """The pipeline with values in paths, agents and environments.

    `params` and `when` stay as they are: `step_parameters` and `is_wanted` answer for these. A
    notebook that is a pipeline by itself has values to put into the paths of its tags.
    """
    values = _values(bound)
    where = Location(pipeline.target)
    steps = []
    for step in pipeline.steps:
        if step.params is not None:
            steps.append(_with_values(step, values, where))
        elif has_references(step):
            notebook = pipeline.notebooks[step.notebook].notebook
            steps.append(fill_paths_of_notebook(step, notebook, values))
        else:
            steps.append(step)
    # Values may make one path of two that differ in the file.
    refuse_shared_outs(steps, lambda step: Location(f"{pipeline.target}, step {step.name}"))
    return replace(pipeline, steps=tuple(steps))


def is_wanted(step: Step, bound: Sequence[BoundParameter]) -> bool:
    """Whether the step's `when` holds; a step without one is wanted."""
    return step.when is None or holds(step.when, _values(bound), step.matrix or {})


def _values(bound: Sequence[BoundParameter]) -> dict[str, Any]:
    return {parameter.name: parameter.value for parameter in bound}


def step_parameters(
    pipeline: Pipeline, step: Step, bound: Sequence[BoundParameter], declared: Declared
) -> tuple[BoundParameter, ...]:
    """The parameters of the step's notebook as it will have them.

    A value that waits for a metric is a MetricTemplate.
    """
    known = frozenset(declared.names)
    if step.params is None:
        # In a composition, a notebook gets only those parameters that concern it.
        if not step.composition:
            return tuple(bound)
        return tuple(parameter for parameter in bound if parameter.name in known)

    values = _values(bound)
    suffix = f" in step {step.name}"
    waiting: dict[str, BoundParameter] = {}
    assignments = []
    for name, given in step.params.items():
        value = substitute(given, values)
        source = _source(pipeline, given, bound)
        if name in known and _waits(value):
            waiting[name] = BoundParameter(name=name, value=value, source=source, overridden=True)
        else:
            # Errors name the step; the plan, which has the step anyway, does not.
            assignments.append(Assignment(name=name, value=value, source=source + suffix))

    found = []
    for parameter in bind(declared.parameters, [assignments], code_names=declared.code_names):
        if parameter.name in waiting:
            found.append(waiting[parameter.name])
        elif parameter.overridden:
            found.append(replace(parameter, source=parameter.source.removesuffix(suffix)))
        else:
            found.append(parameter)
    return tuple(found)


def _source(pipeline: Pipeline, given: Any, bound: Sequence[BoundParameter]) -> str:
    """Where a handed value comes from: the source of a parameter that alone is handed down."""
    if not isinstance(given, str):
        return pipeline.target
    # With text around it, or a second reference, the value is what the file makes of it.
    named = references(given)
    if len(named) != 1 or given.strip() != f"${{{named[0].text}}}":
        return pipeline.target
    for parameter in bound:
        if parameter.name == named[0].text:
            return parameter.source
    return pipeline.target


def _waits(value: Any) -> bool:
    """Whether the value has a metric that is not measured yet."""
    if isinstance(value, MetricTemplate):
        return True
    if isinstance(value, dict):
        return any(map(_waits, value.values()))
    return isinstance(value, list | tuple) and any(map(_waits, value))


def _with_values(step: Step, values: dict[str, Any], where: Location) -> Step:
    texts = (step.agent, step.env, step.environment, step.container)
    # Most steps have none of these, and copies of 10,000 steps take time.
    if not (step.deps or step.outs or step.metrics or any(texts)):
        return step

    def text(given: str | None) -> str | None:
        if given is None:
            return None
        return as_text(substitute(given, values))

    predictions = step.predictions
    if predictions is not None:
        predictions = _path_value(predictions, values, where)
    env = step.env
    if env:
        env = {name: as_text(substitute(value, values)) for name, value in env.items()}
    return replace(
        step,
        deps=_path_values(step.deps, values, where),
        outs=_path_values(step.outs, values, where),
        predictions=predictions,
        metrics=_path_values(step.metrics, values, where),
        agent=text(step.agent),
        env=env,
        environment=text(step.environment),
        container=text(step.container),
    )


def _path_values(
    paths: tuple[str, ...], values: dict[str, Any], where: Location
) -> tuple[str, ...]:
    """The paths with values in place, which are checked as paths that stand in the file are."""
    return tuple(_path_value(path, values, where) for path in paths)


def _path_value(path: str, values: dict[str, Any], where: Location) -> str:
    if "${" not in path:
        return path
    return project_path(as_text(substitute(path, values)), ".", where)
