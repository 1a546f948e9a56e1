"""How a column is distributed in the window, drawn over the reference's distribution."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.behaviour.wording import share as share_text
from nbci.formatting.durations import minute, utc_text
from nbci.formatting.numbers import number, rough
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.monitor.category_bars import category_picture, has_counts, share_rows
from nbci.report.charts.panel import (
    SMALL,
    Panel,
    box,
    draw_axes,
    left_of,
    legend,
    path_of,
    picture,
)
from nbci.report.charts.scale import Tick, numbers_of
from nbci.report.data.drift_wording import drift_sentence, shown_name
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from nbci.records.profile import ColumnDrift, ColumnProfile
    from nbci.report.charts.scale import Scale

_BINS = 32
_TOP, _HEIGHT = 48, 110
_TAIL = 0.005
"""The share of rows at each end that the axis may leave out."""
_WORTH_A_LONGER_AXIS = 1.6
_ROWS_OF_VALUE = 5
_DAY_SECONDS = 86_400.0
# Years of four digits.
_FIRST_SECOND, _LAST_SECOND = -30_000_000_000.0, 253_000_000_000.0
_SHARES = {"lowest": 0.0, "5 %": 0.05, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95}


def distribution_figure(
    drift: ColumnDrift, before: ColumnProfile | None, now: ColumnProfile | None, path: str
) -> Figure | None:
    """The picture of one column, to be written to `path`; None where there is nothing to draw."""
    profiles = Pair(before, now)
    sentence = drift_sentence(drift)
    alt = f"{shown_name(drift.column)} in the window over the reference: {sentence}"
    if _is_of_values(before, now):
        content, height = category_picture(before, now)
        numbers = Numbers(heads=("Value", "Reference", "Window"), rows=share_rows(before, now))
    elif profiles.has("quantiles"):
        content, height = _histogram(profiles)
        numbers = _quantile_numbers(profiles)
        sentence += _beyond(profiles)
    elif profiles.has("means"):
        content, height = _means(profiles)
        numbers = None
    else:
        return None
    return Figure(
        name=drift.column,
        title=shown_name(drift.column),
        alt=alt,
        path=path,
        content=picture(content, width=SMALL, height=height, title=alt),
        width=SMALL,
        height=round(height),
        note=sentence,
        numbers=numbers,
    )


def _is_of_values(before: ColumnProfile | None, now: ColumnProfile | None) -> bool:
    """Whether the counts of values are drawn; of numbers, only where several rows have each."""
    known = before or now
    if known is None or known.kind != "number" or not known.quantiles:
        return has_counts(before) or has_counts(now)
    # A few dozen measurements are all different: each of them would be a bar of its own.
    is_repeated = _ROWS_OF_VALUE * len(known.counts or {}) <= known.values
    return has_counts(known) and is_repeated and (now is None or has_counts(now))


@dataclass(frozen=True, slots=True)
class Pair:
    """A column's profiles: that of the reference and that of the window, as far as there are."""

    before: ColumnProfile | None
    now: ColumnProfile | None

    def has(self, field: str) -> bool:
        """Whether one of them has these numbers."""
        return bool(self.values(self.before, field) or self.values(self.now, field))

    def values(self, profile: ColumnProfile | None, field: str) -> Sequence[float]:
        """The numbers of one of them; none if one is not finite: the axis would have no ends."""
        values: Sequence[float] = getattr(profile, field, ())
        if all(map(math.isfinite, values)):
            return values
        return ()

    @property
    def is_time(self) -> bool:
        """Whether the numbers are seconds since 1970."""
        known = self.before or self.now
        return known is not None and known.kind == "time"


# ------------------------------------------------------------------------------------ numbers
def _histogram(profiles: Pair) -> tuple[Markup, float]:
    before = profiles.values(profiles.before, "quantiles")
    now = profiles.values(profiles.now, "quantiles")
    scale = numbers_of(_ends(before, now))
    shares = [at / _BINS for at in range(_BINS + 1)]
    edges = [scale.low * (1 - share) + scale.high * share for share in shares]
    across: Scale = scale
    if profiles.is_time:
        across = _TimeScale(scale.low, scale.high)
    sides = [_percentages(before, edges), _percentages(now, edges)]
    return _staircases(edges, sides, across, "% of rows")


