"""Charts drawn by matplotlib, as SVG for light and dark pages."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from itertools import chain
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
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.report.charts.chart import Chart, Line

_SQUARE_KINDS = ("roc", "precision_recall", "calibration")
# Colours alone do not tell lines apart for every reader (WCAG 2.2, success criterion 1.4.1).
_MARKERS = ("o", "s", "^", "D")
_FIRST_DARK_LEVEL = 4
_SHOWN_LINES = 4
_SHOWN_BARS = 15
_SHOWN_CLASSES = 20
_WORST_CLASSES = 15


def draw_chart(chart: Chart, baseline: Chart | None) -> Drawing:
    """Draw the chart, with the baseline's in the same picture.

    What matplotlib raises comes through.
    """
    with warnings.catch_warnings(), settings():
        warnings.simplefilter("ignore")  # a missing glyph is the reader's font's matter, not ours
        match chart:
            case Curves():
                return _draw_curves(chart, baseline if isinstance(baseline, Curves) else None)
            case Confusion():
                return _draw_confusion(chart, baseline if isinstance(baseline, Confusion) else None)
            case Importance():
                return _draw_importance(
                    chart, baseline if isinstance(baseline, Importance) else None
                )


def highlighted(chart: Curves) -> tuple[Line, ...]:
    """Return the lines that get a colour: all while they are few, else the worst ones.

    The worst are taken from those that an area tells apart.
    """
    if len(chart.lines) <= _SHOWN_LINES:
        return chart.lines
    if chart.kind not in ("roc", "precision_recall"):
        return chart.lines[:_SHOWN_LINES]

    # With the one entry of the grey lines, the legend stays at _SHOWN_LINES entries.
    by_area = sorted(chart.lines, key=lambda line: measure(chart, line) or 0.0)
    worst = by_area[: _SHOWN_LINES - 1]
    return tuple(line for line in chart.lines if line in worst)


def corner(chart: Curves, baseline: Curves | None) -> float | None:
    """How much of the corner to show of curves that all keep to it: 0.1 is a tenth of each side."""
    if chart.kind != "roc":
        return None

    # Good classifiers differ only near the upper left corner, in a few pixels of the whole square.
    least = min(measure(curves, line) or 0.0 for curves, line in _all_lines(chart, baseline))
    if least > 0.99:
        return 0.1
    if least > 0.96:
        return 0.25
    return None


def _all_lines(chart: Curves, baseline: Curves | None) -> Iterator[tuple[Curves, Line]]:
    """Each line of the chart and of the baseline, with the chart that it belongs to."""
    for line in chart.lines:
        yield chart, line
    if baseline is not None:
        for line in baseline.lines:
            yield baseline, line


def folded_classes(
    matrix: Confusion, baseline: Confusion | None
) -> tuple[Confusion, Confusion | None]:
    """Return both matrices with only the most mistaken classes, and the others as one class.

    Only where there are too many classes to be read.
    """
    if len(matrix.labels) <= _SHOWN_CLASSES:
        return matrix, baseline

    wrong = _mistakes(matrix)
    worst = sorted(range(len(wrong)), key=lambda at: -wrong[at])[:_WORST_CLASSES]
    worst.sort()
    if baseline is None or baseline.labels != matrix.labels:
        return _fold_others(matrix, worst), None
    return _fold_others(matrix, worst), _fold_others(baseline, worst)


def _mistakes(matrix: Confusion) -> list[float]:
    """For each class: how many of it were taken for others, and of others for it."""
    wrong = []
    columns = zip(*matrix.counts, strict=True)
    for at, (row, column) in enumerate(zip(matrix.counts, columns, strict=True)):
        wrong.append(sum(row) - row[at] + sum(column) - row[at])
    return wrong


def _fold_others(matrix: Confusion, shown: Sequence[int]) -> Confusion:
    others = sorted(set(range(len(matrix.labels))) - set(shown))
    groups = [*([at] for at in shown), others]

    counts = []
    for rows in groups:
        total = [sum(column) for column in zip(*(matrix.counts[i] for i in rows), strict=True)]
        counts.append(tuple(sum(total[j] for j in columns) for columns in groups))

    return Confusion(
        labels=(*(matrix.labels[at] for at in shown), f"{len(others):,} others"),
        counts=tuple(counts),
        title=matrix.title,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _StyledLine:
    """A line, its style for `Axes.plot`, and its entry in the legend, if it has one."""

    line: Line
    style: dict[str, Any]
    legend: str | None


def _draw_curves(chart: Curves, baseline: Curves | None) -> Drawing:
    lines = list(_styled_lines(chart, baseline))
    legend = [line.legend for line in lines if line.legend]

    left = 64
    width, down = 430, 270
    height = 12 + down + 46 + 17 * len(legend) + 6
    figure, axes = canvas(width, height, (left, 12, width - left - 16, down))

    for line in lines:
        _plot(axes, line)
    if chart.kind in ("roc", "calibration"):
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (1, 3)))
    _set_limits(axes, chart, baseline)

    # Steps and epochs are whole numbers, and matplotlib would put a tick at 2.5 of them.
    if all(float(x).is_integer() for x in chain.from_iterable(line.x for line in chart.lines)):
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=True, linewidth=0.8)
    axes.tick_params(length=0)
    axes.set_xlabel(middle_cut(chart.x_label, 50))
    axes.set_ylabel(middle_cut(chart.y_label, 40))

    _add_legend(figure, axes, legend, (left - 6) / width)
    return saved(figure)


def _plot(axes: Any, styled: _StyledLine) -> None:
    points = thinned(list(zip(styled.line.x, styled.line.y, strict=True)))
    xs, ys = zip(*points, strict=True) if points else ((), ())
    every = max(1, len(points) // 8)
    axes.plot(list(xs), list(ys), label=styled.legend, markevery=every, **styled.style)


def _add_legend(figure: Any, axes: Any, legend: Sequence[str], left: float) -> None:
    handles = [handle for handle in axes.get_lines() if handle.get_label() in legend]
    if not handles:
        return

    def rank(handle: Any) -> int:
        if handle.is_dashed():
            return 1
        if handle.get_color() == OTHERS:
            return 2
        return 0

    # In the picture this run lies in front, in the legend it stands first.
    handles.sort(key=rank)
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(left, 0),
        frameon=False,
        handlelength=3.2,
        labelspacing=0.4,
        borderpad=0.2,
    )


def _styled_lines(chart: Curves, baseline: Curves | None) -> Iterator[_StyledLine]:
    """Return the lines in drawing order, from the back to the front."""
    coloured = highlighted(chart)
    is_single = len(chart.lines) == 1
    names = [line.name for line in coloured]
    # Lines of one name share a colour, the last one's.
    looks = dict(zip(names, zip(COLOURS, _MARKERS, strict=True), strict=False))

    yield from _grey_lines(line for line in chart.lines if line not in coloured)

    if baseline is not None:
        before = _baseline_lines(chart, baseline)
        for line in coloured:
            earlier = before.get(line.name)
            if earlier is None:
                continue
            colour, marker = looks[line.name]
            if is_single:
                colour, marker = QUIET, "none"
            style = {"color": colour, "linewidth": 1.4, "linestyle": (0, (5, 3))}
            style |= {"marker": marker, "markersize": 4.5, "markerfacecolor": "none"}
            legend = _legend(baseline, earlier, "baseline", is_single=is_single)
            yield _StyledLine(line=earlier, style=style, legend=legend)

    for line in coloured:
        colour, marker = looks[line.name]
        style = {"color": colour, "linewidth": 2, "marker": marker, "markersize": 4.5}
        legend = _legend(chart, line, "this run", is_single=is_single)
        yield _StyledLine(line=line, style=style, legend=legend)


def _grey_lines(lines: Iterable[Line]) -> Iterator[_StyledLine]:
    others = list(lines)
    # One entry in the legend stands for all of them.
    legend: str | None = f"{len(others)} others"
    for line in others:
        yield _StyledLine(line=line, style={"color": OTHERS, "linewidth": 1}, legend=legend)
        legend = None


def _baseline_lines(chart: Curves, baseline: Curves) -> dict[str, Line]:
    """The baseline's lines by the names of the lines that they are compared with."""
    before = {line.name: line for line in baseline.lines}
    if len(chart.lines) == len(baseline.lines) == 1 and chart.lines[0].name not in before:
        # A model may have been renamed since; two single lines are compared all the same.
        return {chart.lines[0].name: baseline.lines[0]}
    return before


