"""The metrics of the run beside the baseline's, and what they were in the runs before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, measured_or_dash
from nbci.pipeline.metric_names import short_name, step_of
from nbci.records.seeds import NO_SEEDS
from nbci.report.charts.figure import figure_files
from nbci.report.charts.history_picture import history_figure, sparkline
from nbci.report.charts.metric_history import histories
from nbci.report.data.change_wording import describe_metric_change, recorded_note
from nbci.report.data.view import steps_by_name
from nbci.report.data.wording import describe_metric, judged_first, metric_changes
from nbci.report.html.markup import Markup, element, fold, table
from nbci.report.html.page import section, step_link, time, verdict, with_note
from nbci.report.pages.figures_section import figure_grid
from nbci.report.pages.links import run_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.plan.compare import MetricChange
    from nbci.records.seeds import SeedRun, SeedRuns
    from nbci.report.charts import Figure
    from nbci.report.charts.metric_history import History
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep

# More columns than these are wider than a screen.
_COLUMNS = 8
# The end of a run waits for the page: with hundreds of metrics, for as many pictures.
_DRAWN = 12
_UNFOLDED = 20
_FEWEST_SEEDS = 2
_CLASSES = {True: "better", False: "worse", None: "even"}


def metrics_section(
    material: Material, steps: Sequence[ShownStep]
) -> tuple[Markup | None, dict[str, bytes]]:
    """Return a row for each metric, and the files of the table's pictures.

    Metrics that the baseline has and the run has not come last.
    """
    changes = metric_changes(material)
    if not changes:
        return None, {}

    by_metric = {history.metric: history for history in histories(material)}
    pages = steps_by_name(steps)
    seeds = material.run.record.seeds or NO_SEEDS
    rows = []
    for change in _in_order(material, changes):
        about = describe_metric(change, material.run.plan)
        compared = material.baseline is not None
        row = _row(change, about, pages, by_metric.get(change.name), compared=compared)
        rows.append((*row[:2], seeds.band(change.name), *row[2:]))

    figures = list(_history_figures(by_metric.values()))
    parts = [_table(rows[:_UNFOLDED], seeds)]
    if len(rows) > _UNFOLDED:
        more = rows[_UNFOLDED:]
        parts.append(fold(counted(len(more), "more metric"), _table(more, seeds)))
    by_seed = _seeds_table(seeds, [change.name for change in changes])
    past = _past_runs(material, changes, figures)
    return section("Metrics", *parts, by_seed, past, anchor="metrics"), figure_files(figures)


def _in_order(material: Material, changes: Sequence[MetricChange]) -> Sequence[MetricChange]:
    """Order many metrics: first those that gates judged, then those that got worse.

    A few metrics keep their order.
    """
    if len(changes) <= _UNFOLDED:
        return changes
    return judged_first(material.run.record, changes)


def _table(rows: Sequence[tuple[str, ...]], seeds: SeedRuns) -> Markup:
    over_seeds = seeds.heading.capitalize()
    heads = ("Metric", "Value", over_seeds, "Baseline", "Change", "Trend", "Step")
    return table("Metrics", heads, rows, class_="metrics", is_stacked=True)


def _row(
    change: MetricChange,
    about: str,
    pages: Mapping[str, ShownStep],
    history: History | None,
    *,
    compared: bool,
) -> tuple[str, ...]:
    name = with_note(short_name(change.name), about)
    value = element("strong", measured_or_dash(change.after, change.unit))
    # Columns without content are left out of the table.
    before, difference, trend = "", "", None
    if compared:
        before = with_note(measured_or_dash(change.before), recorded_note(change))
        difference = _difference(change)
    if history is not None:
        trend = sparkline(history)
    step: str = step_of(change.name) or ""
    if step in pages:
        step = step_link(pages[step])
    return name, value, before, difference, trend or "", step


def _difference(change: MetricChange) -> Markup:
    """The sign says up or down, the word better or worse, and the colour repeats the word."""
    return element("span", describe_metric_change(change), class_=_CLASSES[change.better])


# ---------------------------------------------------------------------------------- other seeds
def _seeds_table(seeds: SeedRuns, metrics: Sequence[str]) -> Markup | None:
    """What the run, and each baseline that was carried out with it, gave with each seed."""
    if len(seeds.runs) < _FEWEST_SEEDS:
        return None
    names = metrics[:_COLUMNS]
    rows = list(_seed_rows("this run", seeds.runs, names))
    for baseline in seeds.baselines:
        rows += _seed_rows(baseline.asked, baseline.runs, names)
    heads = ("Of", seeds.parameter, *map(short_name, names), "")
    return fold(counted(len(seeds.runs), "seed"), table("Seeds", heads, rows))


def _seed_rows(
    title: str, runs: Sequence[SeedRun], names: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    for run in runs:
        metrics = run.metrics or {}
        values = [measured_or_dash(metrics.get(name)) for name in names]
        yield title, str(run.value), *values, run.reason or ""


# ----------------------------------------------------------------------------- the runs before
def _history_figures(histories: Iterable[History]) -> Iterator[Figure]:
    for at, history in enumerate(list(histories)[:_DRAWN], 1):
        figure = history_figure(history, f"images/history-{at}.svg")
        if figure is not None:
            yield figure


def _past_runs(
    material: Material, changes: Sequence[MetricChange], figures: Sequence[Figure]
) -> Markup | None:
    """The runs before as pictures and in numbers, the newest first."""
    runs = material.history
    known: set[str] = set()
    for run in runs:
        known.update(run.metrics)
    names = [change.name for change in changes if change.name in known][:_COLUMNS]
    if not names:
        return None
    pictures = None
    if figures:
        pictures = figure_grid(figures, root="")
    heads = ("Run", "Started", "Result", *map(short_name, names))
    title = f"The {counted(len(runs), 'run')} before"
    return fold(title, pictures, table("The runs before", heads, _past_rows(material, names)))


def _past_rows(material: Material, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for run in reversed(material.history):
        values = [measured_or_dash(run.metrics.get(name)) for name in names]
        named = run_link(run.run, material.addresses)
        yield named, time(run.started_utc), verdict(run.result), *values
