"""Charts drawn by matplotlib, as SVG for light and dark pages; importances are drawn here."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from nbci.report.charts.canvas import (
    COLOURS,
    QUIET,
    SMALL,
    drawing_settings,
    new_figure,
    write_svg,
)
from nbci.report.charts.chart import Confusion, Curves, Importance, matching_baseline
from nbci.report.charts.draw_confusion import draw_confusion
from nbci.report.charts.draw_curves import draw_curves, draw_overlay
from nbci.report.charts.svg import cut_middle, widest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.report.charts.canvas import Drawing
    from nbci.report.charts.chart import Chart, Line

_SHOWN_BARS = 15


def draw_chart(chart: Chart, baseline: Chart | None) -> Drawing:
    """Draw the chart, with the baseline's in the same picture.

    What matplotlib raises comes through.
    """
    with _drawing():
        match chart:
            case Curves():
                return draw_curves(chart, matching_baseline(chart, baseline))
            case Confusion():
                return draw_confusion(chart, matching_baseline(chart, baseline))
            case Importance():
                return _draw_importance(chart, matching_baseline(chart, baseline))


def draw_over_each_other(chart: Curves, named: Sequence[Line]) -> Drawing:
    """Draw a line for each of many runs: those that are named in colours, the best first."""
    with _drawing():
        return draw_overlay(chart, named)


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    with warnings.catch_warnings(), drawing_settings():
        # matplotlib warns of glyphs that its fonts lack, but the letters stay text in the file,
        # and the reader's browser finds a font for them.
        warnings.simplefilter("ignore")
        yield


def _draw_importance(chart: Importance, baseline: Importance | None) -> Drawing:
    """Draw the most important features."""
    names, values = zip(*chart.most_important()[:_SHOWN_BARS], strict=True)
    labels = [cut_middle(name, 32) for name in names]

    before: dict[str, float] = {}
    legend_height = 0
    if baseline is not None:
        before = baseline.values_by_name()
        legend_height = 44
    left = 16 + widest(labels, SMALL)
    width, down = left + 340, 24 * len(names) + 8
    figure, axes = new_figure(width, 10 + down + 30 + legend_height, (left, 8, 320, down))

    places = list(range(len(names)))
    bars = axes.barh(places, values, height=0.62, color=COLOURS[0])
    marks = _mark_baseline(axes, names, before)
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
    return write_svg(figure)


def _mark_baseline(axes: Any, names: Sequence[str], before: Mapping[str, float]) -> Any:
    """Mark the baseline's value across each bar; None where no feature has one."""
    places, values = [], []
    for place, name in enumerate(names):
        if name in before:
            places.append(place)
            values.append(before[name])
    if not places:
        return None
    (marks,) = axes.plot(
        values,
        places,
        linestyle="none",
        marker="|",
        markersize=17,
        markeredgewidth=3,
        color=COLOURS[1],
    )
    return marks
