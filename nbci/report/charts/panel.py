"""The plotting area of a picture: its axes, marks and lines, and what these look like.

Those of sweeps and of monitors look alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nbci.formatting.text import short_line
from nbci.report.charts import palette
from nbci.report.charts.palette import LEVELS
from nbci.report.charts.svg import FONT, cut_middle, pixels, svg_file, text_width, widest
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.report.charts.palette import Colour
    from nbci.report.charts.scale import Scale

LETTERS = 11
WIDE = 1000
"""Pixels of a picture that has the page's whole width."""
SMALL = 304
_LONGEST_LABEL = 200
Kind = Literal["complete", "beyond", "dot", "shade", "best", "front", "pruned", "failed", "running"]

# Colours alone do not tell marks apart for every reader (WCAG 2.2, success criterion 1.4.1).
_SHAPES: dict[Kind, str] = {
    "complete": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "beyond": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "dot": "M-1.7 0a1.7 1.7 0 1 0 3.4 0a1.7 1.7 0 1 0-3.4 0",
    "shade": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0",
    "best": "M0-7L2 -2.2L7 -2.2L3 .9L4.5 6L0 3L-4.5 6L-3 .9L-7 -2.2L-2 -2.2Z",
    "front": "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
    "pruned": "M-4-3L4-3L0 4Z",
    "failed": "M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5",
    "running": "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
}
_Rules = tuple[tuple[str, str, "Colour"], ...]
_COLOURS: _Rules = (
    ("text", "fill", palette.QUIET),
    (".strong", "fill", palette.TEXT),
    (".grid", "stroke", palette.LINE),
    (".axis,.pause", "stroke", palette.QUIET),
    (".complete", "fill", palette.LINK),
    (".dot", "fill", palette.TEXT),
    (".dot", "stroke", palette.PAGE),
    (".shade", "stroke", palette.QUIET),
    (".best,.front", "fill", palette.KEYWORD),
    (".best,.front", "stroke", palette.PAGE),
    (".pruned", "stroke", palette.QUIET),
    (".pruned", "fill", palette.PAGE),
    (".failed", "stroke", palette.BAD),
    (".running,.beyond", "stroke", palette.LINK),
    (".running,.beyond", "fill", palette.PAGE),
    (".line", "stroke", palette.KEYWORD),
    (".computed", "fill", palette.LINK),
    (".reused", "fill", palette.GOOD),
    (".equal", "fill", palette.KEYWORD),
    (".bar-pruned", "fill", palette.QUIET),
    (".bar-failed", "fill", palette.BAD),
    (".curve", "stroke", palette.LINK),
    (".curve-pruned", "stroke", palette.QUIET),
    (".halo", "stroke", palette.PAGE),
    (".on-bar", "fill", palette.PAGE),
    (".before", "fill", palette.QUIET),
    (".before", "stroke", palette.QUIET),
)
_FORMS = (
    f"text{{font:{LETTERS}px {FONT}}}.strong{{font-weight:600}}.grid,.axis{{stroke-width:1}}"
    ".complete{fill-opacity:.75}.pruned,.running,.beyond{stroke-width:1.3}"
    ".failed{stroke-width:1.8;fill:none}.line{fill:none;stroke-width:2}"
    ".trial{fill:none;stroke-width:1.2;stroke-opacity:.7}.thin{stroke-width:1.2}"
    ".dot,.shade{stroke-width:.7}"
    ".reused,.equal{fill-opacity:.8}"
    ".curve,.curve-pruned{fill:none;stroke-width:1;stroke-opacity:.6}"
    ".curve-pruned{stroke-dasharray:4 2}"
    ".on-bar{font-size:13px;font-weight:600}.small{font-size:10px}.pause{stroke-dasharray:3 3}"
    ".before{fill-opacity:.28;stroke-width:1}"
    ".halo{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}"
)


def _style() -> str:
    levels = []
    for place, colour in enumerate(LEVELS):
        levels += [(f".f{place}", "fill", colour), (f".s{place}", "stroke", colour)]
    # As attributes they would not know whether the page is dark.
    rules = (*_COLOURS, *levels)
    light = "".join(f"{which}{{{what}:{colour.light}}}" for which, what, colour in rules)
    dark = "".join(f"{which}{{{what}:{colour.dark}}}" for which, what, colour in rules)
    return f"{_FORMS}{light}@media(prefers-color-scheme:dark){{{dark}}}"


STYLE = _style()


def picture(content: Markup, *, width: float, height: float, title: str) -> bytes:
    """The file of a picture."""
    return svg_file(content, width=width, height=height, style=STYLE, title=title)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """An area in pixels with an axis at its left and one below it."""

    left: float
    top: float
    width: float
    height: float
    across: Scale
    upwards: Scale

    @property
    def right(self) -> float:
        """The x of its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower edge."""
        return self.top + self.height

    def x(self, value: Any) -> float | None:
        """Where a value stands; None where it has no place."""
        share = self.across.share(value)
        if share is None:
            return None
        return self.left + share * self.width

    def y(self, value: Any) -> float | None:
        """Where a value stands; None where it has no place."""
        share = self.upwards.share(value)
        if share is None:
            return None
        return self.bottom - share * self.height

    def place(self, across: Any, upwards: Any) -> tuple[float, float] | None:
        """Where a point stands, at the edge if it lies above or below; None without a place."""
        x, y = self.x(across), self.y(upwards)
        if x is None or y is None:
            return None
        # A mark beyond the area would lie on another part of the picture.
        return x, min(max(y, self.top), self.bottom)

    def is_beyond(self, upwards: float) -> bool:
        """Whether a value lies above or below the area."""
        share = self.upwards.share(upwards)
        return share is not None and not -0.001 <= share <= 1.001


