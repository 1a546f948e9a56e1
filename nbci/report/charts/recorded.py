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
    from collections.abc import Iterator, Mapping

    from nbci.records.run_record import StepRecord
    from nbci.report.charts.chart import Chart
    from nbci.report.charts.records import Recorded
    from nbci.report.data.material import Material

_MOST = 60
_ROWS = 20
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
    stems = file_names(
        {
            **{step.name: None for step in material.run.plan.steps},
            **{step.name: None for step in record.steps},
        }
    )
    found: list[Figure] = []
    left_out = 0
    for step in record.steps:
        records = recorded(material.run, step)
        shown = records[: _MOST - len(found)]
        left_out += len(records) - len(shown)
        if not shown:
            continue
        earlier = _of_baseline(material, step)
        names = file_names([one.name for one in shown])
        for one in shown:
            path = f"figures/{stems[step.name]}/{names[one.name]}.svg"
            found.append(
                _figure(step, one, earlier.get(one.name), None if material.is_brief else path)
            )
    if left_out:
        note = f"{counted(left_out, 'more record')} not drawn: a report has up to {_MOST} pictures"
        found.append(Figure(name="more", title="More records", note=note))
    return tuple(found)


def _of_baseline(material: Material, step: StepRecord) -> Mapping[str, Recorded]:
    if material.baseline is None:
        return {}
    earlier = material.baseline.run.record.step(step.name)
    return (
        {one.name: one for one in recorded(material.baseline.run, earlier)}
        if earlier is not None
        else {}
    )


def _figure(step: StepRecord, one: Recorded, earlier: Recorded | None, path: str | None) -> Figure:
    """Without a `path` it is not drawn yet."""
    if one.chart is None:
        note = f"It cannot be drawn: {one.problem}"
        return Figure(step=step.name, name=one.name, title=clean(one.source), note=note)
    before = (
        earlier.chart if earlier is not None and type(earlier.chart) is type(one.chart) else None
    )
    if (
        isinstance(before, Curves)
        and isinstance(one.chart, Curves)
        and before.kind != one.chart.kind
    ):
        before = None
    figure = Figure(
        step=step.name,
        name=one.name,
        title=short_line(clean(one.chart.title)),
        source=one.source,
        alt=said(one.chart, before),
        numbers=_numbers(one.chart, before),
        note=_note(one.chart, before),
    )
    return (
        replace(figure, note=_LATER)
        if path is None
        else _with_picture(figure, one.chart, before, path)
    )


def _with_picture(figure: Figure, chart: Chart, before: Chart | None, path: str) -> Figure:
    if find_spec("matplotlib") is None:
        return replace(figure, note=_NO_MATPLOTLIB)
    try:
        drawing = draw_chart(chart, before)
    except (ValueError, ArithmeticError, RuntimeError, IndexError, TypeError, MemoryError) as error:
        return replace(
            figure,
            note=f"It could not be drawn: {short_line(f'{type(error).__name__}: {error}', 200)}",
        )
    return replace(
        figure, path=path, content=drawing.content, width=drawing.width, height=drawing.height
    )


def said(chart: Chart, before: Chart | None) -> str:
    """What the picture shows."""
    match chart:
        case Curves():
            return _said_of_curves(chart, before if isinstance(before, Curves) else None)
        case Confusion():
            return _said_of_matrix(chart, before if isinstance(before, Confusion) else None)
        case Importance():
            most = sorted(
                zip(chart.names, chart.values, strict=True), key=lambda pair: -abs(pair[1])
            )[:3]
            features = ", ".join(f"{name} {number(value)}" for name, value in most)
            with_baseline = ", beside the baseline's" if before else ""
            return f"{chart.title} of {counted(len(chart.names), 'feature')}{with_baseline}: most important {features}"


def _said_of_curves(chart: Curves, before: Curves | None) -> str:
    pairs = list(_pairs(chart, before))
    word = _MEASURES.get(chart.kind, "last")
    of = f" of {len(pairs)}" if len(pairs) > 1 else ""
    words = []
    for name, value, earlier in pairs[:4]:
        now = "no number" if value is None else number(value)
        title = f"{name} " if len(pairs) > 1 else f"{word} "
        words.append(
            f"{title}{now}" + (f", baseline {number(earlier)}" if earlier is not None else "")
        )
    measured = f"{word}: " if len(pairs) > 1 else ""
    more = ""
    if len(pairs) > 4:
        more = f";{and_more(len(pairs), 4)}"
    return f"{chart.title}{of}: {measured}{'; '.join(words)}{more}"


def _said_of_matrix(chart: Confusion, before: Confusion | None) -> str:
    total = sum(map(sum, chart.counts))
    share, earlier = right_share(chart), right_share(before) if before else None
    words = f"{chart.title} of {counted(len(chart.labels), 'class').replace('classs', 'classes')}: "
    words += f"{share:.2%} of {total:,.6g} right" if share is not None else "empty"
    if earlier is not None:
        words += f", baseline {earlier:.2%}"
    worst = _worst(chart)
    return (
        f"{words}; most often {worst[0]} taken for {worst[1]}: {number(worst[2])}"
        if worst
        else words
    )