def _ends(before: Sequence[float], now: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis: without the last rows of both, where they would press it flat."""
    known = [quantiles for quantiles in (before, now) if quantiles]
    low, high = min(each[0] for each in known), max(each[-1] for each in known)
    inner_low = min(quantile_at(each, _TAIL) for each in known)
    inner_high = max(quantile_at(each, 1 - _TAIL) for each in known)
    # Halves, since the difference of two great numbers may be infinite.
    if high / 2 - low / 2 > _WORTH_A_LONGER_AXIS * (inner_high / 2 - inner_low / 2) > 0:
        return inner_low, inner_high
    return low, high


def quantile_at(quantiles: Sequence[float], share: float) -> float:
    """The value below which that share of the rows lies."""
    place = share * (len(quantiles) - 1)
    at = min(int(place), len(quantiles) - 1)
    after = quantiles[min(at + 1, len(quantiles) - 1)]
    part = place - at
    return quantiles[at] * (1 - part) + after * part


def share_below(quantiles: Sequence[float], value: float) -> float:
    """The share of rows whose number is less."""
    at = bisect_left(quantiles, value)
    if at == 0:
        return 0.0
    if at == len(quantiles):
        return 1.0
    # Between two quantiles rows lie evenly, as far as is known.
    low, high = quantiles[at - 1], quantiles[at]
    part = (value / 2 - low / 2) / (high / 2 - low / 2)
    return (at - 1 + part) / (len(quantiles) - 1)


def _percentages(quantiles: Sequence[float], edges: Sequence[float]) -> list[float] | None:
    if not quantiles:
        return None
    below = [share_below(quantiles, edge) for edge in edges]
    # The last part has its upper edge, too.
    if edges[-1] >= quantiles[-1]:
        below[-1] = 1.0
    return [100 * (below[at + 1] - below[at]) for at in range(len(edges) - 1)]


def _beyond(profiles: Pair) -> str:
    """What the axis leaves out of the window."""
    before = profiles.values(profiles.before, "quantiles")
    now = profiles.values(profiles.now, "quantiles")
    if not now or profiles.is_time:
        return ""
    low, high = _ends(before, now)
    if low <= now[0] and now[-1] <= high:
        return ""
    return f". Beyond the axis: up to {number(now[-1])}, down to {number(now[0])}"


def _minute_text(seconds: float) -> str:
    """The moment to a minute; what no calendar has, such as a sentinel, as a number."""
    if not _FIRST_SECOND < seconds < _LAST_SECOND:
        return rough(seconds)
    return minute(utc_text(seconds))


@dataclass(frozen=True, slots=True)
class _TimeScale:
    """An axis of seconds since 1970, which says days, and minutes where it is short."""

    low: float
    high: float

    @property
    def ticks(self) -> Sequence[Tick]:
        """Both ends, as far as there is room for words."""
        letters = slice(0, 10)
        if self.high - self.low < 2 * _DAY_SECONDS:
            letters = slice(5, 16)
        found = []
        for share in (0.12, 0.88):
            seconds = self.low * (1 - share) + self.high * share
            found.append(Tick(share, _minute_text(seconds)[letters]))
        return found

    def share(self, value: Any) -> float | None:
        """How far along the moment is."""
        # Halves, since the difference of two great numbers may be infinite.
        return float((value / 2 - self.low / 2) / (self.high / 2 - self.low / 2))


# ------------------------------------------------------------------------------------ vectors
def _means(profiles: Pair) -> tuple[Markup, float]:
    """The means of a vector's parts, by the number of the part."""
    before = profiles.values(profiles.before, "means")
    now = profiles.values(profiles.now, "means")
    edges = [float(at) for at in range(max(len(before), len(now)) + 1)]
    across = numbers_of(edges, is_whole=True)
    return _staircases(edges, [list(before) or None, list(now) or None], across, "mean of a part")


# ------------------------------------------------------------------------------------ drawing
def _staircases(
    edges: Sequence[float], sides: Sequence[Sequence[float] | None], across: Scale, y_label: str
) -> tuple[Markup, float]:
    """The reference as an area, the window as a line over it."""
    heights = [height for side in sides for height in side or ()]
    upwards = numbers_of([0.0, *heights], room=0.0)
    left = left_of(upwards)
    panel = Panel(
        left=left,
        top=_TOP,
        width=SMALL - left - 12,
        height=_HEIGHT,
        across=across,
        upwards=upwards,
    )
    before, now = sides
    shown = [_legend(before is not None, now is not None), draw_axes(panel, "", y_label)]
    if before is not None:
        shown.append(element("path", d=_outline(edges, before, panel), class_="before"))
    if now is not None:
        shown.append(element("path", d=_outline(edges, now, panel), class_="line"))
    return fragment(*shown), panel.bottom + 24


def _outline(edges: Sequence[float], heights: Sequence[float], panel: Panel) -> str:
    points = [panel.place(edges[0], 0.0)]
    for at, height in enumerate(heights):
        points += [panel.place(edges[at], height), panel.place(edges[at + 1], height)]
    # A vector may have another number of parts than the reference's.
    points.append(panel.place(edges[len(heights)], 0.0))
    return path_of(points)


def _legend(has_before: bool, has_now: bool) -> Markup:
    entries = []
    if has_before:
        entries.append((box(-6, -5, 12, 10, "before"), "reference"))
    if has_now:
        entries.append((element("path", d="M-6 0L6 0", class_="line"), "window"))
    return legend(entries, 0, 12)


# ------------------------------------------------------------------------------------ numbers
def _quantile_numbers(profiles: Pair) -> Numbers:
    before = profiles.values(profiles.before, "quantiles")
    now = profiles.values(profiles.now, "quantiles")
    rows = []
    for words, share in {**_SHARES, "highest": 1.0}.items():
        cells = [_value(quantiles, share, profiles) for quantiles in (before, now)]
        rows.append((words, *cells))
    rows += _moments(profiles)
    return Numbers(heads=("", "Reference", "Window"), rows=tuple(rows))


def _value(quantiles: Sequence[float], share: float, profiles: Pair) -> str:
    if not quantiles:
        return ""
    value = quantile_at(quantiles, share)
    if profiles.is_time:
        return _minute_text(value)
    return rough(value)


def _moments(profiles: Pair) -> Iterator[tuple[str, str, str]]:
    before, now = profiles.before, profiles.now
    if not profiles.is_time:
        yield "mean", _rough(before, "mean"), _rough(now, "mean")
        yield "deviation", _rough(before, "deviation"), _rough(now, "deviation")
    yield "missing", _missing(before), _missing(now)


def _rough(profile: ColumnProfile | None, field: str) -> str:
    value: float | None = getattr(profile, field, None)
    if value is None:
        return ""
    return rough(value)


def _missing(profile: ColumnProfile | None) -> str:
    if profile is None or not profile.rows:
        return ""
    return share_text(profile.missing / profile.rows)
