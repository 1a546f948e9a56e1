"""The page of many runs side by side: the best, all of them in a table, charts over each other."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration, moment
from nbci.formatting.numbers import ABSENT, and_more, counted, listed, number
from nbci.formatting.text import short_line
from nbci.report.charts.figure import figure_files
from nbci.report.charts.overlays import overlays_of
from nbci.report.data.many_runs import left_out_lines, value_text
from nbci.report.html.markup import Markup, element, fragment, item_list, table
from nbci.report.html.page import facts, page, section, verdict
from nbci.report.pages.figures_section import charts_section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.report.charts.figure import Figure
    from nbci.report.data.many_runs import ComparedMetric, ComparedRun, ManyRuns
    from nbci.report.data.material import ShownRun

_NAMED = 3
_LONGEST_PROBLEM = 300
_BETTER = {"up": "higher", "down": "lower"}


def render_many_runs(
    many: ManyRuns, runs: Sequence[ShownRun], addresses: Mapping[str, str]
) -> Mapping[str, bytes]:
    """The page's files by their path in its folder, under the same policy as a report's.

    `runs` are the same with what they left; `addresses` lead to the runs' own reports.
    """
    return {
        **many_page(many, overlays_of(runs, many), addresses),
        "style.css": files("nbci.report").joinpath("style.css").read_bytes(),
    }


def many_page(
    many: ManyRuns, charts: Sequence[Figure], addresses: Mapping[str, str]
) -> dict[str, bytes]:
    """The page and its pictures: path to content.

    `addresses` are those of the runs' own reports, as far as they have one, from the page.
    """
    parts = {
        "The best": _best_section(many),
        "Runs": _runs_section(many, addresses),
        "Charts": charts_section(charts, root=""),
        "Alike in all": _alike_section(many),
        "Left out": _left_out_section(many),
    }
    shown = {title: part for title, part in parts.items() if part}
    title = f"{counted(len(many.runs), 'run')} side by side"
    content = page(
        title,
        root="",
        header=_header(title, many),
        contents=_contents(shown),
        main=fragment(*shown.values()),
        footer=f"{title}, made by nbci compare",
    )
    return {"index.html": content, **figure_files(charts)}


def _header(title: str, many: ManyRuns) -> Markup:
    pipelines = list(dict.fromkeys(run.record.pipeline for run in many.runs))
    line = [f"of {listed(pipelines, _NAMED)}"]
    started = [run.record.started_utc for run in many.runs if run.record.started_utc]
    if started:
        line.append(f"{moment(min(started))} to {moment(max(started))}")
    if many.ranking is not None:
        line.append(f"sorted by {many.ranking.title}, the best first")
    return fragment(element("h1", title), item_list(line, class_="facts-line"))


def _contents(parts: Mapping[str, Markup]) -> Markup:
    links = [element("a", title, href=f"#{_anchor(title)}") for title in parts]
    return element("nav", item_list(links), class_="contents", aria_label="Parts of this page")


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _best_section(many: ManyRuns) -> Markup | None:
    """For each metric which is the best, and how far the runs lie apart."""
    numbers = {run.run: at for at, run in enumerate(many.runs, 1)}
    rows = []
    for metric in many.metrics:
        values = [run.value_of(metric.name) for run in many.runs]
        known = [value for value in values if value is not None]
        if not known:
            continue
        ranks = sorted(numbers[run] for run in metric.best)
        best = ABSENT
        if ranks:
            best = number(max(known) if metric.direction == "up" else min(known))
        better = _BETTER.get(metric.direction or "", "not declared")
        lowest, highest = number(min(known)), number(max(known))
        rows.append((metric.title, better, best, _rows_linked(ranks), lowest, highest))
    if not rows:
        return None
    heads = ("Metric", "Better", "Best", "In run", "Lowest", "Highest")
    shown = table("The best of each metric", heads, rows, is_stacked=True)
    return section("The best", shown, anchor="the-best")


def _rows_linked(ranks: Sequence[int]) -> Markup:
    """Links to rows of the table of runs."""
    parts: list[str] = []
    for at in ranks[:_NAMED]:
        parts += (", ", element("a", f"{at}", href=f"#run-{at}"))
    return fragment(*parts[1:], and_more(len(ranks), _NAMED))


def _runs_section(many: ManyRuns, addresses: Mapping[str, str]) -> Markup:
    heads = ["#", *many.differing, *(metric.title for metric in many.metrics)]
    # The number comes first, since charts and other tables name runs by it.
    rows: list[list[str]] = []
    for at, run in enumerate(many.runs, 1):
        cells: list[str] = [element("span", f"{at}", id=f"run-{at}")]
        cells += [_parameter(run, name) for name in many.differing]
        cells += [_metric(run, metric) for metric in many.metrics]
        cells += [duration(run.record.seconds), verdict(run.record.outcome), _link(run, addresses)]
        rows.append(cells)
    note = None
    if any(metric.best for metric in many.metrics):
        note = element("p", "The best of each metric is marked.", class_="note")
    # The style sheet shows it on phones only: they hide the bars of what scrolls.
    hint = element("p", "The table scrolls sideways.", class_="note scroll-hint")
    shown = table("The runs", (*heads, "Took", "Result", "Run"), rows, class_="many")
    return section("Runs", note, hint, shown, anchor="runs")


def _parameter(run: ComparedRun, name: str) -> str:
    if name not in run.params:
        return ABSENT
    return element("code", value_text(run.params[name]))


def _metric(run: ComparedRun, metric: ComparedMetric) -> str:
    if metric.name not in run.metrics:
        return ABSENT
    value = number(run.metrics[metric.name])
    if run.run in metric.best:
        return element("strong", value, " ", element("span", "best", class_="best"))
    return value


def _link(run: ComparedRun, addresses: Mapping[str, str]) -> str:
    if run.run in addresses:
        return element("a", run.run, href=addresses[run.run])
    return run.run


def _alike_section(many: ManyRuns) -> Markup | None:
    if not many.alike:
        return None
    pairs = [(name, element("code", value_text(value))) for name, value in many.alike.items()]
    return section("Alike in all", facts(pairs), anchor="alike-in-all")


def _left_out_section(many: ManyRuns) -> Markup | None:
    if not many.left_out:
        return None
    shown = [short_line(line, _LONGEST_PROBLEM) for line in left_out_lines(many.left_out)]
    return section("Left out", item_list(shown), anchor="left-out")
