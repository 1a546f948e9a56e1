"""Charts drawn by matplotlib, as SVG for light and dark pages."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import number
from nbci.report.charts.canvas import (
    COLOURS,
    LETTERS,
    LEVELS,
    ON_DARK_CELL,
    OTHERS,
    QUIET,
    SMALL,
    TEXT,
    Drawing,
    canvas,
    saved,
    settings,
)
from nbci.report.charts.chart import Confusion, Curves, Importance
from nbci.report.charts.measures import measure, thinned
from nbci.report.charts.svg import middle_cut, text_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.charts.chart import Chart, Line

_MARKERS = ("o", "s", "^", "D")
_FIRST_DARK_LEVEL = 4
_SHOWN_LINES = 4
_SHOWN_BARS = 15
_SHOWN_CLASSES = 20
_WORST_CLASSES = 15


def drawn(chart: Chart, baseline: Chart | None) -> Drawing:
    """The chart, and the baseline's in the same picture. What matplotlib raises comes through."""
    with warnings.catch_warnings(), settings():
        warnings.simplefilter("ignore")  # a missing glyph is the reader's font's matter, not ours
        match chart:
            case Curves():
                return _curves(chart, baseline if isinstance(baseline, Curves) else None)
            case Confusion():
                return _confusion(chart, baseline if isinstance(baseline, Confusion) else None)
            case Importance():
                return _importance(chart, baseline if isinstance(baseline, Importance) else None)


def highlighted(chart: Curves) -> tuple[Line, ...]:
    """Return the lines that get a colour: all while they are few, else the worst ones.

    The worst are taken from those that an area tells apart.
    """
    if len(chart.lines) <= _SHOWN_LINES:
        return chart.lines
    if chart.kind in ("roc", "precision_recall"):
        worst = sorted(chart.lines, key=lambda line: measure(chart, line) or 0.0)[
            : _SHOWN_LINES - 1
        ]
        return tuple(line for line in chart.lines if line in worst)
    return chart.lines[:_SHOWN_LINES]


def corner(chart: Curves, baseline: Curves | None) -> float | None:
    """How much of the corner to show of curves that all keep to it: 0.1 is a tenth of each side."""
    if chart.kind != "roc":
        return None
    found = [
        measure(curves, line) or 0.0
        for curves in (chart, baseline)
        if curves
        for line in curves.lines
    ]
    least = min(found)
    return 0.1 if least > 0.99 else 0.25 if least > 0.96 else None


def folded_classes(
    matrix: Confusion, baseline: Confusion | None
) -> tuple[Confusion, Confusion | None]:
    """Return both matrices with only the most mistaken classes, and the others as one class.

    Only where there are too many classes to be read.
    """
    if len(matrix.labels) <= _SHOWN_CLASSES:
        return matrix, baseline
    wrong = [
        sum(row) - row[at] + sum(other[at] for other in matrix.counts) - row[at]
        for at, row in enumerate(matrix.counts)
    ]
    worst = sorted(sorted(range(len(wrong)), key=lambda at: -wrong[at])[:_WORST_CLASSES])
    comparable = baseline if baseline and baseline.labels == matrix.labels else None
    return _folded(matrix, worst), _folded(comparable, worst) if comparable else None


