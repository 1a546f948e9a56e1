"""Draw a metric's history: a small line for a table's row, or a full picture.

The full picture shows the gates' bounds and the baseline.
"""

from __future__ import annotations

import itertools
import math
import sys
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

from nbci.formatting.durations import moment
from nbci.formatting.numbers import number, number_or_blank
from nbci.pipeline.metric_names import short_name
from nbci.report.charts import palette
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.metric_history import describe_history
from nbci.report.charts.svg import FONT, cut_middle, pixels, svg_file, text_width
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.report.charts.metric_history import Bound, History

_WIDTH, _HEIGHT = 320, 168
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 256.0, 14.0, 138.0
_ROWS = 12
_Point = tuple[float, float]
_LETTERS = 11
_RULES = Template(
    "text{font:${letters}px $font;fill:$quiet}.grid{stroke:$line}"
    ".line{fill:none;stroke:$link;stroke-width:2}.dot{fill:$link}"
    ".hollow{fill:$page;stroke:$link;stroke-width:1.5}.now{font-weight:600;fill:$link}"
    ".label{paint-order:stroke;stroke:$page;stroke-width:2px;stroke-linejoin:round}"
    ".refused{fill:$bad;fill-opacity:.1}"
    ".bound{stroke:$bad;stroke-width:1.5;stroke-dasharray:6 3}"
    ".asked{fill:$bad}.base{stroke:$quiet;stroke-width:1.5;stroke-dasharray:1.5 3}"
)
_DARK_RULES = Template(
    "text{fill:$quiet}.grid{stroke:$line}.line{stroke:$link}.dot{fill:$link}"
    ".hollow{fill:$page;stroke:$link}.now{fill:$link}.label{stroke:$page}"
    ".refused{fill:$bad;fill-opacity:.13}.bound{stroke:$bad}.asked{fill:$bad}.base{stroke:$quiet}"
)


def _style() -> str:
    used = {
        "page": palette.PAGE,
        "quiet": palette.QUIET,
        "line": palette.LINE,
        "link": palette.LINK,
        "bad": palette.BAD,
    }
    light, dark = {}, {}
    for name, colour in used.items():
        light[name], dark[name] = colour
    rules = _RULES.substitute(light, letters=_LETTERS, font=FONT)
    return f"{rules}@media(prefers-color-scheme:dark){{{_DARK_RULES.substitute(dark)}}}"


STYLE = _style()


def sparkline(history: History) -> Markup | None:
    """Return the history as a picture one text line high, as part of a page.

    None where there is only one point.
    """
    if not history.is_drawable:
        return None
    values = history.values
    # The dot has a radius of 2.5 and must fit into 24 pixels, also at the extremes.
    scale = _Scale.of(history.known_values, 3, 21)
    step = 84 / (len(values) - 1)
    points = _points(values, scale, left=4, step=step)
    # The newest run may lack the value: the dot then marks the last run that has it.
    last = list(filter(None, points))[-1]
    return element(
        "svg",
        element("path", d=_path(points), class_="line"),
        element("circle", cx=pixels(last[0]), cy=pixels(last[1]), r="2.5", class_="dot"),
        class_="sparkline",
        role="img",
        aria_label=describe_history(history),
        width=92,
        height=24,
        viewBox="0 0 92 24",
    )


