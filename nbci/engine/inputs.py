"""What a step gets from the steps before it: values, and numbers in its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.errors import StepError, UsageError
from nbci.handoff.joins import resolve_join
from nbci.pipeline.expressions import fill
from nbci.plan.build import restored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.handoff.values import ValueRef
    from nbci.plan.model import PlannedStep
    from nbci.records.model import StepRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a step starts with."""

    values: tuple[ValueRef, ...]
    params: dict[str, Any]


def inputs_for(step: PlannedStep, records: Mapping[str, StepRecord]) -> Inputs:
    """What the steps before it, with these records, hand to the step; StepError where that cannot be told."""
    return Inputs(values=values_for(step, records), params=parameters_for(step, records))


def values_for(step: PlannedStep, records: Mapping[str, StepRecord]) -> tuple[ValueRef, ...]:
    """The values that the step takes; StepError where two branches changed one."""
    found = []
    for take in step.takes:
        gave = {giver: ref for giver in take.givers if (ref := _named(records, giver, take.name, "gives"))}
        if gave:
            took = next((ref for giver in gave if (ref := _named(records, giver, take.name, "takes"))), None)
            found.append(resolve_join(take.name, took, gave))
    return tuple(found)


def parameters_for(step: PlannedStep, records: Mapping[str, StepRecord]) -> dict[str, Any]:
    """The step's parameters with every `${step:metric}` replaced by the metric or scrap of that step."""
    known: dict[str, Any] = {}
    for name, record in records.items():
        known |= {f"{name}:{metric.name}": metric.value for metric in record.metrics}
        known |= {f"{name}:{scrap.name}": scrap.data for scrap in record.scraps}
    try:
        return {name: fill(restored(value), known) for name, value in (step.params or {}).items()}
    except UsageError as error:
        raise StepError(f"a parameter of step {step.name}: {error.message}", hint=error.hint) from error


def _named(records: Mapping[str, StepRecord], step: str, name: str, side: str) -> ValueRef | None:
    record = records.get(step)
    refs: tuple[ValueRef, ...] = getattr(record, side) if record is not None else ()
    return next((ref for ref in refs if ref.name == name), None)
