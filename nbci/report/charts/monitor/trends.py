"""What the metrics, the worst columns and the volume were in the windows until this one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbci.formatting.durations import minute
from nbci.formatting.numbers import counted, number
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.history_picture import history_figure
from nbci.report.charts.metric_history import Bound, History, Moment
from nbci.report.charts.panel import (
    WIDE,
    Panel,
    box,
    draw_axes,
    left_of,
    legend,
    picture,
    text_at,
)
from nbci.report.charts.scale import CategoryScale, numbers_of
from nbci.report.data.drift_wording import MEASURES, reference_of, shown_name, worst_first
from nbci.report.html.markup import Markup, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.records.monitoring import MonitorResult
    from nbci.records.profile import ColumnDrift

_METRICS, _COLUMNS = 9, 6
_TOP, _HEIGHT = 52, 130
# Two shades beside each other must differ (WCAG 2.2, success criterion 1.4.11).
_CLASSES = ("equal", "computed", "reused", "bar-pruned")
_OTHER, _UNKNOWN = "others", "rows"
_GAP = 0.15


def metric_trends(windows: Sequence[MonitorResult]) -> Iterator[Figure]:
    """A picture for each metric of the last window, those first that rules judged."""
    now = windows[-1]
    judged = [gate.metric for gate in now.gates if gate.metric]
    known = now.metrics or {}
    number_drawn = 1
    # Rows have a picture of their own, by version.
    names = [name for name in (*judged, *known) if name in known and name != "rows"]
    for name in list(dict.fromkeys(names))[:_METRICS]:
        values = [(window.metrics or {}).get(name) for window in windows]
        reference = reference_of(now, name)
        if reference is not None and not math.isfinite(reference):
            reference = None
        history = History(
            metric=shown_name(name),
            moments=_moments(windows, values),
            baseline=reference,
            noun="window",
        )
        figure = history_figure(history, f"images/metric-{number_drawn}.svg")
        if figure is not None:
            number_drawn += 1
            yield figure


def column_trends(windows: Sequence[MonitorResult]) -> Iterator[Figure]:
    """The effects of the columns that are worst in the last window."""
    by_name = [_columns_of(window) for window in windows]
    for at, drift in enumerate(worst_first(windows[-1].columns)[:_COLUMNS]):
        values = []
        for columns in by_name:
            values.append(_effect(columns.get(drift.column), drift))
        history = History(
            metric=f"{shown_name(drift.column)}: {MEASURES[drift.measure]}",
            moments=_moments(windows, values),
            bounds=tuple(_bounds(drift)),
            noun="window",
        )
        figure = history_figure(history, f"images/effect-{at + 1}.svg")
        if figure is not None:
            yield figure


def _columns_of(window: MonitorResult) -> Mapping[str, ColumnDrift]:
    return {drift.column: drift for drift in window.columns}


def _effect(then: ColumnDrift | None, drift: ColumnDrift) -> float | None:
    # By another measure it is another number.
    if then is None or then.measure != drift.measure:
        return None
    return then.effect


def _bounds(drift: ColumnDrift) -> Iterator[Bound]:
    limit = drift.chance_limit if drift.limit is None else drift.limit
    if limit is not None:
        yield Bound(value=limit, words=f"at most {number(limit)}", high=True)


def _moments(
    windows: Sequence[MonitorResult], values: Sequence[float | None]
) -> tuple[Moment, ...]:
    found = []
    for window, value in zip(windows, values, strict=True):
        found.append(
            Moment(
                run=window.id,
                started_utc=window.window.end_utc or window.judged_utc,
                result=window.result,
                value=value,
            )
        )
    return tuple(found)


# ------------------------------------------------------------------------------------- volume
def volume_figure(windows: Sequence[MonitorResult]) -> Figure | None:
    """The rows of each window by the version that answered them; None with only one window."""
    # One bar would stand beside nothing.
    if len(windows) == 1:
        return None
    versions = _versions(windows)
    rows = [_rows_by_version(window, versions) for window in windows]
    alt = _description(windows)
    upwards = numbers_of([0.0, *(float(sum(counts)) for counts in rows)], is_whole=True)
    left = left_of(upwards)
    panel = Panel(
        left=left,
        top=_TOP,
        width=WIDE - left - 12,
        height=_HEIGHT,
        across=CategoryScale(range(len(windows))),
        upwards=upwards,
    )
    entries = []
    for version, class_ in zip(versions, _CLASSES, strict=False):
        entries.append((box(-6, -5, 12, 10, class_), shown_name(version)))
    content = fragment(
        legend(entries, left, 12),
        draw_axes(_without_ticks(panel), "", "rows"),
        *_bars(rows, panel),
        *_dates(windows, panel),
    )
    height = panel.bottom + 26
    return Figure(
        name="rows",
        title="Rows of the windows",
        alt=alt,
        path="images/rows.svg",
        content=picture(content, width=WIDE, height=height, title=alt),
        width=WIDE,
        height=round(height),
        numbers=_numbers(windows, versions, rows),
        is_scrolled=True,
    )


def _versions(windows: Sequence[MonitorResult]) -> Sequence[str]:
    """The versions that answered most, and one entry for all others."""
    counts: dict[str, int] = {}
    for window in windows:
        for version, rows in (window.window.versions or {}).items():
            counts[version] = counts.get(version, 0) + rows
    if not counts:
        return (_UNKNOWN,)
    ranked = sorted(counts, key=lambda version: -counts[version])
    if len(ranked) <= len(_CLASSES):
        return tuple(sorted(ranked))
    return (*sorted(ranked[: len(_CLASSES) - 1]), _OTHER)


def _rows_by_version(window: MonitorResult, versions: Sequence[str]) -> Sequence[int]:
    known = window.window.versions or {}
    counts = [known.get(version, 0) for version in versions]
    # What no shown version answered, or nobody says who.
    counts[-1] += max(window.window.rows - sum(counts), 0)
    return counts


def _without_ticks(panel: Panel) -> Panel:
    return Panel(
        left=panel.left,
        top=panel.top,
        width=panel.width,
        height=panel.height,
        across=CategoryScale(()),
        upwards=panel.upwards,
    )


def _bars(rows: Sequence[Sequence[int]], panel: Panel) -> Iterator[Markup]:
    width = min(panel.width / len(rows) * (1 - _GAP), 60.0)
    for at, counts in enumerate(rows):
        middle = panel.x(at) or 0.0
        below = 0
        for count, class_ in zip(counts, _CLASSES, strict=False):
            bottom, top = panel.y(below) or 0.0, panel.y(below + count) or 0.0
            below += count
            if count:
                yield box(middle - width / 2, top, width, bottom - top, class_)


def _dates(windows: Sequence[MonitorResult], panel: Panel) -> Iterator[Markup]:
    for at, anchor in ((0, "start"), (len(windows) - 1, "end")):
        window = windows[at]
        x = panel.left if at == 0 else panel.right
        words = minute(window.window.end_utc or window.judged_utc)
        yield text_at(words, x, panel.bottom + 17, anchor=anchor)


def _description(windows: Sequence[MonitorResult]) -> str:
    rows = [window.window.rows for window in windows]
    text = f"{counted(len(windows), 'window')}: {rows[-1]:,} rows in this one"
    return f"{text}, {min(rows):,} to {max(rows):,} in all"


def _numbers(
    windows: Sequence[MonitorResult], versions: Sequence[str], rows: Sequence[Sequence[int]]
) -> Numbers:
    found = []
    # The newest first.
    for window, counts in zip(reversed(windows), reversed(rows), strict=True):
        when = minute(window.window.end_utc or window.judged_utc)
        found.append((when, *[f"{count:,}" for count in counts]))
    return Numbers(heads=("Until", *map(shown_name, versions)), rows=tuple(found))