def _folded(matrix: Confusion, shown: Sequence[int]) -> Confusion:
    others = [at for at in range(len(matrix.labels)) if at not in set(shown)]
    groups = [*([at] for at in shown), others]
    return Confusion(
        labels=(*(matrix.labels[at] for at in shown), f"{len(others):,} others"),
        counts=tuple(
            tuple(sum(matrix.counts[i][j] for i in rows for j in columns) for columns in groups)
            for rows in groups
        ),
        title=matrix.title,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawn:
    """A line with how it looks, and what the legend says of it."""

    line: Line
    look: dict[str, Any]
    words: str | None


def _curves(chart: Curves, baseline: Curves | None) -> Drawing:
    lines = list(_looks(chart, baseline))
    words = [line.words for line in lines if line.words]
    left = 64
    width, down = 430, 270
    height = 12 + down + 46 + 17 * len(words) + 6
    figure, axes = canvas(width, height, (left, 12, width - left - 16, down))
    for line in lines:
        points = thinned(list(zip(line.line.x, line.line.y, strict=True)))
        every = max(1, len(points) // 8)
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            label=line.words,
            markevery=every,
            **line.look,
        )
    if chart.kind in ("roc", "calibration"):
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (1, 3)))
    _limits(axes, chart, baseline)
    if all(place.is_integer() for line in chart.lines for place in map(float, line.x)):
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=True, linewidth=0.8)
    axes.tick_params(length=0)
    axes.set_xlabel(middle_cut(chart.x_label, 50))
    axes.set_ylabel(middle_cut(chart.y_label, 40))
    handles = [handle for handle in axes.get_lines() if handle.get_label() in words]
    if handles:
        # in the picture this run lies in front, in the legend it stands first
        handles.sort(
            key=lambda handle: 1 if handle.is_dashed() else 2 * (handle.get_color() == OTHERS)
        )
        figure.legend(
            handles=handles,
            loc="lower left",
            bbox_to_anchor=((left - 6) / width, 0),
            frameon=False,
            handlelength=3.2,
            labelspacing=0.4,
            borderpad=0.2,
        )
    return saved(figure)


def _looks(chart: Curves, baseline: Curves | None) -> Iterator[_Drawn]:
    """Return the lines in drawing order, from the back to the front."""
    coloured = highlighted(chart)
    others = [line for line in chart.lines if line not in coloured]
    for at, line in enumerate(others):
        words = f"{len(others)} others" if at == 0 else None
        yield _Drawn(line=line, look={"color": OTHERS, "linewidth": 1}, words=words)
    before = {line.name: line for line in baseline.lines} if baseline else {}
    looks = dict(
        zip((line.name for line in coloured), zip(COLOURS, _MARKERS, strict=True), strict=False)
    )
    one = len(chart.lines) == 1
    if one and baseline and chart.lines[0].name not in before and len(baseline.lines) == 1:
        before = {chart.lines[0].name: baseline.lines[0]}
    for line in coloured:
        earlier = before.get(line.name)
        if earlier is not None and baseline is not None:
            colour, marker = (QUIET, "none") if one else looks[line.name]
            look = {"color": colour, "linewidth": 1.4, "linestyle": (0, (5, 3))}
            look |= {"marker": marker, "markersize": 4.5, "markerfacecolor": "none"}
            yield _Drawn(
                line=earlier, look=look, words=_words(baseline, earlier, "baseline", one=one)
            )
    for line in coloured:
        colour, marker = looks[line.name]
        look = {"color": colour, "linewidth": 2, "marker": marker, "markersize": 4.5}
        yield _Drawn(line=line, look=look, words=_words(chart, line, "this run", one=one))


def _words(chart: Curves, line: Line, whose: str, *, one: bool) -> str:
    name = middle_cut(line.name, 30)
    title = whose if one or not name else name if whose == "this run" else f"{name}, {whose}"
    value = measure(chart, line)
    kind = {
        "roc": "AUC",
        "precision_recall": "average precision",
        "calibration": "at most off by",
    }.get(chart.kind, "last")
    return title if value is None else f"{title} ({kind} {value:.4g})"


def _limits(axes: Any, chart: Curves, baseline: Curves | None) -> None:
    if chart.kind not in ("roc", "precision_recall", "calibration"):
        axes.margins(x=0.03, y=0.08)
        return
    side = corner(chart, baseline)
    room = 0.015 * (side or 1)
    axes.set_xlim(-room, (side or 1) + room)
    lowest = 1 - side if side else 0.0
    if chart.kind == "precision_recall":
        least = min(
            value
            for curves in (chart, baseline)
            if curves
            for line in curves.lines
            for value in line.y
        )
        lowest = next((edge for edge in (0.9, 0.75, 0.5) if least >= edge), 0.0)
    axes.set_ylim(lowest - 0.015 * (1 - lowest), 1 + 0.02 * (1 - lowest))


