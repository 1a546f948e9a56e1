"""The steps that measure models from their files, so that a baseline's can be measured again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import UsageError, spelling_hint
from nbci.pipeline.metric_names import step_of
from nbci.pipeline.models import models_of
from nbci.pipeline.paths import overlaps_any
from nbci.pipeline.rules import WITH_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.pipeline.model import Pipeline
    from nbci.pipeline.models import Model
    from nbci.pipeline.rules import Gate
    from nbci.plan.model import Plan, PlannedStep


def check_evaluations(pipeline: Pipeline, steps: Iterable[PlannedStep]) -> None:
    """UsageError for an `evaluate` that names no step, several, or one without the model's files.

    Models of another file than the pipeline's, which have no places, are not checked.
    """
    planned = tuple(steps)
    _check_required(pipeline)
    for name, where in (pipeline.model_places or {}).items():
        (model,) = models_of({name: (pipeline.models or {})[name]})
        asked = str(model.evaluate)
        found = tuple(_named(planned, asked))
        if not found:
            names = [step.name for step in planned]
            raise UsageError(
                f"model {name} is measured by {asked}, but there is no such step",
                hint=spelling_hint(asked, names, f"the steps are {', '.join(names)}"),
                where=where,
            )
        if len(found) > 1:
            raise UsageError(
                f"model {name} is measured by {asked}, which is several steps",
                hint=f"name one of {', '.join(step.name for step in found)}",
                where=where,
            )
        if not model_deps(found[0], model.paths):
            raise UsageError(
                f"step {found[0].name} measures model {name}, but has none of its files as `deps`",
                hint=f"let it read the model from its file: deps: [{model.paths[0]}]",
                where=where,
            )


def _check_required(pipeline: Pipeline) -> None:
    """UsageError for a gate that must compare with a model that no step can measure again."""
    can_be_measured = any(model.evaluate for model in models_of(pipeline.models))
    for gate, where in zip(pipeline.gates, pipeline.gate_places, strict=False):
        if gate.remeasure != "required":
            continue
        if str(gate.baseline).partition(":")[0] not in WITH_FILES:
            raise UsageError(
                f"`remeasure: required`, but {gate.baseline} has no files of a model",
                hint=f"compare with one of {', '.join(WITH_FILES)}",
                where=where,
            )
        if not can_be_measured:
            raise UsageError(
                "`remeasure: required`, but no model says which step measures it",
                hint="models: {NAME: {path: ..., evaluate: STEP}}",
                where=where,
            )


def evaluating_step(plan: Plan, model: Model) -> PlannedStep | None:
    """The step that measures the model; None where none does, or the plan has no such step."""
    if model.evaluate is None:
        return None
    return next(_named(plan.steps, model.evaluate), None)


def remeasured_steps(plan: Plan) -> tuple[PlannedStep, ...]:
    """The steps that gates may have measure a baseline's model again, each once."""
    found: dict[str, PlannedStep] = {}
    for model in models_of(plan.models):
        step = evaluating_step(plan, model)
        if step is None or step.action == "skip":
            continue
        if any(may_compare(plan, gate, step) for gate in plan.gates):
            found[step.name] = step
    return tuple(found.values())


def may_compare(plan: Plan, gate: Gate, step: PlannedStep) -> bool:
    """Whether the gate may compare what the step measures with the files of a baseline.

    Which step has a metric of a short name is known for sure only when all have ended.
    """
    kind = str(gate.baseline).partition(":")[0]
    if kind not in WITH_FILES or gate.remeasure == "no" or gate.metric is None:
        return False
    named = step_of(gate.metric)
    if named is not None:
        return named in (step.name, step.node)
    measuring = []
    for other in plan.steps:
        if any(probe.name == gate.metric for probe in other.probes):
            measuring.append(other.name)
    return not measuring or step.name in measuring


def model_deps(step: PlannedStep, paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the model's paths that the step reads."""
    return tuple(path for path in paths if overlaps_any(path.rstrip("/"), step.deps))


def _named(steps: Iterable[PlannedStep], asked: str) -> Iterator[PlannedStep]:
    """The step of that name, or else those of the node of that name."""
    of_node = []
    for step in steps:
        if step.name == asked:
            yield step
            return
        if step.node == asked:
            of_node.append(step)
    yield from of_node
