"""A metric over the runs, with what gates ask of it and what the baseline has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, number
from nbci.gates.bounds import bounds_of
from nbci.pipeline.rules import declared_for

if TYPE_CHECKING:
    from nbci.records.run_record import RunRecord
    from nbci.report.data.material import Material


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The metric in one run; None where that run has not got it."""

    run: str
    started_utc: str | None
    result: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A number that a gate asks for: no less (`low`), no more (`high`), or just that."""

    value: float
    words: str
    low: bool = False
    high: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A metric by its full name, oldest run first, this one last."""

    metric: str
    moments: tuple[Moment, ...]
    unit: str | None = None
    direction: str | None = None
    bounds: tuple[Bound, ...] = ()
    baseline: float | None = None

    @property
    def values(self) -> tuple[float | None, ...]:
        """What can be drawn of it: None for what is missing, NaN or infinite."""
        return tuple(
            one.value if one.value is not None and math.isfinite(one.value) else None
            for one in self.moments
        )

    @property
    def is_drawable(self) -> bool:
        """Whether there is more than one point to see."""
        return sum(value is not None for value in self.values) > 1


def histories(material: Material) -> tuple[History, ...]:
    """The history of each metric of this run."""
    record = material.run.record
    earlier = material.baseline.run.record.metrics if material.baseline else {}
    found = []
    for name, value in record.metrics.items():
        past = [
            Moment(
                run=run.run,
                started_utc=run.started_utc,
                result=run.result,
                value=run.metrics.get(name),
            )
            for run in material.history
        ]
        declared = declared_for(name, material.run.plan.metrics or {})
        bounds, judged_with = _bounds(material, name)
        found.append(
            History(
                metric=name,
                moments=(
                    *past,
                    Moment(
                        run=record.run,
                        started_utc=record.started_utc,
                        result=record.result,
                        value=value,
                    ),
                ),
                unit=declared.unit,
                direction=declared.direction,
                bounds=bounds,
                baseline=_finite(judged_with if judged_with is not None else earlier.get(name)),
            )
        )
    return tuple(found)


def said(history: History) -> str:
    """What the picture shows."""
    values = [value for value in history.values if value is not None]
    now = history.moments[-1].value
    words = [
        f"{history.metric} over {counted(len(values), 'run')}: from {number(values[0])} to {number(values[-1])}"
        + ("" if now is not None and math.isfinite(now) else ", none in this run"),
        f"lowest {number(min(values))}, highest {number(max(values))}",
    ]
    words += [f"asked {bound.words}" for bound in history.bounds]
    if history.baseline is not None:
        words.append(f"baseline {number(history.baseline)}")
    return "; ".join(words)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _bounds(material: Material, metric: str) -> tuple[tuple[Bound, ...], float | None]:
    """The bounds of the gates that judged this metric, and the baseline that they went by."""
    record: RunRecord = material.run.record
    gates = {gate.name: gate for gate in material.run.plan.gates}
    found: dict[tuple[str, float], Bound] = {}
    judged_with = None
    for result in record.verdict.gates if record.verdict else ():
        gate = gates.get(result.gate)
        if gate is None or result.metric != metric:
            continue
        judged_with = result.baseline if result.baseline is not None else judged_with
        bounds = bounds_of(gate, result.baseline)
        for words, value in (
            ("at least", bounds.low),
            ("at most", bounds.high),
            ("exactly", bounds.equals),
        ):
            if value is not None and math.isfinite(float(value)):
                text = f"{words} {number(float(value))}"
                found[words, float(value)] = Bound(
                    value=float(value), words=text, low=words == "at least", high=words == "at most"
                )
    return tuple(found.values()), judged_with
