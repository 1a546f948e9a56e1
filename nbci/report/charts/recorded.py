"""Make the figures of what steps recorded, together with the baseline's.

Each has what it amounts to in words and as a table.
"""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nbci.formatting.numbers import and_more, counted, number
from nbci.formatting.text import clean, file_names, short_line
from nbci.report.charts.chart import Confusion, Curves, Importance
from nbci.report.charts.draw import corner, draw_chart, folded_classes
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.measures import measure, right_share
from nbci.report.charts.records import recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.records.run_record import StepRecord
    from nbci.report.charts.chart import Chart, Line
    from nbci.report.charts.records import Recorded
    from nbci.report.data.material import Material

_MOST = 60
_ROWS = 20
_DESCRIBED_LINES = 4
_NO_MATPLOTLIB = "To see it drawn, install nbci with its extra `plots`: pip install 'nbci[plots]'"
_LATER = "Drawn when `nbci report` asks for it: a short run does not wait for pictures"
_MEASURES = {
    "roc": "AUC",
    "precision_recall": "average precision",
    "calibration": "largest distance from the diagonal",
}


def recorded_figures(material: Material) -> tuple[Figure, ...]:
    """Return a figure for each record of each step of the run, in the steps' order.

    Paths are below `figures/`.
    """
    record = material.run.record
    # Also steps of the plan that this run lacks: a step's folder keeps its name between runs.
    step_names = dict.fromkeys(step.name for step in material.run.plan.steps)
    step_names |= dict.fromkeys(step.name for step in record.steps)
    stems = file_names(step_names)

    figures: list[Figure] = []
    left_out = 0
    for step in record.steps:
        records = recorded(material.run, step)
        shown = records[: _MOST - len(figures)]
        left_out += len(records) - len(shown)
        if not shown:
            continue
        earlier = _baseline_records(material, step)
        # Names of records are users' texts: two may differ in what no file name can have.
        names = file_names([one.name for one in shown])
        for one in shown:
            path = None
            if not material.is_brief:
                path = f"figures/{stems[step.name]}/{names[one.name]}.svg"
            figures.append(_figure(step, one, earlier.get(one.name), path))

    if left_out:
        note = f"{counted(left_out, 'more record')} not drawn: a report has up to {_MOST} pictures"
        figures.append(Figure(name="more", title="More records", note=note))
    return tuple(figures)


def _baseline_records(material: Material, step: StepRecord) -> Mapping[str, Recorded]:
    if material.baseline is None:
        return {}
    earlier = material.baseline.run.record.step(step.name)
    if earlier is None:
        return {}
    return {one.name: one for one in recorded(material.baseline.run, earlier)}


def _figure(step: StepRecord, one: Recorded, earlier: Recorded | None, path: str | None) -> Figure:
    """Without a `path` it is not drawn yet."""
    if one.chart is None:
        note = f"It cannot be drawn: {one.problem}"
        return Figure(step=step.name, name=one.name, title=clean(one.source), note=note)

    before = None
    if earlier is not None and _is_comparable(one.chart, earlier.chart):
        before = earlier.chart
    figure = Figure(
        step=step.name,
        name=one.name,
        title=short_line(clean(one.chart.title)),
        source=one.source,
        alt=describe_chart(one.chart, before),
        numbers=_numbers(one.chart, before),
        note=_note(one.chart, before),
    )
    if path is None:
        return replace(figure, note=_LATER)
    return _with_picture(figure, one.chart, before, path)


def _is_comparable(chart: Chart, earlier: Chart | None) -> bool:
    if isinstance(chart, Curves) and isinstance(earlier, Curves):
        # One class has all kinds of curves, and those of two kinds have no axes in common.
        return chart.kind == earlier.kind
    return type(chart) is type(earlier)


def _with_picture(figure: Figure, chart: Chart, before: Chart | None, path: str) -> Figure:
    # matplotlib is an extra of nbci: a report without pictures has all numbers as tables.
    if find_spec("matplotlib") is None:
        return replace(figure, note=_NO_MATPLOTLIB)
    try:
        drawing = draw_chart(chart, before)
    # Numbers come from users' code, and matplotlib raises many things on odd ones.
    except (ValueError, ArithmeticError, RuntimeError, IndexError, TypeError, MemoryError) as error:
        problem = short_line(f"{type(error).__name__}: {error}", 200)
        return replace(figure, note=f"It could not be drawn: {problem}")
    return replace(
        figure, path=path, content=drawing.content, width=drawing.width, height=drawing.height
    )


