"""Charts drawn by matplotlib, as SVG for light and dark pages."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from nbci.report.charts.canvas import drawing_settings
from nbci.report.charts.chart import Confusion, Curves, Importance, matching_baseline
from nbci.report.charts.draw_confusion import draw_confusion
from nbci.report.charts.draw_curves import draw_curves
from nbci.report.charts.draw_importance import draw_importance

if TYPE_CHECKING:
    from nbci.report.charts.canvas import Drawing
    from nbci.report.charts.chart import Chart


def draw_chart(chart: Chart, baseline: Chart | None) -> Drawing:
    """Draw the chart, with the baseline's in the same picture.

    What matplotlib raises comes through.
    """
    with warnings.catch_warnings(), drawing_settings():
        # matplotlib warns of glyphs that its fonts lack, but the letters stay text in the file,
        # and the reader's browser finds a font for them.
        warnings.simplefilter("ignore")
        match chart:
            case Curves():
                return draw_curves(chart, matching_baseline(chart, baseline))
            case Confusion():
                return draw_confusion(chart, matching_baseline(chart, baseline))
            case Importance():
                return draw_importance(chart, matching_baseline(chart, baseline))
