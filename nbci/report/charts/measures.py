"""Compute what curves and matrices amount to: areas, averages, distances.

Always from all points, however few of them are drawn.
"""

from __future__ import annotations

import math
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.report.charts.chart import Confusion, Curves, Line, Point

# More columns than a picture has pixels: what is dropped within one cannot be seen.
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


def distance_from_diagonal(line: Line) -> float | None:
    """Return the largest distance of a calibration curve from the diagonal."""
    return max((abs(x - y) for x, y in line.points), default=None)


def last_value(line: Line) -> float | None:
    """The last number of a line."""
    for value in reversed(line.y):
        if math.isfinite(value):
            return value
    return None


def measure(chart: Curves, line: Line) -> float | None:
    """The number that stands for the line in that kind of chart."""
    match chart.kind:
        case "roc":
            return area(line)
        case "precision_recall":
            return average_precision(line)
        case "calibration":
            return distance_from_diagonal(line)
    return last_value(line)


def right_share(matrix: Confusion) -> float | None:
    """Return the accuracy: the share of all that were classified correctly."""
    if not matrix.total:
        return None
    return sum(row[at] for at, row in enumerate(matrix.counts)) / matrix.total


def thin_points(points: Sequence[Point]) -> list[Point]:
    """Drop points that make no difference of more than a thousandth of the picture's width."""
    finite = [x for x, y in points if math.isfinite(y)]
    if len(finite) < 3:
        return list(points)
    left = min(finite)
    # All points may stand at one x.
    column_width = (max(finite) - left) / _COLUMNS or 1.0

    def column_of(point: Point) -> int | None:
        if not _is_finite(point):
            return None
        return round((point[0] - left) / column_width)

    thinned: list[Point] = []
    for column, members in groupby(points, key=column_of):
        if column is not None:
            thinned += _ends(list(members))
        elif thinned:
            # One point is enough to interrupt the line; before its beginning there is none.
            thinned.append(next(members))
    return _without_level(thinned)


def _is_finite(point: Point) -> bool:
    return math.isfinite(point[1])


def _ends(column: Sequence[Point]) -> list[Point]:
    """Return the first, lowest, highest and last of the points at one x, in their order."""
    places = range(len(column))

    def height(at: int) -> float:
        return column[at][1]

    ends = {0, min(places, key=height), max(places, key=height), len(column) - 1}
    return [column[at] for at in sorted(ends)]


def _without_level(points: Sequence[Point]) -> list[Point]:
    """The points without those in the middle of a level or upright piece."""
    corners: list[Point] = []
    for at, point in enumerate(points):
        x, y = point
        if corners and at + 1 < len(points):
            (x0, y0), (x1, y1) = corners[-1], points[at + 1]
            if y0 == y == y1 and x0 <= x <= x1:
                continue
            if x0 == x == x1 and (y0 <= y <= y1 or y0 >= y >= y1):
                continue
        corners.append(point)
    return corners


def _rightwards(line: Line) -> list[Point]:
    """Return the points from left to right.

    Points at the same x stay in the order in which they were recorded.
    """
    points = list(filter(_is_finite, line.points))
    if points and points[0][0] > points[-1][0]:
        # ROC curves may be recorded from right to left; the sort alone keeps ties reversed.
        points.reverse()
    return sorted(points, key=itemgetter(0))
