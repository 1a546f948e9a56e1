"""`nbci runs` and `nbci metrics`: what the index of runs says, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import duration, moment_without_zone
from nbci.formatting.numbers import and_more, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.pipeline.metric_names import short_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.runs.index import RunRow

_METRICS_SHOWN = 4
_FIELDS = ("run", "pipeline", "result", "started_utc", "seconds", "metrics", "params")
_PARAMETERS_SHOWN = 4
_LONGEST_VALUE = 24


def short_metrics(metrics: Mapping[str, float]) -> dict[str, str]:
    """Short name to full name, for each short name that only one step uses."""
    count = Counter(map(short_name, metrics))
    return {short_name(full): full for full in metrics if count[short_name(full)] == 1}


def render_runs(rows: Sequence[RunRow]) -> str:
    """The runs as a table."""
    if not rows:
        return "no runs yet; start one with: nbci run TARGET\n"
    differing = _differing(rows)
    asked = ("parameters",) if any(differing.values()) else ()
    head = ("run", "pipeline", "result", "started (UTC)", "took", *asked, "metrics")
    cells = [
        (
            row.run,
            one_line(row.pipeline),
            row.result,
            moment_without_zone(row.started_utc),
            duration(row.seconds),
            *((_parameters_cell(row, differing[row.pipeline]),) if asked else ()),
            _metrics_cell(row.metrics),
        )
        for row in rows
    ]
    return _lines(table([head, *cells], right=frozenset({4})))


def _differing(rows: Sequence[RunRow]) -> dict[str, list[str]]:
    """For each pipeline, the parameters that its runs do not all have alike: what tells them apart."""
    found: dict[str, list[str]] = {}
    for pipeline in {row.pipeline for row in rows}:
        runs = [row.params for row in rows if row.pipeline == pipeline]
        names = dict.fromkeys(name for params in runs for name in params)
        found[pipeline] = [name for name in names if len({params.get(name) for params in runs}) > 1]
    return found


def _parameters_cell(row: RunRow, names: Sequence[str]) -> str:
    shown = [f"{one_line(name)}={_value(row.params[name])}" for name in names if name in row.params]
    return " ".join(shown[:_PARAMETERS_SHOWN]) + and_more(len(shown), _PARAMETERS_SHOWN)


def _value(value: float | str | None) -> str:
    if isinstance(value, float):
        return number(value)
    text = one_line(str(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _metrics_cell(metrics: Mapping[str, float]) -> str:
    short = {full: name for name, full in short_metrics(metrics).items()}
    shown = [
        f"{short.get(full, full)} {number(value)}"
        for full, value in list(metrics.items())[:_METRICS_SHOWN]
    ]
    cell = ", ".join(shown)
    if len(metrics) > len(shown):
        cell += f",{and_more(len(metrics), len(shown))}"
    return cell


def render_history(rows: Sequence[RunRow], name: str) -> str:
    """A metric as it was in each of the runs."""
    if not rows:
        return "no run has it\n"
    head = ("run", "pipeline", "started (UTC)", name)
    cells = [
        (
            row.run,
            one_line(row.pipeline),
            moment_without_zone(row.started_utc),
            number(value_in(row, name)),
        )
        for row in rows
    ]
    return _lines(table([head, *cells], right=frozenset({3})))


def value_in(row: RunRow, name: str) -> float:
    """The metric of that full or short name, which the run has."""
    return row.metrics[short_metrics(row.metrics).get(name, name)]


def as_json(rows: Sequence[RunRow]) -> list[dict[str, Any]]:
    """The rows as `--json` prints them."""
    return [{name: getattr(row, name) for name in _FIELDS} for row in rows]


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
