"""Draw curves: those of the run in colours, the baseline's dashed behind them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from nbci.report.charts.canvas import COLOURS, OTHERS, QUIET, new_figure, write_svg
from nbci.report.charts.measures import measure, thin_points
from nbci.report.charts.svg import cut_middle

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.report.charts.canvas import Drawing
    from nbci.report.charts.chart import Curves, Line

_IN_FRONT = 10
_SQUARE_KINDS = ("roc", "precision_recall", "calibration")
# Colours alone do not tell lines apart for every reader (WCAG 2.2, success criterion 1.4.1).
LOOKS = tuple(zip(COLOURS, ("o", "s", "^", "D"), strict=True))
"""Colour and marker of each line that has some of its own."""
_MEASURES = {
    "roc": "AUC",
    "precision_recall": "average precision",
    "calibration": "at most off by",
}


def highlighted_lines(chart: Curves) -> tuple[Line, ...]:
    """Return the lines that get a colour: all while they are few, else the worst ones.

    The worst are taken from those that an area tells apart.
    """
    if len(chart.lines) <= len(LOOKS):
        return chart.lines
    if chart.kind not in ("roc", "precision_recall"):
        return chart.lines[: len(LOOKS)]

    by_area = sorted(chart.lines, key=lambda line: measure(chart, line) or 0.0)
    # The grey lines have one entry of the legend, which gets no longer by that.
    worst = by_area[: len(LOOKS) - 1]
    return tuple(line for line in chart.lines if line in worst)


def corner(chart: Curves, baseline: Curves | None) -> float | None:
    """How much of the corner to show of curves that all keep to it: 0.1 is a tenth of each side."""
    if chart.kind != "roc":
        return None

    # Good classifiers differ only near the upper left corner, in a few pixels of the whole square.
    least = min(measure(chart, line) or 0.0 for line in _all_lines(chart, baseline))
    if least > 0.99:
        return 0.1
    if least > 0.96:
        return 0.25
    return None


def _all_lines(chart: Curves, baseline: Curves | None) -> tuple[Line, ...]:
    if baseline is None:
        return chart.lines
    return (*chart.lines, *baseline.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StyledLine:
    """A line, its style for `Axes.plot`, and its entry in the legend, if it has one."""

    line: Line
    style: dict[str, Any]
    legend: str | None


def draw_curves(chart: Curves, baseline: Curves | None) -> Drawing:
    """Draw the lines, with a legend below the picture."""
    return _draw_lines(chart, baseline, list(_styled_lines(chart, baseline)))


def draw_overlay(chart: Curves, named: Sequence[Line]) -> Drawing:
    """Draw lines of many runs: those that are named, the best first, in front of the others."""
    others = [line for line in chart.lines if line not in named]
    lines = list(_grey_lines(others))
    for at, (line, (colour, marker)) in enumerate(zip(named, LOOKS, strict=False)):
        style: dict[str, Any] = {"color": colour, "linewidth": 2, "marker": marker}
        style["markersize"] = 4.5
        # The best lies in front, so that no other one covers it, and stands first in the legend.
        style["zorder"] = _IN_FRONT - at
        legend = _legend(chart, line, "this run", is_single=False)
        lines.append(_StyledLine(line=line, style=style, legend=legend))
    return _draw_lines(chart, None, lines)


def _draw_lines(chart: Curves, baseline: Curves | None, lines: Sequence[_StyledLine]) -> Drawing:
    legend = [line.legend for line in lines if line.legend]

    left = 64
    width, down = 430, 270
    height = 12 + down + 46 + 17 * len(legend) + 6
    figure, axes = new_figure(width, height, (left, 12, width - left - 16, down))

    for line in lines:
        _plot(axes, line)
    if chart.kind in ("roc", "calibration"):
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (1, 3)))
    _set_limits(axes, chart, baseline)

    places = chain.from_iterable(line.x for line in chart.lines)
    # Steps and epochs are whole numbers, and matplotlib would put a tick at 2.5 of them.
    if all(map(float.is_integer, map(float, places))):
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=True, linewidth=0.8)
    axes.tick_params(length=0)
    axes.set_xlabel(cut_middle(chart.x_label, 50))
    axes.set_ylabel(cut_middle(chart.y_label, 40))

    _add_legend(figure, axes, legend, (left - 6) / width)
    return write_svg(figure)


def _plot(axes: Any, styled: _StyledLine) -> None:
    points = thin_points(styled.line.points)
    xs, ys = zip(*points, strict=True)
    every = max(1, len(points) // 8)
    axes.plot(xs, ys, label=styled.legend, markevery=every, **styled.style)


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
    coloured = highlighted_lines(chart)
    is_single = len(chart.lines) == 1
    looks: dict[str, tuple[str, str]] = {}
    for line, look in zip(coloured, LOOKS, strict=False):
        # Lines of one name share a colour, the last one's.
        looks[line.name] = look

    yield from _grey_lines([line for line in chart.lines if line not in coloured])
    if baseline is not None:
        baseline_looks: Mapping[str, tuple[str, str]] = looks
        if is_single:
            baseline_looks = {chart.lines[0].name: (QUIET, "none")}
        yield from _dashed_lines(chart, coloured, baseline, baseline_looks)
    for line in coloured:
        colour, marker = looks[line.name]
        style = {"color": colour, "linewidth": 2, "marker": marker, "markersize": 4.5}
        legend = _legend(chart, line, "this run", is_single=is_single)
        yield _StyledLine(line=line, style=style, legend=legend)


def _grey_lines(lines: Sequence[Line]) -> Iterator[_StyledLine]:
    # One entry in the legend stands for all of them.
    legend: str | None = f"{len(lines)} others"
    for line in lines:
        yield _StyledLine(line=line, style={"color": OTHERS, "linewidth": 1}, legend=legend)
        legend = None


def _dashed_lines(
    chart: Curves,
    coloured: Iterable[Line],
    baseline: Curves,
    looks: Mapping[str, tuple[str, str]],
) -> Iterator[_StyledLine]:
    """The baseline's lines, each in the colour of the line that it is compared with."""
    matches = chart.matches_in(baseline)
    for line in coloured:
        earlier = matches.get(line.name)
        if earlier is None:
            continue
        colour, marker = looks[line.name]
        style = {"color": colour, "linewidth": 1.4, "linestyle": (0, (5, 3))}
        style |= {"marker": marker, "markersize": 4.5, "markerfacecolor": "none"}
        legend = _legend(baseline, earlier, "baseline", is_single=len(chart.lines) == 1)
        yield _StyledLine(line=earlier, style=style, legend=legend)


def _legend(chart: Curves, line: Line, whose: str, *, is_single: bool) -> str:
    name = cut_middle(line.name, 30)
    if is_single or not name:
        title = whose
    elif whose == "this run":
        title = name
    else:
        title = f"{name}, {whose}"

    value = measure(chart, line)
    if value is None:
        return title
    return f"{title} ({_MEASURES.get(chart.kind, 'last')} {value:.4g})"


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
    """Where to cut the empty lower part of a picture off."""
    least = min(chain.from_iterable(line.y for line in _all_lines(chart, baseline)))
    for edge in (0.9, 0.75, 0.5):
        if least >= edge:
            return edge
    return 0.0
