"""A metric over the runs, with what gates ask of it and what the baseline has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, number
from nbci.gates.bounds import bounds_of
from nbci.graph import by_name
from nbci.pipeline.rules import declared_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.pipeline.rules import Gate
    from nbci.records.run_record import RunRecord
    from nbci.report.data.material import Material, PastRun


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
    """A metric by its full name, oldest run first, this one last.

    `noun` says what it was measured in.
    """

    metric: str
    moments: tuple[Moment, ...]
    unit: str | None = None
    direction: str | None = None
    bounds: tuple[Bound, ...] = ()
    baseline: float | None = None
    noun: str = "run"

    @property
    def values(self) -> tuple[float | None, ...]:
        """What can be drawn of it: None for what is missing, NaN or infinite."""
        return tuple(_finite(one.value) for one in self.moments)

    @property
    def known_values(self) -> list[float]:
        """The values without what is missing."""
        return [value for value in self.values if value is not None]

    @property
    def is_drawable(self) -> bool:
        """Whether there is more than one point to see."""
        return len(self.known_values) > 1


def histories(material: Material) -> tuple[History, ...]:
    """The history of each metric of this run."""
    record = material.run.record
    earlier: Mapping[str, float] = {}
    if material.baseline is not None:
        earlier = material.baseline.run.record.metrics

    found = []
    for name, value in record.metrics.items():
        declared = declared_for(name, material.run.plan.metrics or {})
        bounds, baseline = _bounds(material, name)
        # What a gate compared with goes first: the report's baseline may be another run by now.
        if baseline is None:
            baseline = earlier.get(name)
        moments = [_moment(run, run.metrics.get(name)) for run in material.history]
        found.append(
            History(
                metric=name,
                moments=(*moments, _moment(record, value)),
                unit=declared.unit,
                direction=declared.direction,
                bounds=bounds,
                baseline=_finite(baseline),
            )
        )
    return tuple(found)


def _moment(run: PastRun | RunRecord, value: float | None) -> Moment:
    return Moment(run=run.run, started_utc=run.started_utc, result=run.result, value=value)


def describe_history(history: History) -> str:
    """Return what the picture shows, for readers who cannot see it."""
    values = history.known_values
    runs = counted(len(values), history.noun)
    span = f"{history.metric} over {runs}: from {number(values[0])} to {number(values[-1])}"
    if history.values[-1] is None:
        span += f", none in this {history.noun}"

    parts = [span, f"lowest {number(min(values))}, highest {number(max(values))}"]
    for bound in history.bounds:
        parts.append(f"asked {bound.words}")
    if history.baseline is not None:
        parts.append(f"baseline {number(history.baseline)}")
    return "; ".join(parts)


def _finite(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return value


def _bounds(material: Material, metric: str) -> tuple[tuple[Bound, ...], float | None]:
    """The bounds of the gates that judged this metric, and the baseline that they went by."""
    record = material.run.record
    if record.verdict is None:
        return (), None

    gates = by_name(material.run.plan.gates)
    # Two gates may ask for the same, which is one line in the picture.
    found: dict[tuple[str, float], Bound] = {}
    judged_with = None
    for result in record.verdict.gates:
        gate = gates.get(result.gate)
        if gate is None or result.metric != metric:
            continue
        if result.baseline is not None:
            judged_with = result.baseline
        for bound in _finite_bounds(gate, result.baseline):
            found[bound.words, bound.value] = bound
    return tuple(found.values()), judged_with


def _finite_bounds(gate: Gate, baseline: float | None) -> Iterator[Bound]:
    bounds = bounds_of(gate, baseline)
    for words, exact in (
        ("at least", bounds.low),
        ("at most", bounds.high),
        ("exactly", bounds.equals),
    ):
        if exact is None:
            continue
        value = float(exact)
        if math.isfinite(value):
            yield Bound(
                value=value,
                words=f"{words} {number(value)}",
                low=words == "at least",
                high=words == "at most",
            )
