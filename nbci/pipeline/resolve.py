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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.params import Declared
    from nbci.pipeline.model import Pipeline, Step


def resolve(pipeline: Pipeline, bound: Sequence[BoundParameter]) -> Pipeline:
    """The pipeline with values in paths, agents and environments; `params` and `when` stay as they
    are.

    `step_parameters` and `is_wanted` answer for these. A notebook that is a pipeline by itself has
    nothing to put in.
    """
    values = {parameter.name: parameter.value for parameter in bound}
    where = Location(pipeline.target)
    steps = tuple(
        step if step.params is None else _resolved(step, values, where) for step in pipeline.steps
    )
    refuse_shared_outs(steps, lambda step: Location(f"{pipeline.target}, step {step.name}"))
    return replace(pipeline, steps=steps)


def is_wanted(step: Step, bound: Sequence[BoundParameter]) -> bool:
    """Whether the step's `when` holds; a step without one is wanted."""
    values = {parameter.name: parameter.value for parameter in bound}
    return step.when is None or holds(step.when, values, step.matrix or {})


def step_parameters(
    pipeline: Pipeline, step: Step, bound: Sequence[BoundParameter], declared: Declared
) -> tuple[BoundParameter, ...]:
    """The parameters of the step's notebook as it will have them.

    A value that waits for a metric is a MetricTemplate.
    """
    if step.params is None:
        known = {parameter.name for parameter in declared.parameters}
        return tuple(
            parameter for parameter in bound if not step.composition or parameter.name in known
        )
    values = {parameter.name: parameter.value for parameter in bound}
    known = {parameter.name for parameter in declared.parameters}
    waiting: dict[str, BoundParameter] = {}
    assignments = []
    for name, given in step.params.items():
        value = substitute(given, values)
        source = _source(pipeline, given, bound)
        if name in known and _waits(value):
            waiting[name] = BoundParameter(name=name, value=value, source=source, overridden=True)
        else:
            assignments.append(
                Assignment(name=name, value=value, source=f"{source} in step {step.name}")
            )
    found = bind(declared.parameters, [assignments], code_names=declared.code_names)
    suffix = f" in step {step.name}"
    return tuple(
        waiting.get(parameter.name)
        or (
            replace(parameter, source=parameter.source.removesuffix(suffix))
            if parameter.overridden
            else parameter
        )
        for parameter in found
    )


def _source(pipeline: Pipeline, given: Any, bound: Sequence[BoundParameter]) -> str:
    """Where a handed value comes from: the parameter's own source when that alone is handed down."""
    if isinstance(given, str):
        named = references(given)
        if len(named) == 1 and given.strip() == f"${{{named[0].text}}}":
            return next(
                (parameter.source for parameter in bound if parameter.name == named[0].text),
                pipeline.target,
            )
    return pipeline.target


def _waits(value: Any) -> bool:
    if isinstance(value, MetricTemplate):
        return True
    if isinstance(value, dict):
        return any(_waits(item) for item in value.values())
    return isinstance(value, list | tuple) and any(_waits(item) for item in value)


def _resolved(step: Step, values: dict[str, Any], where: Location) -> Step:
    if not (
        step.deps
        or step.outs
        or step.metrics
        or step.agent
        or step.env
        or step.environment
        or step.container
    ):
        return step

    def texts(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            project_path(as_text(substitute(path, values)), ".", where) if "${" in path else path
            for path in given
        )

    def text(given: str | None) -> str | None:
        return None if given is None else as_text(substitute(given, values))

    return replace(
        step,
        deps=texts(step.deps),
        outs=texts(step.outs),
        metrics=texts(step.metrics),
        agent=text(step.agent),
        env={name: as_text(substitute(value, values)) for name, value in step.env.items()}
        if step.env
        else step.env,
        environment=text(step.environment),
        container=text(step.container),
    )
