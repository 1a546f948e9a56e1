"""Bounds of a metric, and how much room a value has within them.

Computed in decimal fractions, so that 0.8 may fall by 0.1 to 0.7.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.formatting.numbers import rough
from nbci.pipeline.rules import exact

if TYPE_CHECKING:
    from fractions import Fraction

    from nbci.pipeline.rules import Gate

_SMALLEST = 5e-324
"""The smallest float above zero."""


class Bounds(Struct, frozen=True, kw_only=True):
    """The least, the greatest and the exact value that are asked of a number; None for any."""

    low: Fraction | None = None
    high: Fraction | None = None
    equals: Fraction | None = None


def bounds_of(gate: Gate, baseline: float | None) -> Bounds:
    """The gate's bounds; those against a baseline only where there is one."""
    lows: list[Fraction] = []
    highs: list[Fraction] = []
    if gate.at_least is not None:
        lows.append(exact(gate.at_least))
    if gate.at_most is not None:
        highs.append(exact(gate.at_most))

    # Fractions hold neither NaN nor the infinities.
    if baseline is not None and math.isfinite(baseline):
        if gate.max_drop is not None:
            lows.append(exact(baseline) - gate.max_drop.of(baseline))
        if gate.max_rise is not None:
            highs.append(exact(baseline) + gate.max_rise.of(baseline))
        if gate.within is not None:
            lows.append(exact(baseline) - gate.within.of(baseline))
            highs.append(exact(baseline) + gate.within.of(baseline))
        # The baseline itself is on the right side of this bound; `judge` refuses it.
        if gate.better == "up":
            lows.append(exact(baseline))
        elif gate.better == "down":
            highs.append(exact(baseline))

    equals = None
    if gate.equals is not None:
        equals = exact(gate.equals)
    return Bounds(low=max(lows, default=None), high=min(highs, default=None), equals=equals)


def margin(value: float, bounds: Bounds) -> float | None:
    """The room to the nearest bound, negative where one is missed; None where nothing is asked."""
    if not math.isfinite(value):
        return _margin_of_infinity(value, bounds)
    # A value just within a bound is not to miss it by binary rounding.
    number = exact(value)
    rooms: list[Fraction] = []
    if bounds.low is not None:
        rooms.append(number - bounds.low)
    if bounds.high is not None:
        rooms.append(bounds.high - number)
    if bounds.equals is not None:
        rooms.append(-abs(number - bounds.equals))
    if not rooms:
        return None
    return _as_float(min(rooms))


def is_missed(room: float | None) -> bool:
    """Whether a bound is missed; a room that nobody can tell (NaN) is a miss."""
    return room is not None and (room < 0 or math.isnan(room))


def room_in_words(room: float | None) -> str:
    """By how much a bound is missed, or how much is to spare, in a verdict's words."""
    if is_missed(room):
        return f"misses by {rough(-(room or 0.0))}"
    return f"{rough(room or 0.0)} to spare"


def _margin_of_infinity(value: float, bounds: Bounds) -> float | None:
    """An infinite number has endless room on one side, and misses every other bound endlessly."""
    rooms: list[float] = []
    if bounds.low is not None:
        rooms.append(value)
    if bounds.high is not None:
        rooms.append(-value)
    if bounds.equals is not None:
        rooms.append(-math.inf)
    return min(rooms, default=None)


def _as_float(room: Fraction) -> float:
    """The nearest float; a room that is not zero keeps its sign, however small."""
    if not room:
        return 0.0
    try:
        size = abs(float(room))
    except OverflowError:
        size = math.inf
    # A miss that rounds to zero would pass the gate.
    size = size or _SMALLEST
    if room < 0:
        return -size
    return size