def describe_chart(chart: Chart, before: Chart | None) -> str:
    """Return what the picture shows, for readers who cannot see it."""
    match chart:
        case Curves():
            return _describe_curves(chart, before if isinstance(before, Curves) else None)
        case Confusion():
            return _describe_matrix(chart, before if isinstance(before, Confusion) else None)
        case Importance():
            most = _by_importance(chart)[:3]
            features = ", ".join(f"{name} {number(value)}" for name, value in most)
            text = f"{chart.title} of {counted(len(chart.names), 'feature')}"
            if before:
                text += ", beside the baseline's"
            return f"{text}: most important {features}"


def _by_importance(chart: Importance) -> list[tuple[str, float]]:
    pairs = zip(chart.names, chart.values, strict=True)
    # Importances may be negative, as coefficients are, and then matter as much.
    return sorted(pairs, key=lambda pair: -abs(pair[1]))


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


def _value_and_baseline(value: float | None, earlier: float | None) -> str:
    text = _shown(value) or "no number"
    if earlier is not None:
        text += f", baseline {number(earlier)}"
    return text


def _describe_matrix(chart: Confusion, before: Confusion | None) -> str:
    # `counted` makes a plural by an s, which is wrong for `class`.
    text = f"{chart.title} of {counted(len(chart.labels), 'class').replace('classs', 'classes')}: "
    share = right_share(chart)
    if share is None:
        text += "empty"
    else:
        text += f"{share:.2%} of {sum(map(sum, chart.counts)):,.6g} right"

    earlier = None if before is None else right_share(before)
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


def _note(chart: Chart, before: Chart | None) -> str | None:
    match chart:
        case Curves():
            side = corner(chart, before if isinstance(before, Curves) else None)
            if side:
                return f"The upper left corner, {1 / side:.0f} times enlarged in each direction"
        case Confusion():
            return _matrix_note(chart, before if isinstance(before, Confusion) else None)
    return None


def _matrix_note(chart: Confusion, before: Confusion | None) -> str | None:
    shown, earlier = folded_classes(chart, before)
    notes = []
    if shown is not chart:
        notes.append(f"Of {len(chart.labels):,} classes, those that are mistaken most")
    if earlier is not None and earlier.labels == shown.labels:
        notes.append("Below a count: the change since the baseline")
    return "; ".join(notes) or None


def _numbers(chart: Chart, before: Chart | None) -> Numbers:
    match chart:
        case Curves():
            return _curve_numbers(chart, before if isinstance(before, Curves) else None)
        case Confusion():
            return _matrix_numbers(chart, before if isinstance(before, Confusion) else None)
        case Importance():
            return _importance_numbers(chart, before if isinstance(before, Importance) else None)


def _measures(
    chart: Curves, before: Curves | None
) -> Iterator[tuple[str, float | None, float | None]]:
    """The name of each line, its measure, and the measure of the baseline's line."""
    earlier: dict[str, Line] = {}
    if before:
        earlier = {line.name: line for line in before.lines}
        # Two single lines are compared whatever their names, as in the picture.
        if len(chart.lines) == len(before.lines) == 1:
            earlier = {chart.lines[0].name: before.lines[0]}

    for line in chart.lines:
        past = None
        if line.name in earlier:
            past = measure(chart, earlier[line.name])
        yield line.name or "curve", measure(chart, line), past


def _curve_numbers(chart: Curves, before: Curves | None) -> Numbers:
    measures = list(_measures(chart, before))
    word = _MEASURES.get(chart.kind)
    # An area stands for the whole line; the last value does not, so its extremes stand beside it.
    with_extremes = word is None
    with_baseline = any(earlier is not None for *_, earlier in measures)

    heads = ["Curve", "Last" if word is None else word[0].upper() + word[1:]]
    if with_baseline:
        heads += ["Baseline", "Change"]
    if with_extremes:
        heads += ["Lowest", "Highest"]

    rows = []
    for line, (name, value, earlier) in zip(chart.lines, measures, strict=True):
        row = [name, _shown(value)]
        if with_baseline:
            row += [_shown(earlier), _change(value, earlier)]
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


def _importance_numbers(chart: Importance, before: Importance | None) -> Numbers:
    heads = ["Feature", "Importance"]
    earlier: dict[str, float] = {}
    if before:
        heads.append("Baseline")
        earlier = dict(zip(before.names, before.values, strict=True))

    rows = []
    for name, value in _by_importance(chart):
        cells = [name, number(value)]
        if before:
            cells.append(_shown(earlier.get(name)))
        rows.append(tuple(cells))
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Numbers:
    return Numbers(heads=tuple(heads), rows=tuple(rows[:_ROWS]), left_out=max(0, len(rows) - _ROWS))


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return number(value)
