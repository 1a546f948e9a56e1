"""Say what a chart shows in words and as a table, beside the baseline's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbci.formatting.numbers import and_more, counted, number, number_or_blank
from nbci.report.charts.chart import Confusion, Curves, Importance, matching_baseline
from nbci.report.charts.draw_confusion import folded_classes
from nbci.report.charts.draw_curves import corner
from nbci.report.charts.figure import Numbers
from nbci.report.charts.measures import measure, right_share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.charts.chart import Chart

_ROWS = 20
_DESCRIBED_LINES = 4
_MEASURES = {
    "roc": "AUC",
    "precision_recall": "average precision",
    "calibration": "largest distance from the diagonal",
}


def describe_chart(chart: Chart, before: Chart | None) -> str:
    """Return what the picture shows, for readers who cannot see it."""
    match chart:
        case Curves():
            return _describe_curves(chart, matching_baseline(chart, before))
        case Confusion():
            return _describe_matrix(chart, matching_baseline(chart, before))
        case Importance():
            return _describe_importance(chart, matching_baseline(chart, before))


def chart_numbers(chart: Chart, before: Chart | None) -> Numbers:
    """The table that says the same as the picture."""
    match chart:
        case Curves():
            return _curve_numbers(chart, matching_baseline(chart, before))
        case Confusion():
            return _matrix_numbers(chart, matching_baseline(chart, before))
        case Importance():
            return _importance_numbers(chart, matching_baseline(chart, before))


def chart_note(chart: Chart, before: Chart | None) -> str | None:
    """What a reader has to know of the picture: that it is enlarged or cut, and its small print."""
    match chart:
        case Curves():
            side = corner(chart, matching_baseline(chart, before))
            if side:
                return f"The upper left corner, {1 / side:.0f} times enlarged in each direction"
        case Confusion():
            return _matrix_note(chart, matching_baseline(chart, before))
    return None


# ----------------------------------------------------------------------------------- curves
def _describe_curves(chart: Curves, before: Curves | None) -> str:
    measures = list(_measures(chart, before))
    word = _MEASURES.get(chart.kind, "last")
    if len(measures) == 1:
        ((_, value, earlier),) = measures
        return f"{chart.title}: {word} {_value_and_baseline(value, earlier)}"

    words = []
    for name, value, earlier in measures[:_DESCRIBED_LINES]:
        words.append(f"{name} {_value_and_baseline(value, earlier)}")
    text = f"{chart.title} of {len(measures)}: {word}: {'; '.join(words)}"
    if len(measures) > _DESCRIBED_LINES:
        text += f";{and_more(len(measures), _DESCRIBED_LINES)}"
    return text


def _measures(
    chart: Curves, before: Curves | None
) -> Iterator[tuple[str, float | None, float | None]]:
    """The name of each line, its measure, and the measure of the baseline's line."""
    matches = chart.matches_in(before)
    for line in chart.lines:
        past = None
        if line.name in matches:
            past = measure(chart, matches[line.name])
        yield line.name or "curve", measure(chart, line), past


def _value_and_baseline(value: float | None, earlier: float | None) -> str:
    text = number_or_blank(value) or "no number"
    if earlier is not None:
        text += f", baseline {number(earlier)}"
    return text


def _curve_numbers(chart: Curves, before: Curves | None) -> Numbers:
    measures = list(_measures(chart, before))
    word = _MEASURES.get(chart.kind, "last")
    # An area stands for the whole line; the last value does not, so its extremes stand beside it.
    with_extremes = chart.kind not in _MEASURES
    with_baseline = any(earlier is not None for *_, earlier in measures)

    heads = ["Curve", word[0].upper() + word[1:]]
    if with_baseline:
        heads += ["Baseline", "Change"]
    if with_extremes:
        heads += ["Lowest", "Highest"]

    rows = []
    for line, (name, value, earlier) in zip(chart.lines, measures, strict=True):
        row = [name, number_or_blank(value)]
        if with_baseline:
            row += [number_or_blank(earlier), _change(value, earlier)]
        if with_extremes:
            # A gap is NaN, and what `min` makes of NaN depends on where it stands.
            heights = list(filter(math.isfinite, line.y))
            row += [number(min(heights)), number(max(heights))]
        rows.append(tuple(row))
    return _table(heads, rows)


