"""The steps that gates judge by: which one measures a model from its files, which one predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import UsageError, spelling_hint
from nbci.pipeline.metric_names import step_of
from nbci.pipeline.models import models_of
from nbci.pipeline.paths import overlaps_any
from nbci.pipeline.rules import WITH_FILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.errors import Location
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
    """Whether the gate may compare what the step measures or predicts with a baseline's files.

    Which step has a metric of a short name is known for sure only when all have ended.
    """
    kind = str(gate.baseline).partition(":")[0]
    if kind not in WITH_FILES or gate.remeasure == "no":
        return False
    # Flips and slices are of what a step predicts.
    if gate.metric is None:
        return gate.step == step.name
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


def with_predicting_steps(
    gates: Iterable[Gate], places: Sequence[Location], steps: Iterable[PlannedStep]
) -> tuple[Gate, ...]:
    """The gates, each that judges predictions with the step that makes them.

    UsageError where there is no such step, or several.
    """
    planned = tuple(steps)
    found = []
    for number, gate in enumerate(gates, 1):
        step = gate.step
        if gate.judges_cases:
            step = _predicting_step(number, gate, places[number - 1], planned)
        found.append(replace(gate, step=step))
    return tuple(found)


def _predicting_step(
    number: int, gate: Gate, where: Location, steps: tuple[PlannedStep, ...]
) -> str:
    # Each of these messages holds if none of those below does.
    asked: Iterable[PlannedStep] = steps
    message = f"gate {number} judges predictions, and no step declares any"
    hint = (
        "give the step that writes them `predictions: PATH`, or its cell the tag `predictions:PATH`"
    )
    if gate.step is not None:
        asked = tuple(_named(steps, gate.step))
        names = [step.name for step in steps if step.predictions is not None]
        message = f"gate {number} judges predictions of step {gate.step!r}, which declares none"
        hint = f"steps that declare predictions: {', '.join(names) or 'none'}"
    if not asked:
        names = [step.name for step in steps]
        message = f"gate {number} judges predictions of {gate.step}, but there is no such step"
        hint = spelling_hint(str(gate.step), names, f"the steps are {', '.join(names)}")
    predicting = [step.name for step in asked if step.predictions is not None]
    # Of a metric, its own step is meant where that predicts.
    own = step_of(gate.metric or "")
    if own in predicting:
        return own
    if len(predicting) == 1:
        return predicting[0]
    if predicting:
        message = f"gate {number} judges predictions, which several steps declare"
        hint = f"add `step:` with one of {', '.join(predicting)}"
    raise UsageError(message, hint=hint, where=where)