def _legend(chart: Curves, line: Line, whose: str, *, is_single: bool) -> str:
    name = middle_cut(line.name, 30)
    if is_single or not name:
        title = whose
    elif whose == "this run":
        title = name
    else:
        title = f"{name}, {whose}"

    value = measure(chart, line)
    if value is None:
        return title
    measures = {
        "roc": "AUC",
        "precision_recall": "average precision",
        "calibration": "at most off by",
    }
    return f"{title} ({measures.get(chart.kind, 'last')} {value:.4g})"


def _set_limits(axes: Any, chart: Curves, baseline: Curves | None) -> None:
    if chart.kind not in _SQUARE_KINDS:
        axes.margins(x=0.03, y=0.08)
        return

    right, lowest = 1.0, 0.0
    side = corner(chart, baseline)
    if side is not None:
        right, lowest = side, 1 - side
    if chart.kind == "precision_recall":
        lowest = _lowest_edge(chart, baseline)

    # A line at the very edge would lose half of its width.
    room = 0.015 * right
    axes.set_xlim(-room, right + room)
    axes.set_ylim(lowest - 0.015 * (1 - lowest), 1 + 0.02 * (1 - lowest))


def _lowest_edge(chart: Curves, baseline: Curves | None) -> float:
    least = min(chain.from_iterable(line.y for _, line in _all_lines(chart, baseline)))
    for edge in (0.9, 0.75, 0.5):
        if least >= edge:
            return edge
    return 0.0


