"""Where values stand along an axis: numbers, numbers by order of magnitude, and categories."""

from __future__ import annotations

import itertools
import json
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nbci.formatting.numbers import MINUS, counted, number
from nbci.pipeline.search_space import Range
from nbci.sweeps.space import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.pipeline.search_space import Dimension, Direction

_LOG_SPAN = 1000
"""So many times the smallest of positive values is the largest, and a plain axis shows few."""
_FEWEST_FOR_FENCES = 8
_FENCE = 3.0
"""Lengths of the middle half of values; https://en.wikipedia.org/wiki/Outlier#Tukey's_fences."""
_FAR_SHARE = 0.15
_SAME = 1e-12
_TICKS = 4
_LARGEST = sys.float_info.max
_LARGEST_POWER = sys.float_info.max_10_exp


class Tick(NamedTuple):
    """A mark along an axis: how far along, from 0 to 1, and what it says."""

    share: float
    text: str


class Scale(Protocol):
    """An axis: `share` is how far along a value stands, None where it has no place there."""

    @property
    def ticks(self) -> Sequence[Tick]: ...

    def share(self, value: Any) -> float | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberScale:
    """Numbers from `low` to `high`, both as they stand on the axis: logarithms where `is_log`.

    Where all of them are whole, so are the ticks.
    """

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False

    def share(self, value: Any) -> float | None:
        """How far along the number stands; less than 0 or more than 1 beyond the ends."""
        # In Python, True is a number.
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not math.isfinite(value) or (self.is_log and value <= 0):
            return None
        place = math.log10(value) if self.is_log else float(value)
        # Halves, since the difference of two great numbers may be infinite.
        return (place / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    @property
    def ticks(self) -> Sequence[Tick]:
        """Round numbers, few enough to be told apart."""
        if self.is_log:
            return tuple(self._log_ticks())
        return tuple(self._plain_ticks())

    def _plain_ticks(self) -> Iterator[Tick]:
        step = _round_step((self.high / 2 - self.low / 2) / (_TICKS / 2))
        if self.is_whole:
            step = max(step, 1.0)
        digits = _digits(max(abs(self.low), abs(self.high)), step)
        first = math.ceil(self.low / step)
        for at in range(_TICKS * 3):
            value = (first + at) * step
            share = self.share(value)
            if share is None or share > 1 + _SAME:
                return
            yield Tick(share, tick_text(value, digits))

    def _log_ticks(self) -> Iterator[Tick]:
        # Of a range within one order of magnitude, no power of ten may be left.
        if self.high - self.low < 1.5:
            yield from self._ticks_at(_few_powers(self.low, self.high))
            return
        # The axis may go on where floats end.
        first = max(math.ceil(self.low - _SAME), -_LARGEST_POWER)
        last = min(math.floor(self.high + _SAME), _LARGEST_POWER)
        every = max(1, math.ceil((last - first) / (_TICKS + 1)))
        yield from self._ticks_at(10.0**power for power in range(first, last + 1, every))

    def _ticks_at(self, values: Iterable[float]) -> Iterator[Tick]:
        for value in values:
            share = self.share(value)
            if share is not None:
                yield Tick(share, tick_text(value, 3))


class CategoryScale:
    """Values beside each other, in their order, each in the middle of its column."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(values)
        self._places = {_key(value): place for place, value in enumerate(values)}

    def share(self, value: Any) -> float | None:
        """The middle of the column; None for a value that has none."""
        place = self._places.get(_key(value))
        if place is None:
            return None
        return (place + 0.5) / len(self.values)

    @property
    def ticks(self) -> Sequence[Tick]:
        """One for each of the values."""
        found = []
        for place, value in enumerate(self.values):
            found.append(Tick((place + 0.5) / len(self.values), shown(value)))
        return tuple(found)


def numbers_of(
    values: Iterable[float], *, is_log: bool = False, is_whole: bool = False, room: float = 0.0
) -> NumberScale:
    """The axis that has all of the finite values, with `room` as a share of it at each end."""
    places = []
    for value in values:
        if math.isfinite(value) and (value > 0 or not is_log):
            places.append(math.log10(value) if is_log else float(value))
    low, high = min(places, default=0.0), max(places, default=1.0)
    # Halves here, too: the span of all floats is infinite.
    span = (high / 2 - low / 2) * room * 2
    if high / 2 - low / 2 <= max(abs(high), abs(low)) * _SAME:
        # Equal values have no span to divide by.
        span = max(abs(high), abs(low)) * 0.05 or 0.5
    if is_whole and high == low:
        span = 0.5
    return NumberScale(
        low=max(low - span, -_LARGEST),
        high=min(high + span, _LARGEST),
        is_log=is_log,
        is_whole=is_whole,
    )


def scale_of_objective(values: Sequence[float], direction: Direction) -> NumberScale:
    """The axis of a metric; by orders of magnitude where its values span many of them.

    Few values far beyond the others in the worse direction lie beyond its end, where they would
    press the others flat.
    """
    whole = scale_of_metric(values)
    if whole.is_log:
        return whole
    return scale_of_metric(_near_ones(sorted(filter(math.isfinite, values)), direction))


def scale_of_metric(values: Sequence[float]) -> NumberScale:
    """The same with all of the values."""
    known = list(filter(math.isfinite, values))
    low, high = min(known, default=0.0), max(known, default=1.0)
    # A loss falls by orders of magnitude, and a plain axis would show its beginning only.
    return numbers_of(known, is_log=low > 0 and high / low >= _LOG_SPAN, room=0.05)


def _near_ones(ordered: Sequence[float], direction: Direction) -> Sequence[float]:
    """The values without those that lie far from the middle half of all, as Tukey's fences say."""
    count = len(ordered)
    if count < _FEWEST_FOR_FENCES:
        return ordered
    # Quartiles, unlike mean and deviation, do not follow what is far off.
    low, high = ordered[count // 4], ordered[-1 - count // 4]
    room = (high / 2 - low / 2) * 2 * _FENCE
    if not 0 < room < math.inf:
        return ordered
    if direction == "maximize":
        near = [value for value in ordered if value >= low - room]
    else:
        near = [value for value in ordered if value <= high + room]
    # Many values far off are no accidents, but what the parameters do.
    if len(near) < count * (1 - _FAR_SHARE):
        return ordered
    return near


def beyond_note(scale: NumberScale, values: Iterable[float]) -> str | None:
    """Which values an axis does not reach; None where it has all."""
    far = []
    for value in values:
        share = scale.share(value)
        if share is not None and not 0 <= share <= 1:
            far.append(value)
    if not far:
        return None
    ends = " to ".join(dict.fromkeys((number(min(far)), number(max(far)))))
    return f"Hollow marks at the edge: {counted(len(far), 'value')} far beyond it, {ends}."


def scale_of(dimension: Dimension, values: Iterable[Any]) -> Scale:
    """The axis of a parameter, with all that is searched and all that trials have."""
    tried = list(values)
    if isinstance(dimension, Range):
        # Seeded from earlier runs, a trial may lie outside of what is searched.
        inside = [value for value in tried if isinstance(value, int | float)]
        ends = [dimension.low, dimension.high]
        is_whole = dimension.is_whole
        return numbers_of([*ends, *inside], is_log=dimension.log, is_whole=is_whole, room=0.03)
    known = {_key(value): value for value in (*dimension.values, *tried)}
    ordered = list(known.values())
    # NumberScale have an order of their own, and a file may list them in any.
    if all(_is_number(value) for value in ordered):
        ordered.sort()
    return CategoryScale(ordered)


def shown(value: Any) -> str:
    """A parameter's value as the axis says it."""
    if isinstance(value, str):
        return value
    if _is_number(value):
        return tick_text(float(value), 6)
    # As a pipeline file has it.
    return json.dumps(value)


def tick_text(value: float, digits: int) -> str:
    """A number in so many significant digits, without what a computer adds to it."""
    if value == 0:
        return "0"
    digits = max(digits, 1)
    size = math.floor(math.log10(abs(value)))
    if -5 < size < 7:
        text = f"{value:.{max(digits - 1 - size, 0)}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return text.replace("-", MINUS)
    # As short as can be: there is little room beside an axis.
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}".replace("-", MINUS)


def _digits(largest: float, step: float) -> int:
    """How many significant digits tell two neighbouring ticks apart."""
    if largest == 0:
        return 1
    return min(15, max(1, math.floor(math.log10(largest)) - math.floor(math.log10(step)) + 1))


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below `rough`."""
    # The smallest floats have no power of ten below them.
    power = 10.0 ** max(math.floor(math.log10(max(rough, 1e-300))), -300)
    for factor in (1, 2, 5):
        if factor * power >= rough:
            return factor * power
    return 10 * power


def _few_powers(low: float, high: float) -> Iterator[float]:
    """1, 2 and 5 times the powers of ten between two logarithms; the ends where there are none."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    found = []
    for power, factor in itertools.product(powers, (1, 2, 5)):
        value = factor * 10.0**power
        if low <= math.log10(value) <= high:
            found.append(value)
    # Such a narrow range may lie between two of them.
    if len(found) < 2:
        found = [10.0**low, 10.0**high]
    yield from found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _key(value: Any) -> str:
    # In Python, 1 == True == 1.0.
    return identity({"": value})
