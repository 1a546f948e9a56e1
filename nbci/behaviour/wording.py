"""A difference of behaviour in sentences, as the page, pull requests and the terminal have it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbci.formatting.numbers import MINUS, counted, rough, signed
from nbci.formatting.text import short_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.behaviour.difference import Difference, MetricChange
    from nbci.behaviour.significance import Interval
    from nbci.behaviour.slices import SliceChange

CHANCE = 0.05
"""A p-value above this is called chance: the usual level of significance."""
_SMALLEST_P = 0.001
_WORST_SLICES = 3


def summarise(difference: Difference) -> Iterator[str]:
    """At most five sentences: cases, the metric, slices that lost, what was not compared."""
    yield outcome_sentence(difference)
    yield metric_sentence(difference.metrics[0])
    lost = significant_losses(difference)
    if lost:
        worst = "; ".join(map(slice_sentence, lost[:_WORST_SLICES]))
        yield f"worse in {counted(len(lost), 'slice')}: {worst}"
    elif difference.slices.compared:
        yield f"no loss beyond chance in {counted(difference.slices.compared, 'slice')}"
    yield from difference.notes[:1]


def outcome_sentence(difference: Difference) -> str:
    """How many cases were compared, and how many of them turned."""
    cases = counted(difference.cases, "case")
    outcomes = difference.outcomes
    if outcomes is None:
        return f"{cases} compared"
    flips = share(outcomes.broken / difference.cases)
    return f"{cases}: {outcomes.fixed:,} fixed, {outcomes.broken:,} broken ({flips} of all)"


def metric_sentence(change: MetricChange) -> str:
    """The metric of both models, and how far the change may be chance."""
    move = f"{change.name} {number_of(change.baseline)} → {number_of(change.run)}"
    return f"{move} ({signed(change.change)}, {chance(change.p_value)})"


def slice_sentence(change: SliceChange) -> str:
    """The slice and its change: `country = fr: 0.91 → 0.84 in 312 cases`."""
    move = f"{number_of(change.baseline)} → {number_of(change.run)}"
    return f"{slice_name(change)}: {move} in {counted(change.cases, 'case')}"


def slice_name(change: SliceChange) -> str:
    """The columns and their values, for people."""
    parts = []
    for column, value in zip(change.columns, change.values, strict=True):
        # Whole documents are values of some columns.
        parts.append(f"{short_line(column)} = {short_line(value)}")
    return ", ".join(parts)


def significant_losses(difference: Difference) -> list[SliceChange]:
    """The slices that are worse beyond chance, the surest first."""
    sign = 1.0
    if difference.metrics[0].better == "lower":
        sign = -1.0
    found = []
    for change in difference.slices.changes:
        if sign * change.change < 0 and change.corrected < CHANCE:
            found.append(change)
    return found


def chance(p_value: float) -> str:
    """The p-value, and what it says."""
    shown = f"p = {rough(round(p_value, 3))}"
    if p_value < _SMALLEST_P:
        shown = f"p < {_SMALLEST_P}"
    if p_value >= CHANCE:
        return f"may be chance, {shown}"
    return shown


def confidence_text(confidence: float | None, difference: Difference) -> str:
    """How sure a model is of a prediction: as a percentage if scores are from 0 to 1."""
    if confidence is None:
        return ""
    if difference.calibration is None or difference.calibration.run is None:
        return number_of(confidence)
    # Rounded down: a model that is nearly sure is not sure, which is what its mistake is about.
    tenths = math.floor(round(1000 * confidence, 6)) / 10
    return f"{tenths:g}\N{NO-BREAK SPACE}%"


def share(part: float) -> str:
    """A share of all cases as a percentage."""
    return f"{100 * part:.3g}\N{NO-BREAK SPACE}%"


def number_of(value: float) -> str:
    """A metric in four digits: more of them are noise in the counts that are usual."""
    return rough(value).replace("-", MINUS)


def interval_text(interval: Interval) -> str:
    """The bounds of an interval of 95 %."""
    return f"{number_of(interval.low)} … {number_of(interval.high)}"
