"""The metrics of the run beside the baseline's, and what they were in the runs before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, measured, number
from nbci.pipeline.metric_names import short_name, step_of
from nbci.report.charts.history import histories
from nbci.report.charts.history_picture import history_figure, sparkline
from nbci.report.data.change_wording import describe_metric_change
from nbci.report.data.wording import metric_changes
from nbci.report.html.markup import Markup, element, folded, fragment, table
from nbci.report.html.page import linked, section, time, verdict
from nbci.report.pages.figures_section import figures_shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.plan.compare import MetricChange
    from nbci.report.charts import Figure
    from nbci.report.charts.history import History
    from nbci.report.data.material import Baseline, Material, PastRun
    from nbci.report.data.view import ShownStep

_COLUMNS = 8
_DRAWN = 12
_UNFOLDED = 20
_DIRECTIONS = {"up": "higher is better", "down": "lower is better"}


def metrics_section(
    material: Material, steps: Sequence[ShownStep]
) -> tuple[Markup | None, dict[str, bytes]]:
    """Return a row for each metric, and the files of the table's pictures.

    Metrics that the baseline has and the run has not come last.
    """
    changes = metric_changes(material)
    if not changes:
        return None, {}
    found = {history.metric: history for history in histories(material)}
    shown = {step.record.name: step for step in steps}
    rows = [
        _row(change, shown, found.get(change.name), material.baseline)
        for change in _first(material, changes)
    ]
    figures = [
        figure
        for at, history in enumerate(list(found.values())[:_DRAWN], 1)
        if (figure := history_figure(history, f"images/history-{at}.svg")) is not None
    ]
    parts = (_table(rows[:_UNFOLDED]), _more(rows[_UNFOLDED:]), _past(material, changes, figures))
    return section("Metrics", *parts, anchor="metrics"), {
        it.path: it.content for it in figures if it.path
    }


def _first(material: Material, changes: Sequence[MetricChange]) -> Sequence[MetricChange]:
    """Order many metrics: first those that gates judged, then those that got worse.

    A few metrics keep their order.
    """
    if len(changes) <= _UNFOLDED:
        return changes
    verdict = material.run.record.verdict
    judged = {gate.metric for gate in verdict.gates} if verdict else set()
    return sorted(
        changes, key=lambda change: (change.name not in judged, change.better is not False)
    )


def _table(rows: Sequence[tuple[str, ...]]) -> Markup:
    heads = ("Metric", "Value", "Baseline", "Change", "Trend", "Step")
    return table("Metrics", heads, rows, class_="metrics", is_stacked=True)


def _more(rows: Sequence[tuple[str, ...]]) -> Markup | None:
    return folded(counted(len(rows), "more metric"), _table(rows)) if rows else None


def _row(
    change: MetricChange,
    steps: Mapping[str, ShownStep],
    history: History | None,
    baseline: Baseline | None,
) -> tuple[str, ...]:
    step = step_of(change.name) or ""
    direction = _DIRECTIONS.get(change.direction or "")
    name = fragment(
        short_name(change.name), element("span", direction, class_="under") if direction else None
    )
    value = element("strong", "—" if change.after is None else measured(change.after, change.unit))
    before = "—" if change.before is None else number(change.before)
    against = (before, _moved(change)) if baseline is not None else ("", "")
    trend = (sparkline(history) if history is not None else None) or ""
    return name, value, *against, trend, linked(steps[step]) if step in steps else step


def _moved(change: MetricChange) -> Markup:
    """The sign says up or down, the word better or worse, and the colour repeats the word."""
    words = describe_metric_change(change)
    kind = {True: "better", False: "worse", None: "even"}[change.better]
    return element("span", words, class_=kind)


def _past(
    material: Material, changes: Sequence[MetricChange], figures: Sequence[Figure]
) -> Markup | None:
    """The runs before as pictures and in numbers, the newest first."""
    runs = material.history
    names = [change.name for change in changes if any(change.name in run.metrics for run in runs)][
        :_COLUMNS
    ]
    if not names:
        return None
    heads = ("Run", "Started", "Result", *map(short_name, names))
    rows = [_past_row(run, names) for run in reversed(runs)]
    return folded(
        f"The {counted(len(runs), 'run')} before",
        figures_shown(figures, root="") if figures else None,
        table("The runs before", heads, rows),
    )


def _past_row(run: PastRun, names: Sequence[str]) -> tuple[str, ...]:
    values = ("—" if (value := run.metrics.get(name)) is None else number(value) for name in names)
    return element("code", run.run), time(run.started_utc), verdict(run.result), *values
