"""`nbci runs` and `nbci metrics`: what the index of runs says, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import duration, moment_without_zone
from nbci.formatting.numbers import and_more, number
from nbci.formatting.tables import table, table_width
from nbci.formatting.terminal import one_line
from nbci.formatting.text import text_of_lines
from nbci.pipeline.metric_names import short_name, step_of
from nbci.records.codec import plain
from nbci.records.seeds import FROM_SEEDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord
    from nbci.runs.index import RunRow

_METRICS_SHOWN = 4
# Whatever the terminal's width: long lines are better than none of what makes the difference.
_PARAMETERS_SHOWN = 4
_LONGEST_VALUE = 24
_RUN_FIELDS = ("run", "pipeline", "result", "started_utc", "seconds", "metrics", "params")
_BELONGING_FIELDS = ("run", "parent", "role", "pipeline", "started_utc", "seconds")
_HISTORY_FIELDS = ("run", "pipeline", "result", "started_utc")


def short_metrics(metrics: Mapping[str, float]) -> dict[str, str]:
    """Full names of metrics by short name, for short names that only one step uses."""
    count = Counter(map(short_name, metrics))
    full_names = {}
    for full in metrics:
        short = short_name(full)
        if count[short] == 1:
            full_names[short] = full
    return full_names


def render_runs(rows: Sequence[RunRow], columns: int | None = None) -> str:
    """The runs as a table, with a column for each parameter in which runs of a pipeline differ.

    Of many parameters, those that fit into so many `columns` of a terminal, and a few in any case.
    """
    if not rows:
        return "no runs yet; start one with: nbci run TARGET\n"

    cells = [["run", "pipeline", "result", "started (UTC)", "took", "metrics"]]
    for row in rows:
        started = moment_without_zone(row.started_utc)
        took = duration(row.seconds)
        metrics = _metrics_cell(row.metrics)
        cells.append([row.run, one_line(row.pipeline), row.result, started, took, metrics])
    # What the search was for stands first, and what made the difference next.
    added = [_best_column(pattern, rows) for pattern in _patterns(rows)]
    differing = differing_parameters(rows)
    others = [*map(list, zip(*cells, strict=True)), *added]
    shown = fitting([_parameter_column(name, rows) for name in differing], others, columns)
    # Before the metrics, of which there may be many.
    for cell_row, *extra in zip(cells, *added, *shown, strict=True):
        cell_row[-1:-1] = extra
    lines = table(cells, right=frozenset({4}))
    if len(shown) < len(differing):
        names = ", ".join(map(one_line, differing[len(shown) :]))
        lines.append(f"not shown of the parameters that differ: {names}; --json has all")
    return text_of_lines(lines)


def _patterns(rows: Sequence[RunRow]) -> list[str]:
    return list(dict.fromkeys(pattern for row in rows for pattern in row.best_of))


def _best_column(pattern: str, rows: Sequence[RunRow]) -> list[str]:
    column = [one_line(pattern)]
    for row in rows:
        name = row.best_of.get(pattern)
        if name is None:
            column.append("")
        else:
            column.append(f"{number(row.metrics[name])} {step_of(name)}")
    return column


def _parameter_column(name: str, rows: Sequence[RunRow]) -> list[str]:
    column = [one_line(name)]
    for row in rows:
        column.append(parameter_value(row.params[name]) if name in row.params else "")
    return column


def fitting(
    wanted: Sequence[list[str]], others: Sequence[list[str]], columns: int | None
) -> list[list[str]]:
    """The first of the wanted columns of a table, and more as far as the terminal is wide enough.

    `others` are the table's other columns, `columns` those of the terminal, if there is one.
    """
    if columns is None:
        return list(wanted)
    shown = list(wanted[:_PARAMETERS_SHOWN])
    taken = table_width([*others, *shown])
    for column in wanted[_PARAMETERS_SHOWN:]:
        taken += table_width(["", column])
        if taken > columns:
            break
        shown.append(column)
    return shown


def render_belonging(rows: Sequence[tuple[RunRecord, Proof | None]]) -> str:
    """Runs that belong to a run, as a table."""
    if not rows:
        return "no run belongs to it\n"
    cells = [("run", "role", "result", "started (UTC)", "took", "answer")]
    for record, proof in rows:
        answer = ""
        if proof is not None:
            answer = one_line(proof.sentence)
        elif record.role in ("seed", "trial"):
            answer = _values_given(record)
        started = moment_without_zone(record.started_utc)
        took = duration(record.seconds)
        cells.append((record.run, record.role or "", record.outcome, started, took, answer))
    return text_of_lines(table(cells, right=frozenset({4})))


def _values_given(record: RunRecord) -> str:
    """The parameters that make it another run than that which it belongs to."""
    # A list of runs shows no trials, and what sweeps are made of takes a while to import.
    from nbci.sweeps.study_record import FROM_SWEEP

    values = []
    for param in record.params:
        if param.source in (FROM_SEEDS, FROM_SWEEP):
            values.append(one_line(f"{param.name} {param.value}"))
    return ", ".join(values)


def belonging_document(rows: Sequence[tuple[RunRecord, Proof | None]]) -> list[dict[str, Any]]:
    """What `nbci runs --of RUN --json` prints."""
    document = []
    for record, proof in rows:
        fields = {name: getattr(record, name) for name in _BELONGING_FIELDS}
        document.append({**fields, "result": record.outcome, "proof": proof and plain(proof)})
    return document


def render_history(rows: Sequence[RunRow], name: str) -> str:
    """The values of a metric in the runs, as a table."""
    if not rows:
        return "no run has it\n"
    cells = [("run", "pipeline", "started (UTC)", name)]
    for row in rows:
        started = moment_without_zone(row.started_utc)
        value = number(_metric_value(row, name))
        cells.append((row.run, one_line(row.pipeline), started, value))
    return text_of_lines(table(cells, right=frozenset({3})))


def runs_document(rows: Sequence[RunRow]) -> list[dict[str, Any]]:
    """What `nbci runs --json` prints."""
    document = []
    for row in rows:
        fields = _fields(row, _RUN_FIELDS)
        if row.best_of:
            fields["best_of"] = row.best_of
        document.append(fields)
    return document


def history_document(rows: Sequence[RunRow], metric: str) -> list[dict[str, Any]]:
    """What `nbci metrics history --json` prints."""
    return [{**_fields(row, _HISTORY_FIELDS), "value": _metric_value(row, metric)} for row in rows]


def _fields(row: RunRow, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _metric_value(row: RunRow, name: str) -> float:
    """The value of the metric of that full or short name."""
    full = short_metrics(row.metrics).get(name, name)
    return row.metrics[full]


def differing_parameters(rows: Sequence[RunRow]) -> list[str]:
    """The parameters whose values differ between the runs of one pipeline, as runs have them."""
    runs: dict[str, list[Mapping[str, Any]]] = {}
    # Of each pipeline the names of all parameters, in the order in which runs have them.
    names: dict[str, dict[str, None]] = {}
    for row in rows:
        runs.setdefault(row.pipeline, []).append(row.params)
        names.setdefault(row.pipeline, {}).update(dict.fromkeys(row.params))

    differing: dict[str, None] = {}
    for pipeline, params in runs.items():
        differing.update(dict.fromkeys(name for name in names[pipeline] if _differs(name, params)))
    return list(differing)


def _differs(name: str, runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the runs' values differ; a run without the parameter differs from all with it."""
    first = runs[0].get(name)
    return any(params.get(name) != first for params in runs)


def _metrics_cell(metrics: Mapping[str, float]) -> str:
    unique = short_metrics(metrics)
    texts = []
    for full, value in metrics.items():
        name = short_name(full)
        # The step is named where two steps have a metric of the same name.
        if name not in unique:
            name = full
        texts.append(f"{name} {number(value)}")
    cell = ", ".join(texts[:_METRICS_SHOWN])
    if len(texts) > _METRICS_SHOWN:
        cell += f",{and_more(len(texts), _METRICS_SHOWN)}"
    return cell


def parameter_value(value: float | str | None) -> str:
    """The value of a parameter, cut where it is long."""
    if isinstance(value, float):
        return number(value)
    text = one_line(str(value))
    # Whole texts and lists may be parameters, and a table has a row for each run.
    if len(text) > _LONGEST_VALUE:
        return f"{text[:_LONGEST_VALUE]}…"
    return text
