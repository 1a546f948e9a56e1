"""Charts of many runs laid over each other: the best few named, the rest grey behind them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.formatting.numbers import counted, number_or_blank
from nbci.formatting.text import clean, file_names, short_line
from nbci.pipeline.metric_names import short_name
from nbci.report.charts.chart import Curves
from nbci.report.charts.chart_records import find_records
from nbci.report.charts.chart_words import chart_note
from nbci.report.charts.draw import draw_over_each_other
from nbci.report.charts.draw_curves import LOOKS
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.measures import measure
from nbci.report.charts.step_figures import drawn
from nbci.report.data.many_runs import point_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.report.charts.chart import Line
    from nbci.report.charts.chart_records import ChartRecord
    from nbci.report.data.many_runs import ManyRuns
    from nbci.report.data.material import ShownRun

# A curve of each class is a picture of each class here, and nobody compares hundreds of them.
_MOST_LINES = 4
_MOST_FIGURES = 24
_LEGEND = 30
_ROWS = 50
_HIGHER_IS_BETTER = {"roc": True, "precision_recall": True, "calibration": False}
_MEASURES = {
    "roc": "AUC",
    "precision_recall": "Average precision",
    "calibration": "Largest distance from the diagonal",
}


class _Recorded(Struct, frozen=True):
    """Curves that a run recorded, and where, in words."""

    chart: Curves
    source: str


class _Overlay(Struct, frozen=True, kw_only=True):
    """One curve of several runs: a line a run, the best first; `left_out`: other curves there."""

    step: str
    name: str
    title: str
    source: str
    chart: Curves
    left_out: int


def overlays_of(runs: Sequence[ShownRun], many: ManyRuns) -> tuple[Figure, ...]:
    """A figure for each curve that several runs recorded under one name, in the steps' order.

    Paths are below `figures/`.
    """
    overlays: list[_Overlay] = []
    for (step, name), charts in _charts(runs).items():
        if len(charts) > 1:
            overlays += _overlays(step, name, charts, many)
    shown = overlays[:_MOST_FIGURES]
    files = file_names([f"{one.step}/{one.name}" for one in shown])
    figures = [_figure(one, f"figures/{files[f'{one.step}/{one.name}']}.svg") for one in shown]
    if len(overlays) > len(shown):
        more = counted(len(overlays) - len(shown), "more curve")
        note = f"{more} not drawn: a page has up to {_MOST_FIGURES} pictures"
        figures.append(Figure(name="more", title="More curves", note=note))
    return tuple(figures)


def _charts(runs: Sequence[ShownRun]) -> dict[tuple[str, str], dict[str, _Recorded]]:
    """The curves by their step and name there, each by the run that recorded it."""
    found: dict[tuple[str, str], dict[str, _Recorded]] = {}
    # Trials share most steps: what one of them recorded is read once for all that reuse it.
    known: dict[tuple[str, str], tuple[ChartRecord, ...]] = {}
    # In the order of the runs, so that the best one gives a chart its title and source.
    for run in runs:
        for step in run.record.steps:
            executed = (step.run or run.record.run, step.name)
            if executed not in known:
                known[executed] = find_records(run, step)
            for one in known[executed]:
                if isinstance(one.chart, Curves):
                    recorded = _Recorded(one.chart, one.source)
                    found.setdefault((step.name, one.name), {})[run.record.run] = recorded
    return found


def _overlays(
    step: str, name: str, charts: Mapping[str, _Recorded], many: ManyRuns
) -> Iterator[_Overlay]:
    """An overlay for each line that several of the runs have in this chart."""
    lines = _lines_by_name(charts)
    shared = {line: found for line, found in lines.items() if len(found) > 1}
    first = next(iter(charts.values()))
    shown = _most_different(shared, first.chart)
    for line_name in shown:
        title = short_line(clean(first.chart.title))
        if line_name:
            title = f"{title}: {short_line(clean(line_name))}"
        yield _Overlay(
            step=step,
            name=f"{name}/{line_name}" if line_name else name,
            title=title,
            source=first.source,
            chart=_overlaid(shared[line_name], line_name, charts, many),
            left_out=len(shared) - len(shown),
        )


def _most_different(shared: Mapping[str, Mapping[str, Line]], chart: Curves) -> list[str]:
    """The few lines in which the runs lie farthest apart, in their own order."""
    if len(shared) <= _MOST_LINES:
        return list(shared)

    def spread(name: str) -> float:
        values = [measure(chart, line) for line in shared[name].values()]
        known = [value for value in values if value is not None]
        return max(known, default=0.0) - min(known, default=0.0)

    farthest = sorted(shared, key=spread, reverse=True)[:_MOST_LINES]
    return [name for name in shared if name in farthest]


def _lines_by_name(charts: Mapping[str, _Recorded]) -> dict[str, dict[str, Line]]:
    """The lines by name, each by the run that recorded it."""
    found: dict[str, dict[str, Line]] = {}
    curves = {run: one.chart for run, one in charts.items()}
    kind = next(iter(curves.values())).kind
    # A model may have been renamed: single lines are compared whatever their names are.
    are_single = all(len(chart.lines) == 1 for chart in curves.values())
    for run, chart in curves.items():
        # One class has all kinds of curves, and those of two kinds have no axes in common.
        if chart.kind == kind:
            for line in chart.lines:
                found.setdefault("" if are_single else line.name, {})[run] = line
    return found


def _overlaid(
    found: Mapping[str, Line], line_name: str, charts: Mapping[str, _Recorded], many: ManyRuns
) -> Curves:
    """The lines of the runs as one chart, the best first, each named after its run."""
    chart = charts[next(iter(found))].chart
    lines = []
    for at, run in enumerate(many.runs, 1):
        if run.run in found:
            point = point_of(run, many.differing)
            label = short_line(f"{at}: {point}" if point else f"{at}", _LEGEND)
            lines.append(replace(found[run.run], name=label))
    # What the number of a curve says is known only where its kind or a metric tells the direction.
    overlaid = replace(chart, lines=tuple(lines))
    higher = _HIGHER_IS_BETTER.get(chart.kind)
    if higher is None:
        higher = _declared_higher((line_name, chart.y_label), many)
    # Without a direction the runs stay in the order of the table.
    if higher is None:
        return overlaid
    return replace(overlaid, lines=tuple(_best_first(overlaid, higher)))


def _declared_higher(names: Sequence[str], many: ManyRuns) -> bool | None:
    """Whether more is better of the metric that a curve is named after."""
    for metric in many.metrics:
        if metric.direction is not None and short_name(metric.name) in names:
            return metric.direction == "up"
    return None


def _best_first(chart: Curves, higher: bool) -> list[Line]:
    def rank(line: Line) -> float:
        value = measure(chart, line)
        if value is None or math.isnan(value):
            return math.inf
        return -value if higher else value

    return sorted(chart.lines, key=rank)


def _figure(overlay: _Overlay, path: str) -> Figure:
    chart = overlay.chart
    best = chart.lines[: len(LOOKS)]
    notes = [chart_note(chart, None)]
    if overlay.left_out:
        more = counted(overlay.left_out, "more curve")
        notes.append(f"{more} of this chart, in which the runs differ less")
    figure = Figure(
        name=overlay.name,
        step=overlay.step,
        title=overlay.title,
        source=overlay.source,
        alt=_in_words(overlay),
        numbers=_numbers(chart),
        note="; ".join(filter(None, notes)) or None,
    )
    return drawn(figure, path, lambda: draw_over_each_other(chart, best))


def _in_words(overlay: _Overlay) -> str:
    """What the picture shows, for readers who cannot see it."""
    chart = overlay.chart
    word = _MEASURES.get(chart.kind, "Last value")
    best = chart.lines[0]
    value = number_or_blank(measure(chart, best)) or "no number"
    runs = counted(len(chart.lines), "run")
    return f"{overlay.title} of {runs}; first {best.name}: {word} {value}"


def _numbers(chart: Curves) -> Numbers:
    word = _MEASURES.get(chart.kind, "Last value")
    rows = [(line.name, number_or_blank(measure(chart, line))) for line in chart.lines]
    return Numbers(
        heads=("Run", word), rows=tuple(rows[:_ROWS]), left_out=max(0, len(rows) - _ROWS)
    )
