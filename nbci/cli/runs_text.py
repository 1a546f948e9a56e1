"""`nbci runs` and `nbci metrics`: what the index of runs says, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import duration, moment_without_zone
from nbci.formatting.numbers import and_more, listed, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.formatting.text import text_of_lines
from nbci.pipeline.metric_names import short_name
from nbci.records.codec import plain
from nbci.records.seeds import FROM_SEEDS
from nbci.sweeps.study_record import FROM_SWEEP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord
    from nbci.runs.index import RunRow

_METRICS_SHOWN = 4
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


def render_runs(rows: Sequence[RunRow]) -> str:
    """The runs as a table."""
    if not rows:
        return "no runs yet; start one with: nbci run TARGET\n"

    differing = _differing_parameters(rows)
    # A column of empty cells would only make the table wider.
    has_parameters = any(differing.values())
    head = ["run", "pipeline", "result", "started (UTC)", "took", "metrics"]
    if has_parameters:
        head.insert(-1, "parameters")

    cells = [head]
    for row in rows:
        line = [
            row.run,
            one_line(row.pipeline),
            row.result,
            moment_without_zone(row.started_utc),
            duration(row.seconds),
            _metrics_cell(row.metrics),
        ]
        if has_parameters:
            line.insert(-1, _parameters_cell(row, differing[row.pipeline]))
        cells.append(line)
    return text_of_lines(table(cells, right=frozenset({4})))


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
    return [_fields(row, _RUN_FIELDS) for row in rows]


def history_document(rows: Sequence[RunRow], metric: str) -> list[dict[str, Any]]:
    """What `nbci metrics history --json` prints."""
    return [{**_fields(row, _HISTORY_FIELDS), "value": _metric_value(row, metric)} for row in rows]


def _fields(row: RunRow, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _metric_value(row: RunRow, name: str) -> float:
    """The value of the metric of that full or short name."""
    full = short_metrics(row.metrics).get(name, name)
    return row.metrics[full]


def _differing_parameters(rows: Sequence[RunRow]) -> dict[str, list[str]]:
    """For each pipeline the parameters whose values differ between its runs."""
    runs: dict[str, list[Mapping[str, Any]]] = {}
    # Of each pipeline the names of all parameters, in the order in which runs have them.
    names: dict[str, dict[str, None]] = {}
    for row in rows:
        runs.setdefault(row.pipeline, []).append(row.params)
        names.setdefault(row.pipeline, {}).update(dict.fromkeys(row.params))

    differing = {}
    for pipeline, params in runs.items():
        differing[pipeline] = [name for name in names[pipeline] if _differs(name, params)]
    return differing


def _differs(name: str, runs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the runs' values differ; a run without the parameter differs from all with it."""
    return len({params.get(name) for params in runs}) > 1


def _parameters_cell(row: RunRow, names: Sequence[str]) -> str:
    texts = []
    for name in names:
        if name in row.params:
            texts.append(f"{one_line(name)}={_value(row.params[name])}")
    return listed(texts, _PARAMETERS_SHOWN, between=" ")


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


def _value(value: float | str | None) -> str:
    if isinstance(value, float):
        return number(value)
    text = one_line(str(value))
    # Whole texts and lists may be parameters, and a table has a row for each run.
    if len(text) > _LONGEST_VALUE:
        return f"{text[:_LONGEST_VALUE]}…"
    return text