def _draw_importance(chart: Importance, baseline: Importance | None) -> Drawing:
    features = list(zip(chart.names, chart.values, strict=True))
    features.sort(key=lambda feature: -abs(feature[1]))
    del features[_SHOWN_BARS:]
    labels = [middle_cut(name, 32) for name, _ in features]

    before: dict[str, float] = {}
    legend = 0
    if baseline is not None:
        before = dict(zip(baseline.names, baseline.values, strict=True))
        legend = 44
    left = 16 + max(text_width(label, SMALL) for label in labels)
    width, down = left + 340, 24 * len(features) + 8
    figure, axes = canvas(width, 10 + down + 30 + legend, (left, 8, 320, down))

    places = list(range(len(features)))
    bars = axes.barh(places, [value for _, value in features], height=0.62, color=COLOURS[0])
    marks = _mark_baseline(axes, [name for name, _ in features], before)
    if marks is not None:
        figure.legend(
            handles=[bars, marks],
            labels=["this run", "baseline"],
            loc="lower left",
            bbox_to_anchor=((left - 6) / width, 0),
            frameon=False,
            ncols=2,
        )

    axes.set_yticks(places, labels)
    # matplotlib counts bars from the bottom, and the largest has to be at the top.
    axes.invert_yaxis()
    axes.axvline(0, color=QUIET, linewidth=1)
    axes.grid(visible=True, axis="x", linewidth=0.8)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    return saved(figure)