def left_of(scale: Scale, *, most: float = 120.0) -> float:
    """The pixels that the labels at the left of an axis need."""
    # The label of a category may be as long as a sentence.
    return min(most, widest([tick.text for tick in scale.ticks], LETTERS)) + 14


def draw_axes(panel: Panel, x_label: str, y_label: str, *, below: float = 0.0) -> Markup:
    """The lines, ticks and names of both axes; the upward one's name stands above it.

    The axis across lies so many pixels `below` the area.
    """
    bottom = panel.bottom + below
    return fragment(
        *_upward_ticks(panel),
        *_across_ticks(panel, bottom),
        rule(panel.left, bottom, panel.right, bottom, "axis"),
        text_at(cut_to(y_label, panel.width), panel.left, panel.top - 10, kind="strong"),
        text_at(
            cut_to(x_label, panel.width),
            panel.left + panel.width / 2,
            bottom + 34,
            anchor="middle",
            kind="strong",
        ),
    )


def _upward_ticks(panel: Panel) -> Iterator[Markup]:
    for share, text in spaced(panel.upwards, panel.height, 13):
        y = panel.bottom - share * panel.height
        yield rule(panel.left, y, panel.right, y, "grid")
        yield text_at(cut_to(text, panel.left - 8), panel.left - 7, y + 4, anchor="end")


def _across_ticks(panel: Panel, bottom: float) -> Iterator[Markup]:
    ticks = panel.across.ticks
    wide = widest([tick.text for tick in ticks], LETTERS) + 10
    # Labels of many categories are cut rather than left out, as long as a few letters remain.
    room = max(min(wide, panel.width / max(len(ticks), 1)), 34.0)
    for share, text in spaced(panel.across, panel.width, room):
        x = panel.left + share * panel.width
        yield rule(x, bottom, x, bottom + 4, "axis")
        yield text_at(cut_to(text, room - 4), x, bottom + 17, anchor="middle")


def spaced(scale: Scale, length: float, room: float) -> Iterator[tuple[float, str]]:
    """The ticks of an axis of so many pixels that are at least `room` apart."""
    last = None
    for share, text in scale.ticks:
        # Ticks of an axis are round numbers, and the first or last may lie beyond it.
        if not -0.001 <= share <= 1.001:
            continue
        # Half a pixel: equal distances differ in their last digit.
        if last is None or (share - last) * length >= room - 0.5:
            last = share
            yield share, text


def mark(kind: Kind, x: float, y: float, class_: str | None = None) -> Markup:
    """The mark of a trial in that state."""
    return element(
        "path",
        d=_SHAPES[kind],
        transform=f"translate({pixels(x)} {pixels(y)})",
        class_=class_ or kind,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A trial at a place in pixels."""

    x: float
    y: float
    kind: Kind = "complete"
    class_: str | None = None


def draw_marks(marks: Iterable[Mark]) -> Markup:
    """The marks, the last ones in front; of those that hide each other, only the last."""
    # Of a thousand trials, hundreds have the same parameters or hide each other.
    seen: dict[tuple[str, int, int], Mark] = {}
    for each in marks:
        # Two marks of six pixels less than a pixel apart look like one.
        key = (each.class_ or each.kind, round(each.x), round(each.y))
        seen.pop(key, None)
        seen[key] = each
    return fragment(*(mark(each.kind, each.x, each.y, each.class_) for each in seen.values()))


def legend(entries: Sequence[tuple[Markup, str]], left: float, y: float) -> Markup:
    """Marks, drawn around (0, 0), with what they mean, beside each other."""
    parts = []
    x = left + 6
    for sign, words in entries:
        parts.append(element("g", sign, transform=f"translate({pixels(x)} {pixels(y)})"))
        parts.append(text_at(words, x + 11, y + 4))
        x += 11 + text_width(words, LETTERS) + 18
    return fragment(*parts)


def level_legend(words: tuple[str, str], left: float, y: float) -> Markup:
    """The shades from the worst to the best, with what stands at both ends."""
    worst, best = words
    x = left + text_width(worst, LETTERS) + 6
    parts = [text_at(worst, left, y + 4)]
    for place in range(len(LEVELS)):
        parts.append(box(x + 14 * place, y - 5, 14, 10, f"f{place}"))
    parts.append(text_at(best, x + 14 * len(LEVELS) + 6, y + 4))
    return fragment(*parts)


def box(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """A filled rectangle."""
    return element(
        "rect",
        x=pixels(x),
        y=pixels(y),
        width=pixels(width),
        height=pixels(height),
        class_=class_,
    )


def path_of(points: Iterable[tuple[float, float] | None]) -> str:
    """A line through the points, with a gap where one has no place."""
    path, command = "", "M"
    for point in points:
        # A line over a gap would show what was not measured.
        if point is None:
            command = "M"
            continue
        path += f"{command}{pixels(point[0])} {pixels(point[1])}"
        command = "L"
    return path


def cut_to(text: str, width: float) -> str:
    """The text, cut in its middle where it is wider than that."""
    # Marks of writing direction would turn what follows.
    line = short_line(text, _LONGEST_LABEL)
    if text_width(line, LETTERS) <= width:
        return line
    return cut_middle(line, max(int(width / (0.57 * LETTERS)), 2))


def rule(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element(
        "line", x1=pixels(x1), y1=pixels(y1), x2=pixels(x2), y2=pixels(y2), class_=class_
    )


def text_at(
    text: str, x: float, y: float, *, anchor: str | None = None, kind: str | None = None
) -> Markup:
    """A line of text that begins, ends or has its middle there, as `anchor` says."""
    return element("text", text, x=pixels(x), y=pixels(y), text_anchor=anchor, class_=kind)