def _importance(chart: Importance, baseline: Importance | None) -> Drawing:
    order = sorted(range(len(chart.names)), key=lambda at: -abs(chart.values[at]))[:_SHOWN_BARS]
    names = [middle_cut(chart.names[at], 32) for at in order]
    values = [chart.values[at] for at in order]
    before = dict(zip(baseline.names, baseline.values, strict=True)) if baseline else {}
    left = 16 + max(text_width(name, SMALL) for name in names)
    width, down = left + 340, 24 * len(order) + 8
    legend = 44 if before else 0
    figure, axes = canvas(width, 10 + down + 30 + legend, (left, 8, 320, down))
    places = list(range(len(order)))
    bars = axes.barh(places, values, height=0.62, color=COLOURS[0])
    marked = [
        (before[chart.names[at]], place)
        for place, at in enumerate(order)
        if chart.names[at] in before
    ]
    if marked:
        (marks,) = axes.plot(
            [value for value, _ in marked],
            [place for _, place in marked],
            linestyle="none",
            marker="|",
            markersize=17,
            markeredgewidth=3,
            color=COLOURS[1],
        )
        figure.legend(
            handles=[bars, marks],
            labels=["this run", "baseline"],
            loc="lower left",
            bbox_to_anchor=((left - 6) / width, 0),
            frameon=False,
            ncols=2,
        )
    axes.set_yticks(places, names)
    # matplotlib counts bars from the bottom, and the largest has to be at the top.
    axes.invert_yaxis()
    axes.axvline(0, color=QUIET, linewidth=1)
    axes.grid(visible=True, axis="x", linewidth=0.8)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    return saved(figure)


def _confusion(whole: Confusion, whole_baseline: Confusion | None) -> Drawing:
    from matplotlib.patches import Rectangle

    matrix, baseline = folded_classes(whole, whole_baseline)
    # Counts of other classes cannot be subtracted cell by cell.
    before = baseline.counts if baseline and baseline.labels == matrix.labels else None
    labels = [middle_cut(label, 16) for label in matrix.labels]
    count = len(labels)
    shown = [[_count(value) for value in row] for row in matrix.counts]
    roomy = min(72.0, 240 / count)
    wide = max(38.0, roomy, 12 + max(text_width(text, LETTERS) for row in shown for text in row))
    tall = max(40.0 if before else 32.0, 0.7 * roomy)
    names = max(text_width(label, SMALL) for label in labels)
    turned = names > wide + 4
    left, top = 36 + names, 8
    below = (names if turned else 16) + 34
    width, height = left + count * wide + 14, top + count * tall + below
    figure, axes = canvas(width, height, (left, top, count * wide, count * tall))
    axes.set(xlim=(0, count), ylim=(count, 0), xlabel="predicted", ylabel="actual")
    for i, row in enumerate(matrix.counts):
        total = sum(row)
        for j, value in enumerate(row):
            level = _level(value, total)
            if level is not None:
                axes.add_patch(
                    Rectangle(
                        (j + 0.02, i + 0.02), 0.96, 0.96, facecolor=LEVELS[level], edgecolor="none"
                    )
                )
            colour = (
                ON_DARK_CELL
                if level is not None and level >= _FIRST_DARK_LEVEL
                else TEXT
                if value
                else QUIET
            )
            change = value - before[i][j] if before else 0
            place = 0.34 if change else 0.5
            if value or change:
                axes.text(j + 0.5, i + place, shown[i][j], ha="center", va="center", color=colour)
            if change:
                text = f"{'+' if change > 0 else '-'}{_count(abs(change))}"
                axes.text(
                    j + 0.5,
                    i + 0.74,
                    text,
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize=SMALL,
                    weight="bold",
                )
    centres = [at + 0.5 for at in range(count)]
    axes.set_xticks(centres, labels, rotation=90 if turned else 0)
    axes.set_yticks(centres, labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return saved(figure)


def _level(value: float, total: float) -> int | None:
    """Return the shade of a cell by its share of the row; small shares differ the most."""
    if not value:
        return None
    # The square root spreads small shares, the mistakes, over more shades.
    return min(len(LEVELS) - 1, math.ceil(math.sqrt(value / total) * len(LEVELS)) - 1)


def _count(value: float) -> str:
    """Return a count in few letters, such as `12k`."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):.3g}{letter}"
    return number(value) if float(value).is_integer() else f"{value:.3g}"
