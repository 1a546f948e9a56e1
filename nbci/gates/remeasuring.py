"""Which models of baselines are to be measured again, so that gates compare like with like."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from nbci.gates.baseline import Baseline
from nbci.pipeline.metric_names import meant_by, step_of
from nbci.pipeline.models import models_of
from nbci.pipeline.rules import WITH_FILES
from nbci.plan.evaluation import evaluating_step, may_compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nbci.gates.baseline import NoBaseline
    from nbci.pipeline.models import Model
    from nbci.pipeline.rules import Gate
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import Remeasured, RunRecord


class Wanted(NamedTuple):
    """A step that is to measure models by the files that a baseline has of them."""

    baseline: Baseline
    step: PlannedStep
    models: tuple[Model, ...]


class Remeasurer(Protocol):
    """Carries such a step out, beside the run that has the record."""

    def __call__(self, record: RunRecord, wanted: Wanted) -> Remeasured:
        """The baseline's model on the data of the run, or why it cannot be measured."""


def find_wanted(
    plan: Plan, record: RunRecord, baselines: Mapping[str, Baseline | NoBaseline]
) -> Iterator[Wanted]:
    """What the plan's gates need to compare the run with these baselines, each once."""
    return _each_once(plan, baselines, lambda gate: judged_step(gate, record))


def find_wanted_of(
    plan: Plan, step: PlannedStep, baselines: Mapping[str, Baseline | NoBaseline]
) -> Iterator[Wanted]:
    """What the gates may need of that step, before it is known what all steps measured."""

    def step_of_gate(gate: Gate) -> str | None:
        return step.name if may_compare(plan, gate, step) else None

    return _each_once(plan, baselines, step_of_gate)


def _each_once(
    plan: Plan,
    baselines: Mapping[str, Baseline | NoBaseline],
    step_of_gate: Callable[[Gate], str | None],
) -> Iterator[Wanted]:
    seen: set[tuple[str, str]] = set()
    for gate in plan.gates:
        step = step_of_gate(gate)
        # Several gates may judge what one step measures: it is carried out once for all.
        if step is None or (str(gate.baseline), step) in seen:
            continue
        wanted = _wanted(plan, gate, step, baselines)
        if wanted is not None:
            seen.add((str(gate.baseline), step))
            yield wanted


def _wanted(
    plan: Plan, gate: Gate, step: str, baselines: Mapping[str, Baseline | NoBaseline]
) -> Wanted | None:
    """What the gate needs of the step; None where nothing can be measured again."""
    baseline = baselines.get(str(gate.baseline))
    if not isinstance(baseline, Baseline) or gate.remeasure == "no":
        return None
    models = _models(plan, gate, step)
    if not models:
        return None
    return Wanted(baseline, plan.step(step), models)


def judged_step(gate: Gate, record: RunRecord) -> str | None:
    """The step that measured or predicted what the gate judges; None where that is not one step."""
    if gate.metric is None:
        return gate.step
    meant = meant_by(gate.metric, record.metrics)
    if len(meant) != 1:
        return None
    return step_of(meant[0])


def _models(plan: Plan, gate: Gate, step: str) -> tuple[Model, ...]:
    """The models that the step measures; of a champion, only that model."""
    kind, _, name = str(gate.baseline).partition(":")
    if kind not in WITH_FILES:
        return ()
    found = []
    for model in models_of(plan.models):
        measured_by = evaluating_step(plan, model)
        if measured_by is None or measured_by.name != step:
            continue
        if kind == "champion" and name and model.name != name:
            continue
        found.append(model)
    return tuple(found)
