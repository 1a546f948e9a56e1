"""Make the figures of what steps recorded, together with the baseline's.

Each has what it amounts to in words and as a table.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.formatting.text import clean, file_names, short_line
from nbci.report.charts.chart import matching_baseline
from nbci.report.charts.chart_records import find_records
from nbci.report.charts.chart_words import chart_note, chart_numbers, describe_chart
from nbci.report.charts.draw import draw_chart
from nbci.report.charts.figure import Figure
from nbci.report.data.view import step_stems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.records.run_record import StepRecord
    from nbci.report.charts.canvas import Drawing
    from nbci.report.charts.chart import Chart
    from nbci.report.charts.chart_records import ChartRecord
    from nbci.report.data.material import Material

_MOST = 60
_NO_MATPLOTLIB = "To see it drawn, install nbci with its extra `plots`: pip install 'nbci[plots]'"
_LATER = "Drawn when `nbci report` asks for it: a short run does not wait for pictures"


def figures_of(material: Material) -> tuple[Figure, ...]:
    """Return a figure for each record of each step of the run, in the steps' order.

    Paths are below `figures/`.
    """
    record = material.run.record
    stems = step_stems(record, material.run.plan)
    figures: list[Figure] = []
    left_out = 0
    for step in record.steps:
        records = find_records(material.run, step)
        shown = records[: _MOST - len(figures)]
        left_out += len(records) - len(shown)
        if not shown:
            continue
        earlier = _baseline_charts(material, step)
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


def _baseline_charts(material: Material, step: StepRecord) -> Mapping[str, Chart | None]:
    if material.baseline is None:
        return {}
    earlier = material.baseline.run.record.step(step.name)
    if earlier is None:
        return {}
    return {one.name: one.chart for one in find_records(material.baseline.run, earlier)}


def _figure(step: StepRecord, one: ChartRecord, earlier: Chart | None, path: str | None) -> Figure:
    """Without a `path` it is not drawn yet."""
    if one.chart is None:
        note = f"It cannot be drawn: {one.problem}"
        return Figure(step=step.name, name=one.name, title=clean(one.source), note=note)

    before = matching_baseline(one.chart, earlier)
    figure = Figure(
        step=step.name,
        name=one.name,
        title=short_line(clean(one.chart.title)),
        source=one.source,
        alt=describe_chart(one.chart, before),
        numbers=chart_numbers(one.chart, before),
        note=chart_note(one.chart, before),
    )
    if path is None:
        return replace(figure, note=_LATER)
    return _with_picture(figure, one.chart, before, path)


def _with_picture(figure: Figure, chart: Chart, before: Chart | None, path: str) -> Figure:
    return drawn(figure, path, lambda: draw_chart(chart, before))


def drawn(figure: Figure, path: str, draw: Callable[[], Drawing]) -> Figure:
    """The figure with its picture, or with a note why there is none."""
    # matplotlib is an extra of nbci: a report without pictures has all numbers as tables.
    if find_spec("matplotlib") is None:
        return replace(figure, note=_NO_MATPLOTLIB)
    try:
        drawing = draw()
    # Numbers come from users' code, and matplotlib raises many things on odd ones.
    except (ValueError, ArithmeticError, RuntimeError, IndexError, TypeError, MemoryError) as error:
        problem = short_line(f"{type(error).__name__}: {error}", 200)
        return replace(figure, note=f"It could not be drawn: {problem}")
    return replace(
        figure, path=path, content=drawing.content, width=drawing.width, height=drawing.height
    )