def _mark_baseline(axes: Any, names: Sequence[str], before: dict[str, float]) -> Any:
    """Mark the baseline's value across each bar; None where no feature has one."""
    places = [place for place, name in enumerate(names) if name in before]
    if not places:
        return None
    (marks,) = axes.plot(
        [before[names[place]] for place in places],
        places,
        linestyle="none",
        marker="|",
        markersize=17,
        markeredgewidth=3,
        color=COLOURS[1],
    )
    return marks


def _draw_confusion(whole: Confusion, whole_baseline: Confusion | None) -> Drawing:
    matrix, baseline = folded_classes(whole, whole_baseline)
    before = None
    # Counts of other classes cannot be subtracted cell by cell.
    if baseline is not None and baseline.labels == matrix.labels:
        before = baseline.counts

    labels = [middle_cut(label, 16) for label in matrix.labels]
    figure, axes, is_turned = _confusion_canvas(matrix, labels, has_changes=before is not None)
    for i, row in enumerate(matrix.counts):
        total = sum(row)
        for j, value in enumerate(row):
            change = 0.0
            if before is not None:
                change = value - before[i][j]
            _draw_cell(axes, (i, j), value, change, total)

    centres = [at + 0.5 for at in range(len(labels))]
    axes.set_xticks(centres, labels, rotation=90 * is_turned)
    axes.set_yticks(centres, labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return saved(figure)


def _confusion_canvas(
    matrix: Confusion, labels: Sequence[str], *, has_changes: bool
) -> tuple[Any, Any, bool]:
    """A figure and axes with room for every count and label.

    Last, whether the labels below have to be turned.
    """
    count = len(labels)
    counts = [_short_count(value) for value in chain.from_iterable(matrix.counts)]
    roomy = min(72.0, 240 / count)
    cell_width = max(38.0, roomy, 12 + max(text_width(text, LETTERS) for text in counts))
    # A change stands on a second line below the count.
    least_height = 40.0 if has_changes else 32.0
    cell_height = max(least_height, 0.7 * roomy)

    label_width = max(text_width(label, SMALL) for label in labels)
    is_turned = label_width > cell_width + 4
    below = 34 + (label_width if is_turned else 16)
    left, top = 36 + label_width, 8
    across, down = count * cell_width, count * cell_height

    figure, axes = canvas(left + across + 14, top + down + below, (left, top, across, down))
    axes.set(xlim=(0, count), ylim=(count, 0), xlabel="predicted", ylabel="actual")
    return figure, axes, is_turned


def _draw_cell(
    axes: Any, cell: tuple[int, int], value: float, change: float, row_total: float
) -> None:
    from matplotlib.patches import Rectangle

    i, j = cell
    colour = QUIET
    if value:
        level = _shade(value, row_total)
        colour = ON_DARK_CELL if level >= _FIRST_DARK_LEVEL else TEXT
        corner_of_cell = (j + 0.02, i + 0.02)
        axes.add_patch(
            Rectangle(corner_of_cell, 0.96, 0.96, facecolor=LEVELS[level], edgecolor="none")
        )

    centred = {"ha": "center", "va": "center", "color": colour}
    place = 0.34 if change else 0.5
    if value or change:
        axes.text(j + 0.5, i + place, _short_count(value), **centred)
    if change:
        sign = "+" if change > 0 else "-"
        text = f"{sign}{_short_count(abs(change))}"
        axes.text(j + 0.5, i + 0.74, text, **centred, fontsize=SMALL, weight="bold")


def _shade(value: float, row_total: float) -> int:
    """Return the shade of a cell by its share of the row; small shares differ the most."""
    # The square root spreads small shares, the mistakes, over more shades.
    share = math.sqrt(value / row_total)
    return min(len(LEVELS) - 1, math.ceil(share * len(LEVELS)) - 1)


def _short_count(value: float) -> str:
    """Return a count in few letters, such as `12k`."""
    for limit, unit, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= limit:
            return f"{value / unit:.3g}{letter}"
    if float(value).is_integer():
        return number(value)
    return f"{value:.3g}"
