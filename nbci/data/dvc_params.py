"""Map the parameters of pipelines to DVC's params.yaml.

Each pipeline has a section; each step depends on the parameters that it uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.data.dvc_files import PARAMS_FILE, section_of
from nbci.errors import Location, UsageError
from nbci.graph import by_name
from nbci.params.merge import Assignment
from nbci.params.yaml_text import read_yaml
from nbci.pipeline.expressions import references
from nbci.pipeline.formulas import Constant, Name, parse, parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.pipeline.model import Pipeline, Step
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord


def assigned_in_section(pipeline: str, text: str) -> tuple[Assignment, ...]:
    """Return the assignments of the pipeline's section of params.yaml; none without a section."""
    document = read_yaml(text, PARAMS_FILE)
    section = section_of(pipeline)
    values = None
    # an empty file is no mapping
    if isinstance(document.data, dict):
        values = document.data.get(section)
    if values is None:
        return ()
    if not isinstance(values, dict):
        raise UsageError(
            f"{section} is no mapping of names to values", where=document.where((section,))
        )
    assignments = []
    for name, value in values.items():
        where = document.where((section, name), key=True)
        assignments.append(Assignment(name=str(name), value=value, source=PARAMS_FILE, where=where))
    return tuple(assignments)


def params_by_step(pipeline: Pipeline, plan: Plan, record: RunRecord) -> dict[str, dict[str, Any]]:
    """Return for each step the keys of params.yaml that it depends on, with their values.

    Parameters count that reach the step through values that it took, too.
    """
    section, values = section_of(plan.pipeline), record.param_values
    steps = by_name(pipeline.steps)
    recorded = {step.name: step.parts for step in record.steps}
    found = {}
    for planned in plan.steps:
        known = (*planned.parts, *recorded.get(planned.name, ()))
        named: set[str] = set()
        for part in known:
            if part.kind == "parameter":
                named.add(part.label)
        step = steps.get(planned.name)
        if step is not None and step.params is not None:
            named = set(_named_by(step, named))

        keys: dict[str, Any] = {}
        for name, value in values.items():
            if name not in named:
                continue
            # DVC takes dots for levels, so that it could not find such a name alone
            if "." in name:
                keys = {section: values}
                break
            keys[f"{section}.{name}"] = value
        found[planned.name] = keys
    return found


def _named_by(step: Step, own: set[str]) -> Iterator[str]:
    """Yield the pipeline's parameters that a step of a pipeline file depends on.

    `own` are the parameters that its notebook names.
    """
    # a parameter that the notebook never names cannot change what the step does
    handed = {name: text for name, text in (step.params or {}).items() if name in own}
    settings = [*step.deps, *step.writes, step.agent, step.environment, step.container]
    for value in (handed, settings, dict(step.env or {})):
        yield from _referenced_params(value)
    if not step.when:
        return
    for part in parts(parse(step.when)):
        if isinstance(part, Name):
            yield part.name
        elif isinstance(part, Constant):
            yield from _referenced_params(part.value)


def _referenced_params(value: Any) -> Iterator[str]:
    """Yield the parameters that `${...}` in the value name."""
    for found in references(value):
        # the others name metrics of steps, and values of the matrix
        if found.parameter:
            yield found.parameter


def merged_params(own: Mapping[str, Any] | None, plan: Plan, record: RunRecord) -> dict[str, Any]:
    """Return params.yaml with the run's parameters in their section; the rest stays."""
    document, section, values = dict(own or {}), section_of(plan.pipeline), record.param_values
    if not values:
        return document
    if not isinstance(document.get(section) or {}, dict):
        raise UsageError(
            f"{section} is something else here", where=Location(PARAMS_FILE), hint="rename it"
        )
    return {**document, section: values}