def _change(value: float | None, earlier: float | None) -> str:
    if value is None or earlier is None:
        return ""
    return f"{value - earlier:+.4g}"


# ------------------------------------------------------------------------ confusion matrices
def _describe_matrix(chart: Confusion, before: Confusion | None) -> str:
    # `counted` makes a plural by an s, which is wrong for `class`.
    text = f"{chart.title} of {counted(len(chart.labels), 'class').replace('classs', 'classes')}: "
    share = right_share(chart)
    if share is None:
        text += "empty"
    else:
        text += f"{share:.2%} of {chart.total:,.6g} right"

    earlier = None
    if before is not None:
        earlier = right_share(before)
    if earlier is not None:
        text += f", baseline {earlier:.2%}"
    if worst := _worst_mistake(chart):
        actual, predicted, count = worst
        text += f"; most often {actual} taken for {predicted}: {number(count)}"
    return text


def _worst_mistake(chart: Confusion) -> tuple[str, str, float] | None:
    """The actual class, the predicted one, and how often; the first one of equal counts."""
    worst = None
    most = 0.0
    for i, row in enumerate(chart.counts):
        j = _most_taken_for(row, i)
        if j is not None and row[j] > most:
            worst, most = (chart.labels[i], chart.labels[j], row[j]), row[j]
    return worst


def _most_taken_for(row: Sequence[float], own: int) -> int | None:
    """Return the first of the other classes that most of a class were taken for."""
    wrong = [*row[:own], 0.0, *row[own + 1 :]]
    most = max(wrong)
    if not most:
        return None
    return wrong.index(most)


def _matrix_note(chart: Confusion, before: Confusion | None) -> str | None:
    shown, earlier = folded_classes(chart, before)
    notes = []
    if shown is not chart:
        notes.append(f"Of {len(chart.labels):,} classes, those that are mistaken most")
    if earlier is not None and earlier.labels == shown.labels:
        notes.append("Below a count: the change since the baseline")
    return "; ".join(notes) or None


def _matrix_numbers(chart: Confusion, before: Confusion | None) -> Numbers:
    heads = ["Class", "Cases", "Right", "Most often taken for"]
    places: dict[str, int] = {}
    if before:
        heads.insert(3, "Baseline")
        places = dict(zip(before.labels, range(len(before.labels)), strict=True))

    rows = []
    for at, (label, row) in enumerate(zip(chart.labels, chart.counts, strict=True)):
        cells = [label, number(sum(row)), _right_of_class(row, at)]
        if before:
            cells.append(_baseline_right(before, places.get(label)))
        other = _most_taken_for(row, at)
        if other is None:
            cells.append("")
        else:
            cells.append(f"{chart.labels[other]} ({number(row[other])})")
        rows.append(tuple(cells))

    # The table is cut, and the classes that go wrong most must not be lost by that.
    if len(rows) > _ROWS:
        # A class without cases has no share, and nothing that went wrong: it goes last.
        rows.sort(key=lambda cells: float(cells[2].rstrip("%") or "inf"))
    return _table(heads, rows)


def _right_of_class(row: Sequence[float], at: int) -> str:
    """The share of a class that was classified correctly; empty where it has no cases."""
    total = sum(row)
    if not total:
        return ""
    return f"{row[at] / total:.1%}"


def _baseline_right(before: Confusion, at: int | None) -> str:
    if at is None:
        return ""
    return _right_of_class(before.counts[at], at)


# ------------------------------------------------------------------------------- importances
def _describe_importance(chart: Importance, before: Importance | None) -> str:
    features = []
    for name, value in chart.most_important()[:3]:
        features.append(f"{name} {number(value)}")
    text = f"{chart.title} of {counted(len(chart.names), 'feature')}"
    if before:
        text += ", beside the baseline's"
    return f"{text}: most important {', '.join(features)}"


def _importance_numbers(chart: Importance, before: Importance | None) -> Numbers:
    heads = ["Feature", "Importance"]
    earlier: dict[str, float] = {}
    if before:
        heads.append("Baseline")
        earlier = before.values_by_name()

    rows = []
    for name, value in chart.most_important():
        cells = [name, number(value)]
        if before:
            cells.append(number_or_blank(earlier.get(name)))
        rows.append(tuple(cells))
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Numbers:
    return Numbers(heads=tuple(heads), rows=tuple(rows[:_ROWS]), left_out=max(0, len(rows) - _ROWS))
