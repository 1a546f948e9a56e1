"""Bounds: how much room a number has.

Reckoned in decimal fractions, so that 0.8 may fall by 0.1 to 0.7.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.pipeline.rules import exact

if TYPE_CHECKING:
    from fractions import Fraction

    from nbci.pipeline.rules import Gate


class Bounds(Struct, frozen=True, kw_only=True):
    """What a number must be: no less, no more, and exactly this, as far as they are given."""

    low: Fraction | None = None
    high: Fraction | None = None
    equals: Fraction | None = None


def bounds_of(gate: Gate, baseline: float | None) -> Bounds:
    """The gate's bounds; those against a baseline only where there is one."""
    lows = [exact(gate.at_least)] if gate.at_least is not None else []
    highs = [exact(gate.at_most)] if gate.at_most is not None else []
    if baseline is not None and math.isfinite(baseline):
        if gate.max_drop is not None:
            lows.append(exact(baseline) - gate.max_drop.of(baseline))
        if gate.max_rise is not None:
            highs.append(exact(baseline) + gate.max_rise.of(baseline))
        if gate.within is not None:
            lows.append(exact(baseline) - gate.within.of(baseline))
            highs.append(exact(baseline) + gate.within.of(baseline))
    return Bounds(
        low=max(lows, default=None),
        high=min(highs, default=None),
        equals=exact(gate.equals) if gate.equals is not None else None,
    )


def margin(value: float, bounds: Bounds) -> float | None:
    """The room to the nearest bound, negative where one is missed; None where nothing is asked."""
    if not math.isfinite(value):
        return _margin_of_infinity(value, bounds)
    number = exact(value)
    rooms = []
    if bounds.low is not None:
        rooms.append(number - bounds.low)
    if bounds.high is not None:
        rooms.append(bounds.high - number)
    if bounds.equals is not None:
        rooms.append(-abs(number - bounds.equals))
    return _as_float(min(rooms)) if rooms else None


def _margin_of_infinity(value: float, bounds: Bounds) -> float | None:
    """An infinite number has endless room on one side, and misses every other bound endlessly."""
    rooms = []
    if bounds.low is not None:
        rooms.append(value)
    if bounds.high is not None:
        rooms.append(-value)
    if bounds.equals is not None:
        rooms.append(-math.inf)
    return min(rooms) if rooms else None


def _as_float(room: Fraction) -> float:
    """The nearest float; one that is not zero keeps its sign, however small."""
    try:
        found = float(room)
    except OverflowError:
        found = math.inf
    sign = -1 if room < 0 else 1
    return sign * (abs(found) or (5e-324 if room else 0.0))