def history_figure(history: History, path: str) -> Figure | None:
    """The picture of it, to be written to `path`; None where there is only one point."""
    if not history.is_drawable:
        return None
    alt = describe_history(history)
    content = svg_file(_picture(history), width=_WIDTH, height=_HEIGHT, style=STYLE, title=alt)
    title = history.metric
    if history.unit:
        title += f" ({history.unit})"
    return Figure(
        name=history.metric,
        title=title,
        alt=alt,
        path=path,
        content=content,
        width=_WIDTH,
        height=_HEIGHT,
        numbers=_numbers(history),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """Heights on paper for values: `low` stands at `bottom`, `high` at `top`."""

    low: float
    high: float
    top: float
    bottom: float

    @classmethod
    def of(cls, values: Sequence[float], top: float, bottom: float) -> _Scale:
        low, high = min(values), max(values)
        # halves, since the difference of two great numbers may be none
        if (room := high / 2 - low / 2) <= abs(high) * 1e-12:
            # Equal values have no span to divide by, and 5 percent of zero are none either.
            room = abs(high) * 0.05 or 0.5
            # Near the largest float the added room would be infinite, and no height a number.
            low, high = max(low - room, -sys.float_info.max), min(high + room, sys.float_info.max)
        return cls(low=low, high=high, top=top, bottom=bottom)

    def __call__(self, value: float) -> float:
        share = (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)
        return self.bottom - share * (self.bottom - self.top)


def _points(
    values: Sequence[float | None], scale: _Scale, *, left: float, step: float
) -> list[_Point | None]:
    """A point for each run; None, a gap in the line, for a run without a value."""
    points: list[_Point | None] = []
    for at, value in enumerate(values):
        if value is None:
            points.append(None)
        else:
            points.append((left + at * step, scale(value)))
    return points


def _picture(history: History) -> Markup:
    values = history.known_values
    # A bound that is far off would press the line of values flat: an arrow names it.
    near, far = [], []
    heights = list(values)
    for bound in history.bounds:
        if _is_near(bound.value, values):
            near.append(bound)
            heights.append(bound.value)
        else:
            far.append(bound)
    baseline = history.baseline
    if baseline is not None and _is_near(baseline, values):
        heights.append(baseline)
    else:
        baseline = None

    scale = _Scale.of(heights, _TOP + 8, _BOTTOM - 8)
    step = (_RIGHT - _LEFT - 12) / (len(history.values) - 1)
    points = _points(history.values, scale, left=_LEFT + 6, step=step)
    return fragment(
        # SVG paints in this order: what gates refuse lies behind the line, labels in front of it.
        *(_bound(bound, scale) for bound in near),
        *_axis(history, scale),
        _baseline(baseline, scale),
        element("path", d=_path(points), class_="line"),
        *_dots(history, points),
        *_dates(history),
        *_labels(near, baseline, scale, points),
        *_arrows(far, max(values)),
    )


def _is_near(value: float, values: Sequence[float]) -> bool:
    """Whether showing it leaves the values a fair share of the height."""
    low, high = min(values), max(values)
    span = max(high / 2 - low / 2, abs(high) * 0.025, abs(low) * 0.025)
    # Of values near the largest float, the span has no eightfold, and nothing is out of reach.
    if math.isinf(8 * span):
        return True
    return low - 8 * span <= value <= high + 8 * span


def _axis(history: History, scale: _Scale) -> Iterator[Markup]:
    for value in dict.fromkeys((scale.low, scale.high)):
        y = scale(value)
        yield element(
            "line", x1=pixels(_LEFT), x2=pixels(_RIGHT), y1=pixels(y), y2=pixels(y), class_="grid"
        )
        text = f"{value:.4g}"
        if history.unit == "%":
            text += " %"
        yield element(
            "text", cut_middle(text, 8), x=pixels(_LEFT - 6), y=pixels(y + 4), text_anchor="end"
        )


def _baseline(value: float | None, scale: _Scale) -> Markup | None:
    if value is None:
        return None
    return _across(scale(value), "base")


def _across(y: float, kind: str) -> Markup:
    return element(
        "line", x1=pixels(_LEFT), x2=pixels(_RIGHT), y1=pixels(y), y2=pixels(y), class_=kind
    )


def _bound(bound: Bound, scale: _Scale) -> Markup:
    """The line, and the side of it that the gate refuses."""
    y = scale(bound.value)
    top, bottom = _TOP - 8, _BOTTOM + 2
    line = _across(y, "bound")
    if bound.low:
        return fragment(_refused_side(y, bottom), line)
    if bound.high:
        return fragment(_refused_side(top, y), line)
    return line


def _refused_side(top: float, bottom: float) -> Markup:
    return element(
        "rect",
        y=pixels(top),
        height=pixels(bottom - top),
        class_="refused",
        x=pixels(_LEFT),
        width=pixels(_RIGHT - _LEFT),
    )


def _labels(
    bounds: Sequence[Bound],
    baseline: float | None,
    scale: _Scale,
    points: Sequence[_Point | None],
) -> Iterator[Markup]:
    """What the lines are, each at the end and on the side of its line where it covers least."""
    lines = [(bound.words, scale(bound.value), "label asked") for bound in bounds]
    if baseline is not None:
        lines.append((f"baseline {number(baseline)}", scale(baseline), "label"))

    drawn = list(_points_along(points))
    for _, height, _ in lines:
        drawn += _level(_LEFT, int(_RIGHT - _LEFT), height, every=4)
    for words, height, kind in lines:
        width = text_width(words, _LETTERS)
        places = itertools.product((height - 4, height + 12), (_LEFT + 4, _RIGHT - width - 8))
        y, x = min(places, key=lambda place: _count_covered(place, width, drawn))
        # The labels that follow must not cover this one.
        drawn += _level(x, int(width), y - 4, every=2)
        yield element("text", words, x=pixels(x), y=pixels(y), class_=kind)


def _level(left: float, width: int, y: float, *, every: int) -> Iterator[_Point]:
    """Points on a level line, so many pixels from each other."""
    for at in range(0, width, every):
        yield left + at, y


def _points_along(points: Sequence[_Point | None]) -> Iterator[_Point]:
    """Points along the line, close to each other."""
    for before, after in itertools.pairwise(points):
        if before is None or after is None:
            continue
        (x0, y0), (x1, y1) = before, after
        for at in range(17):
            yield x0 + (x1 - x0) * at / 16, y0 + (y1 - y0) * at / 16


def _count_covered(place: tuple[float, float], width: float, drawn: Iterable[_Point]) -> int:
    """How many of the points a label would cover; `place` is its y and its x."""
    y, left = place
    count = 0
    for other_x, other_y in drawn:
        if left - 2 <= other_x <= left + width + 2 and y - _LETTERS <= other_y <= y + 2:
            count += 1
    return count


def _arrows(far: Iterable[Bound], highest: float) -> Iterator[Markup]:
    """Bounds that are too far off to be drawn, by an arrow in their direction."""
    for at, bound in enumerate(far):
        arrow, y = "↓", _BOTTOM - 12 * at
        if bound.value > highest:
            arrow, y = "↑", _TOP + 12 * at
        yield element(
            "text", f"{arrow} {bound.words}", x=pixels(_LEFT + 4), y=pixels(y), class_="label asked"
        )


def _dots(history: History, points: Sequence[_Point | None]) -> Iterator[Markup]:
    """Return a dot for each run while there is room, and the last one's value.

    A dot is hollow for a run that did not pass.
    """
    # More dots of 5 pixels on a line of 190 would leave hardly a gap, and hide the line.
    crowded = len(points) > 30
    for one, point in zip(history.moments[:-1], points[:-1], strict=True):
        if point is not None and not crowded:
            kind = "hollow"
            if one.result == "passed":
                kind = "dot"
            yield element("circle", cx=pixels(point[0]), cy=pixels(point[1]), r="2.5", class_=kind)
    last, value = points[-1], history.values[-1]
    if last is not None and value is not None:
        yield element("circle", cx=pixels(last[0]), cy=pixels(last[1]), r="4", class_="dot")
        shown = cut_middle(number(value), 9)
        yield element("text", shown, x=pixels(_RIGHT + 3), y=pixels(last[1] + 4), class_="now")


def _dates(history: History) -> Iterator[Markup]:
    """When the first and the last run were; by the clock, where all were on one day."""
    first = moment(history.moments[0].started_utc)
    last = moment(history.moments[-1].started_utc)
    # Runs of one day would have the same date at both ends, which does not tell them apart.
    if first[:10] == last[:10]:
        first, last = first[11:16], last[:16]
    else:
        first, last = first[:10], last[:10]
    y = pixels(_BOTTOM + 20)
    yield element("text", first, x=pixels(_LEFT), y=y)
    yield element("text", last, x=pixels(_RIGHT), y=y, text_anchor="end")


def _path(points: Sequence[_Point | None]) -> str:
    """A line through the points, with a gap where one is missing."""
    path = ""
    command = "M"
    for point in points:
        if point is None:
            # A line over a gap would show values that the run there does not have.
            command = "M"
            continue
        path += f"{command}{pixels(point[0])} {pixels(point[1])}"
        command = "L"
    return path


def _numbers(history: History) -> Numbers:
    shown = history.moments[-_ROWS:]
    rows = []
    # The newest first, as `nbci metrics history` lists them.
    for one in reversed(shown):
        row = (moment(one.started_utc), one.run, one.result, number_or_blank(one.value))
        rows.append(row)
    return Numbers(
        heads=("Started", history.noun.capitalize(), "Result", short_name(history.metric)),
        rows=tuple(rows),
        left_out=len(history.moments) - len(shown),
    )
