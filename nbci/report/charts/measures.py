"""Compute what curves and matrices amount to: areas, averages, distances.

Always from all points, however few of them are drawn.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.report.charts.chart import Confusion, Curves, Line

Point = tuple[float, float]

_COLUMNS = 1000


def area(line: Line) -> float | None:
    """The area under a ROC curve; None for less than two points.

    >>> from nbci.report.charts.chart import Line
    >>> area(Line(name="", x=(0, 0, 1), y=(0, 1, 1)))
    1.0
    """
    points = _rightwards(line)
    if len(points) < 2:
        return None
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in pairwise(points))


def average_precision(line: Line) -> float | None:
    """The precision at each recall, by how much recall it adds."""
    points = _rightwards(line)
    if len(points) < 2:
        return None
    return sum((x1 - x0) * y1 for (x0, _), (x1, y1) in pairwise([(0.0, 1.0), *points]))


def off_diagonal(line: Line) -> float | None:
    """Return the largest distance of a calibration curve from the diagonal."""
    return max((abs(x - y) for x, y in zip(line.x, line.y, strict=True)), default=None)


def last(line: Line) -> float | None:
    """The last number of a line."""
    return next((value for value in reversed(line.y) if math.isfinite(value)), None)


def measure(chart: Curves, line: Line) -> float | None:
    """The number that stands for the line in that kind of chart."""
    match chart.kind:
        case "roc":
            return area(line)
        case "precision_recall":
            return average_precision(line)
        case "calibration":
            return off_diagonal(line)
    return last(line)


def right_share(matrix: Confusion) -> float | None:
    """Return the accuracy: the share of all that were classified correctly."""
    total = sum(map(sum, matrix.counts))
    return sum(row[at] for at, row in enumerate(matrix.counts)) / total if total else None


def thinned(points: Sequence[Point]) -> list[Point]:
    """Drop points that make no difference of more than a thousandth of the picture's width."""
    finite = [x for x, y in points if math.isfinite(y)]
    if len(finite) < 3:
        return list(points)
    left, right = min(finite), max(finite)
    per_column = (right - left) / _COLUMNS or 1.0
    kept: list[Point] = []
    column: list[Point] = []
    at = -1
    for point in points:
        is_gap = not math.isfinite(point[1])
        # Points that would stand in the same column of the picture are thinned together.
        here = -1 if is_gap else round((point[0] - left) / per_column)
        if here != at or is_gap:
            kept += _ends(column)
            column, at = [], here
        if not is_gap:
            column.append(point)
        elif kept and math.isfinite(kept[-1][1]):
            kept.append(point)
    return _without_level([*kept, *_ends(column)])


def _ends(column: Sequence[Point]) -> list[Point]:
    """Return the first, lowest, highest and last of the points at one x, in their order."""
    if not column:
        return []
    heights = [y for _, y in column]
    ends = {0, heights.index(min(heights)), heights.index(max(heights)), len(column) - 1}
    return [column[at] for at in sorted(ends)]


def _without_level(points: Sequence[Point]) -> list[Point]:
    """The points without those in the middle of a level or upright piece."""
    kept: list[Point] = []
    for at, point in enumerate(points):
        x, y = point
        if kept and at + 1 < len(points):
            (x0, y0), (x1, y1) = kept[-1], points[at + 1]
            if y0 == y == y1 and x0 <= x <= x1:
                continue
            if x0 == x == x1 and (y0 <= y <= y1 or y0 >= y >= y1):
                continue
        kept.append(point)
    return kept


def _rightwards(line: Line) -> list[Point]:
    """Return the points from left to right.

    Points at the same x stay in the order in which they were recorded.
    """
    points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
    if points and points[0][0] > points[-1][0]:
        # ROC curves may be recorded from right to left; the sort alone keeps ties reversed.
        points.reverse()
    return sorted(points, key=lambda point: point[0])