def _worst(chart: Confusion) -> tuple[str, str, float] | None:
    found = max(
        (
            (value, -i, -j)
            for i, row in enumerate(chart.counts)
            for j, value in enumerate(row)
            if i != j and value
        ),
        default=None,
    )
    return (chart.labels[-found[1]], chart.labels[-found[2]], found[0]) if found else None


def _note(chart: Chart, before: Chart | None) -> str | None:
    if isinstance(chart, Curves):
        side = corner(chart, before if isinstance(before, Curves) else None)
        return (
            f"The upper left corner, {1 / side:.0f} times enlarged in each direction"
            if side
            else None
        )
    if isinstance(chart, Confusion):
        shown, earlier = folded_classes(chart, before if isinstance(before, Confusion) else None)
        notes = []
        if shown is not chart:
            notes.append(f"Of {len(chart.labels):,} classes, those that are mistaken most")
        if earlier is not None and earlier.labels == shown.labels:
            notes.append("Below a count: the change since the baseline")
        return "; ".join(notes) or None
    return None


def _numbers(chart: Chart, before: Chart | None) -> Numbers:
    match chart:
        case Curves():
            return _of_curves(chart, before if isinstance(before, Curves) else None)
        case Confusion():
            return _of_matrix(chart, before if isinstance(before, Confusion) else None)
        case Importance():
            return _of_importance(chart, before if isinstance(before, Importance) else None)


def _pairs(
    chart: Curves, before: Curves | None
) -> Iterator[tuple[str, float | None, float | None]]:
    """Each line with what it comes to, and what the baseline's does."""
    earlier = {line.name: line for line in before.lines} if before else {}
    if before and len(chart.lines) == len(before.lines) == 1:
        earlier = {chart.lines[0].name: before.lines[0]}
    for line in chart.lines:
        past = earlier.get(line.name)
        yield (
            line.name or "curve",
            measure(chart, line),
            measure(chart, past) if past is not None else None,
        )


def _of_curves(chart: Curves, before: Curves | None) -> Numbers:
    pairs = list(_pairs(chart, before))
    word = _MEASURES.get(chart.kind)
    with_baseline = any(earlier is not None for *_, earlier in pairs)
    heads = [
        "Curve",
        word[0].upper() + word[1:] if word else "Last",
        *(("Baseline", "Change") if with_baseline else ()),
    ]
    extremes = word is None
    rows = []
    for line, (name, value, earlier) in zip(chart.lines, pairs, strict=True):
        row = [name, _shown(value)]
        if with_baseline:
            change = value - earlier if value is not None and earlier is not None else None
            row += [_shown(earlier), "" if change is None else f"{change:+.4g}"]
        if extremes:
            heights = [height for height in line.y if math.isfinite(height)]
            row += [number(min(heights)), number(max(heights))]
        rows.append(tuple(row))
    return _table([*heads, *(("Lowest", "Highest") if extremes else ())], rows)


def _of_matrix(chart: Confusion, before: Confusion | None) -> Numbers:
    earlier = dict(zip(before.labels, range(len(before.labels)), strict=True)) if before else {}
    rows = []
    for at, (label, row) in enumerate(zip(chart.labels, chart.counts, strict=True)):
        total = sum(row)
        wrong = max(((value, -j) for j, value in enumerate(row) if j != at and value), default=None)
        taken = f"{chart.labels[-wrong[1]]} ({number(wrong[0])})" if wrong else ""
        past = before.counts[earlier[label]] if before and label in earlier else None
        share = f"{past[earlier[label]] / sum(past):.1%}" if past and sum(past) else ""
        right = f"{row[at] / total:.1%}" if total else ""
        rows.append((right, (label, number(total), right, *((share,) if before else ()), taken)))
    rows = (
        rows
        if len(rows) <= _ROWS
        else sorted(rows, key=lambda row: float(row[0].rstrip("%") or "inf"))
    )
    heads = ("Class", "Cases", "Right", *(("Baseline",) if before else ()), "Most often taken for")
    return _table(heads, [row for _, row in rows])


def _of_importance(chart: Importance, before: Importance | None) -> Numbers:
    earlier = dict(zip(before.names, before.values, strict=True)) if before else {}
    pairs = sorted(zip(chart.names, chart.values, strict=True), key=lambda pair: -abs(pair[1]))
    rows = [
        (name, number(value), *((_shown(earlier.get(name)),) if before else ()))
        for name, value in pairs
    ]
    return _table(("Feature", "Importance", *(("Baseline",) if before else ())), rows)


def _table(heads: list[str] | tuple[str, ...], rows: list[tuple[str, ...]]) -> Numbers:
    return Numbers(heads=tuple(heads), rows=tuple(rows[:_ROWS]), left_out=max(0, len(rows) - _ROWS))


def _shown(value: float | None) -> str:
    return "" if value is None else number(value)
