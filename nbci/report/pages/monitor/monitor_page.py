"""Build the page of a monitor: the verdict, the rules, the columns, then the windows before."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from nbci.formatting.durations import moment
from nbci.formatting.numbers import counted, measured_or_dash, signed
from nbci.formatting.text import short_line
from nbci.report.charts.figure import figure_files
from nbci.report.charts.monitor.trends import column_trends, metric_trends, volume_figure
from nbci.report.data.drift_wording import reference_of, shown_name, windows_of
from nbci.report.html.markup import element, fold, fragment, item_list, table
from nbci.report.html.page import contents_of, facts, page, section, time, verdict
from nbci.report.pages.figures_section import figure_grid
from nbci.report.pages.index.verdict_section import HEADS, gate_row
from nbci.report.pages.monitor.columns_section import (
    columns_section,
    distributions_section,
    findings_section,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.records.monitoring import MonitorResult
    from nbci.report.charts.figure import Figure
    from nbci.report.html.markup import Markup

_LONGEST = 500
_UNFOLDED_WINDOWS = 10


def render_monitor(result: MonitorResult, earlier: Sequence[MonitorResult]) -> Mapping[str, bytes]:
    """The files of the page by their paths; they keep to the policy of the report's.

    `earlier` are results of windows before, in any order; those of other models are left out.
    """
    windows = windows_of(result, earlier)
    figures: list[Figure] = []
    # What a reader came for first: may it go on so, which columns, since when.
    parts = {
        "Rules": _rules_section(result),
        "Schema": findings_section(result.findings),
        "Columns": columns_section(result),
        "Distributions": distributions_section(result, figures),
        "Metrics": _metrics_section(result),
        "Trend": _trend_section(windows, figures),
        "About this window": _about_section(result, has_trend=len(windows) > 1),
    }
    shown = {title: part for title, part in parts.items() if part}
    content = page(
        f"{shown_name(result.model)} {shown_name(result.version)}: monitor",
        root="",
        header=_header(result),
        contents=contents_of(shown),
        main=fragment(*shown.values()),
        footer=f"Monitor {shown_name(result.id)}, nbci {shown_name(result.nbci)}",
    )
    style = files("nbci.report").joinpath("style.css").read_bytes()
    return {"index.html": content, "style.css": style, **figure_files(figures)}


def _header(result: MonitorResult) -> Markup:
    """The model, the answer in a word and as a sentence, and what was looked at."""
    title = f"Monitor of {shown_name(result.model)} {shown_name(result.version)} "
    return fragment(
        element("h1", title, verdict(result.result)),
        element("p", short_line(result.sentence, _LONGEST), class_="outcome"),
        item_list(_facts_line(result), class_="facts-line"),
    )


def _facts_line(result: MonitorResult) -> Iterator[str]:
    window = result.window
    yield counted(window.rows, "row")
    if window.labelled:
        yield f"{window.labelled:,} labelled"
    if window.start_utc and window.end_utc:
        yield fragment("from ", time(window.start_utc), " to ", time(window.end_utc))
    yield fragment("judged ", time(result.judged_utc))


def _rules_section(result: MonitorResult) -> Markup:
    if not result.gates:
        return section("Rules", element("p", "No rule was given."), anchor="rules")
    rows = [gate_row(gate) for gate in result.gates]
    shown = table("Rules", ("Rule", *HEADS), rows, class_="gates", is_stacked=True)
    class_ = None
    if result.result == "failed":
        class_ = "failed"
    return section("Rules", shown, anchor="rules", class_=class_)


def _metrics_section(result: MonitorResult) -> Markup | None:
    """The window's numbers beside those of the release."""
    known = result.metrics or {}
    if not known:
        return None
    befores = {name: reference_of(result, name) for name in known}
    is_known = any(before is not None for before in befores.values())
    rows = []
    for name, value in known.items():
        before = befores[name]
        change = ""
        if before is not None:
            change = signed(value - before)
        # A dash for each metric would be a column of dashes where nothing is known.
        shown = measured_or_dash(before) if is_known else ""
        strong = element("strong", measured_or_dash(value))
        rows.append((element("code", shown_name(name)), strong, shown, change))
    heads = ("Metric", "Window", "Release", "Change")
    return section("Metrics", table("Metrics", heads, rows, is_stacked=True), anchor="metrics")


# -------------------------------------------------------------------------------- the windows
def _trend_section(windows: Sequence[MonitorResult], figures: list[Figure]) -> Markup | None:
    """What it was in the windows until this one."""
    before = len(windows) - 1
    if not before:
        return None
    drawn = [*metric_trends(windows), *column_trends(windows)]
    figures += drawn
    # Another agent has a history of its own: what looks like all windows may be every second one.
    source = f"This window and the {before} before it that were judged in this checkout."
    parts: list[Markup] = [
        element("p", source, class_="note"),
        figure_grid(drawn, root="", class_="figures small"),
    ]
    volume = volume_figure(windows)
    if volume is not None:
        figures.append(volume)
        parts.append(element("div", figure_grid([volume], root=""), class_="matrix"))
    heads = ("Judged", "Verdict", "Version", "Rows", "Drifted", "What")
    rows = [_window_row(window) for window in reversed(windows)]
    parts.append(_table_of_windows(heads, rows))
    return section("Trend", *parts, anchor="trend")


def _table_of_windows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    shown = table("Windows", heads, rows[:_UNFOLDED_WINDOWS], is_stacked=True)
    others = rows[_UNFOLDED_WINDOWS:]
    more = None
    if others:
        title = counted(len(others), "earlier window")
        more = fold(title, table("Earlier windows", heads, others, is_stacked=True))
    return element("div", shown, more, class_="matrix")


def _window_row(window: MonitorResult) -> Sequence[str]:
    drifted = sum(drift.is_drifted for drift in window.columns)
    return (
        time(window.judged_utc),
        verdict(window.result),
        shown_name(window.version),
        f"{window.window.rows:,}",
        f"{drifted:,} of {len(window.columns):,}",
        short_line(window.sentence, _LONGEST),
    )


def _about_section(result: MonitorResult, *, has_trend: bool) -> Markup:
    """What was looked at, exactly."""
    window = result.window
    versions = []
    for version, rows in (window.versions or {}).items():
        versions.append(f"{shown_name(version)}: {counted(rows, 'row')}")
    requests = None
    if window.requests is not None:
        requests = f"{window.requests:,}"
    step = None
    if result.step is not None:
        step = f"{shown_name(result.pipeline or '')}, step {shown_name(result.step)}"
    about = facts(
        [
            ("Data", element("code", short_line(window.source, _LONGEST))),
            ("Digest", window.digest and element("code", shown_name(window.digest), class_="id")),
            ("From", moment(window.start_utc)),
            ("Until", moment(window.end_utc)),
            ("Requests", requests),
            ("Answered by", ", ".join(versions)),
            ("Pipeline", step),
            ("Windows before", None if has_trend else "none was judged in this checkout"),
            ("Monitor", element("code", shown_name(result.id), class_="id")),
        ]
    )
    return section("About this window", about, anchor="about")
