"""What is said of a monitor's columns, and the order in which they are told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbci.behaviour.wording import share
from nbci.formatting.numbers import brief, listed, number, rough
from nbci.formatting.text import short_line
from nbci.pipeline.metric_names import short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.records.monitoring import MonitorResult
    from nbci.records.profile import ColumnDrift

MEASURES = {
    "psi": "PSI",
    "jensen_shannon": "Jensen-Shannon distance",
    "wasserstein": "Wasserstein distance",
}
_LONGEST_NAME, _LONGEST_VALUE = 80, 30
_NEW_VALUES = 3
_SMALLEST_P = 0.001
_WINDOWS = 30


def shown_name(name: str) -> str:
    """A column's, model's or category's name, which may be of any length and hold anything."""
    return short_line(name, _LONGEST_NAME) or "(no name)"


def worst_first(columns: Iterable[ColumnDrift]) -> Sequence[ColumnDrift]:
    """The columns that drifted, then the others by effect; those that have none come last."""
    return sorted(columns, key=_rank)


def _rank(drift: ColumnDrift) -> tuple[bool, float]:
    effect = drift.effect
    # NaN has no place in an order.
    if effect is None or math.isnan(effect):
        effect = -math.inf
    return not drift.is_drifted, -effect


def windows_of(result: MonitorResult, earlier: Iterable[MonitorResult]) -> Sequence[MonitorResult]:
    """The newest windows of the same model in the order of their judgement, this one last."""
    before = []
    for other in earlier:
        # A folder of results may hold this one, and what was judged after it.
        is_before = (other.judged_utc, other.id) < (result.judged_utc, result.id)
        if other.model == result.model and is_before:
            before.append(other)
    before.sort(key=lambda other: (other.judged_utc, other.id))
    return (*before[-(_WINDOWS - 1) :], result)


def reference_of(result: MonitorResult, metric: str) -> float | None:
    """What the release has of a metric, whose evidence says its step, too; None where not known."""
    reference = result.reference or {}
    if metric in reference:
        return reference[metric]
    found = [value for name, value in reference.items() if short_name(name) == metric]
    # Of two steps none is the one.
    return found[0] if len(found) == 1 else None


def drift_sentence(drift: ColumnDrift) -> str:
    """How far the column is away, and what else is unusual, as in `PSI 0.31, more than 0.2`."""
    if drift.effect is None:
        return drift.why or "it was not compared"
    parts = [f"{MEASURES[drift.measure]} {brief(drift.effect)}{_compared(drift)}"]
    if drift.p_corrected is not None:
        parts.append(p_text(drift.p_corrected))
    parts += _unusual(drift)
    return "; ".join(parts)


def _compared(drift: ColumnDrift) -> str:
    if drift.chance_limit is not None:
        return f", more than {number(drift.chance_limit)}, which may be chance"
    if drift.limit is None:
        return ""
    if drift.is_drifted:
        return f", more than {number(drift.limit)}"
    return f", at most {number(drift.limit)} allowed"


def _unusual(drift: ColumnDrift) -> Iterable[str]:
    if drift.missing_share != drift.missing_share_before:
        yield f"missing {share(drift.missing_share)} after {share(drift.missing_share_before)}"
    if drift.outside:
        yield f"{share(drift.outside)} outside of the reference's range"
    if drift.new_values:
        yield f"new: {new_values_text(drift)}"


def new_values_text(drift: ColumnDrift) -> str:
    """The categories that the reference has not, the first of them by name."""
    names = [short_line(value, _LONGEST_VALUE) for value in drift.new_values]
    return listed(names, _NEW_VALUES)


def p_text(p_value: float) -> str:
    """A p-value with its letter; below a thousandth its size says nothing."""
    if p_value < _SMALLEST_P:
        return f"p < {_SMALLEST_P}"
    return f"p = {rough(round(p_value, 3))}"
