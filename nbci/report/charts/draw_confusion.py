"""Draw confusion matrices: a cell for each pair of classes, its change since the baseline in it."""

from __future__ import annotations

import math
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import number
from nbci.report.charts.canvas import (
    LETTERS,
    LEVELS,
    ON_DARK_CELL,
    QUIET,
    SMALL,
    TEXT,
    new_figure,
    write_svg,
)
from nbci.report.charts.chart import Confusion
from nbci.report.charts.svg import cut_middle, widest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.report.charts.canvas import Drawing

_FIRST_DARK_LEVEL = 4
_SHOWN_CLASSES = 20
_WORST_CLASSES = 15


def draw_confusion(whole: Confusion, whole_baseline: Confusion | None) -> Drawing:
    """Draw the matrix, with its most mistaken classes only where there are many."""
    matrix, baseline = folded_classes(whole, whole_baseline)
    before = None
    # Counts of other classes cannot be subtracted cell by cell.
    if baseline is not None and baseline.labels == matrix.labels:
        before = baseline.counts

    labels = [cut_middle(label, 16) for label in matrix.labels]
    figure, axes, is_turned = _new_figure(matrix, labels, has_changes=before is not None)
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
    return write_svg(figure)


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
    # Both are several, as _SHOWN_CLASSES and _WORST_CLASSES have it: with one index, itemgetter
    # would return no tuple.
    shown_of, others_of = itemgetter(*shown), itemgetter(*others)

    def fold(row: Sequence[float]) -> tuple[float, ...]:
        return (*shown_of(row), sum(others_of(row)))

    rows = list(shown_of(matrix.counts))
    rows.append(list(map(sum, zip(*others_of(matrix.counts), strict=True))))
    return Confusion(
        labels=(*shown_of(matrix.labels), f"{len(others):,} others"),
        counts=tuple(map(fold, rows)),
        title=matrix.title,
    )


def _new_figure(
    matrix: Confusion, labels: Sequence[str], *, has_changes: bool
) -> tuple[Any, Any, bool]:
    """A figure and axes with room for every count and label.

    Last, whether the labels below have to be turned.
    """
    count = len(labels)
    widest_count = widest(map(_short_count, chain.from_iterable(matrix.counts)), LETTERS)
    roomy = min(72.0, 240 / count)
    cell_width = max(38.0, roomy, 12 + widest_count)
    least_height = 32.0
    if has_changes:
        # A change stands on a second line below the count.
        least_height = 40.0
    cell_height = max(least_height, 0.7 * roomy)

    label_width = widest(labels, SMALL)
    is_turned = label_width > cell_width + 4
    label_height = 16.0
    if is_turned:
        label_height = label_width
    left, top = 36 + label_width, 8
    across, down = count * cell_width, count * cell_height

    size = (left + across + 14, top + down + 34 + label_height)
    figure, axes = new_figure(*size, (left, top, across, down))
    axes.set(xlim=(0, count), ylim=(count, 0), xlabel="predicted", ylabel="actual")
    return figure, axes, is_turned


def _draw_cell(
    axes: Any, cell: tuple[int, int], value: float, change: float, row_total: float
) -> None:
    i, j = cell
    colour = QUIET
    if value:
        level = _shade(value, row_total)
        _fill_cell(axes, cell, LEVELS[level])
        colour = TEXT
        if level >= _FIRST_DARK_LEVEL:
            colour = ON_DARK_CELL

    centred = {"ha": "center", "va": "center", "color": colour}
    if change:
        axes.text(j + 0.5, i + 0.34, _short_count(value), **centred)
        text = f"-{_short_count(-change)}"
        if change > 0:
            text = f"+{_short_count(change)}"
        axes.text(j + 0.5, i + 0.74, text, **centred, fontsize=SMALL, weight="bold")
    elif value:
        axes.text(j + 0.5, i + 0.5, _short_count(value), **centred)


def _fill_cell(axes: Any, cell: tuple[int, int], colour: str) -> None:
    # Imported here, as all of matplotlib: it takes longer than the rest of a report.
    from matplotlib.patches import Rectangle

    i, j = cell
    corner = (j + 0.02, i + 0.02)
    axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=colour, edgecolor="none"))


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
