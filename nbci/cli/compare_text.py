"""`nbci compare` of many runs: as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.cli.runs_text import fitting
from nbci.formatting.durations import duration
from nbci.formatting.numbers import number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.formatting.text import text_of_lines
from nbci.report.data.many_runs import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.report.data.many_runs import ComparedMetric, ManyRuns

_MARK = "*"
_RUN_FIELDS = ("run", "pipeline", "target", "started_utc", "seconds", "parent", "role")


def render_many(many: ManyRuns, columns: int | None = None) -> str:
    """The runs as a table: a column for each parameter that differs, and for each metric.

    Of many, those that fit into so many `columns` of a terminal, and a few in any case.
    """
    run = ["run", *(one.run for one in many.runs)]
    took = ["took", *(duration(one.record.seconds) for one in many.runs)]
    result = ["result", *(one.record.outcome for one in many.runs)]
    others = [run, took, result]
    # Metrics first: what came of the runs is what people compare.
    wanted_metrics = [_metric_column(many, metric) for metric in many.metrics]
    metrics = fitting(wanted_metrics, others, columns)
    wanted_params = [_parameter_column(many, name) for name in many.differing]
    params = fitting(wanted_params, [*others, *metrics], columns)

    shown = [run, *params, *metrics, took, result]
    first_metric = 1 + len(params)
    right = frozenset(range(first_metric, first_metric + len(metrics) + 1))
    lines = table(zip(*shown, strict=True), right=right)
    hidden = [*wanted_params[len(params) :], *wanted_metrics[len(metrics) :]]
    names = [column[0] for column in hidden]
    return text_of_lines([*lines, "", *_closing_lines(many, names)])


def _parameter_column(many: ManyRuns, name: str) -> list[str]:
    column = [one_line(name)]
    for run in many.runs:
        column.append(value_text(run.params[name]) if name in run.params else "")
    return column


def _metric_column(many: ManyRuns, metric: ComparedMetric) -> list[str]:
    column = [one_line(metric.title)]
    # The mark has a place of its own, so that the numbers stand below each other.
    place = " " if metric.best else ""
    for run in many.runs:
        if metric.name not in run.metrics:
            column.append("")
            continue
        mark = _MARK if run.run in metric.best else place
        column.append(f"{number(run.metrics[metric.name])}{mark}")
    return column


def _closing_lines(many: ManyRuns, hidden: list[str]) -> Iterator[str]:
    if any(metric.best for metric in many.metrics):
        yield f"{_MARK} the best of them"
    undeclared = [one_line(metric.title) for metric in many.metrics if metric.direction is None]
    if undeclared:
        yield f"no direction is declared, so none is the best: {', '.join(undeclared)}"
    if many.alike:
        values = [f"{one_line(name)} {value_text(value)}" for name, value in many.alike.items()]
        yield f"alike in all: {', '.join(values)}"
    if hidden:
        yield f"not shown for want of width: {', '.join(hidden)}; --json and --html have all"


def many_document(many: ManyRuns) -> dict[str, Any]:
    """What `nbci compare A B C --json` prints."""
    runs = []
    for run in many.runs:
        fields = {name: getattr(run.record, name) for name in _RUN_FIELDS}
        fields["result"] = run.record.outcome
        runs.append({**fields, "params": dict(run.params), "metrics": dict(run.metrics)})
    metrics = []
    for metric in many.metrics:
        best = list(metric.best)
        metrics.append({"name": metric.name, "direction": metric.direction, "best": best})
    return {
        "runs": runs,
        "differing": list(many.differing),
        "alike": dict(many.alike),
        "metrics": metrics,
        "left_out": dict(many.left_out),
    }
