"""Write a monitor's result as Prometheus reads it from a file of node_exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from nbci.formatting.durations import seconds_of
from nbci.formatting.text import clean
from nbci.report.data.drift_wording import worst_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.records.monitoring import MonitorResult

# The collector of text files refuses time stamps behind values, so times are values themselves.
_HELP = {
    "nbci_monitor_refused": "1 where a rule refused the window, else 0",
    "nbci_monitor_timestamp_seconds": "When the window was judged, in seconds since 1970",
    "nbci_monitor_window_start_timestamp_seconds": "When the window begins",
    "nbci_monitor_window_end_timestamp_seconds": "When the window ends",
    "nbci_monitor_window_rows": "Rows of the window",
    "nbci_monitor_window_labelled_rows": "Rows of the window whose label is known",
    "nbci_monitor_window_answered_rows": "Rows of the window by the version that answered",
    "nbci_monitor_rule_refused": "1 where the rule refused the window, else 0",
    "nbci_monitor_rule_value": "What the rule judged",
    "nbci_monitor_metric": "A metric of the window",
    "nbci_monitor_reference_metric": "The same metric of the release",
    "nbci_monitor_drifted_columns": "Columns that are beyond the limit of a rule",
    "nbci_monitor_column_drifted": "1 where the column is beyond the limit of a rule, else 0",
    "nbci_monitor_column_effect": "How far the column is from the reference, by the measure",
    "nbci_monitor_column_limit": "The most that the rules allow of the effect",
    "nbci_monitor_column_p_value": "The p-value of the column, corrected for their number",
    "nbci_monitor_column_missing_ratio": "The share of rows without a value in the column",
    "nbci_monitor_column_outside_ratio": "The share of rows beyond the reference's range",
}
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class _Sample(NamedTuple):
    """A value with the labels that it has beside the model and its version."""

    name: str
    value: float | None
    labels: Mapping[str, str] = {}


def monitor_prometheus(result: MonitorResult) -> str:
    """The file's content: gauges with the labels `model` and `version`, and `column` of columns."""
    samples = (*_window_samples(result), *_rule_samples(result), *_column_samples(result))
    common = {"model": result.model, "version": result.version}
    values: dict[str, dict[str, str]] = {name: {} for name in _HELP}
    for sample in samples:
        if sample.value is not None:
            labels = _labels_text({**common, **sample.labels})
            # The same labels twice make the file invalid: names may differ in what cannot be shown.
            values[sample.name].setdefault(labels, _number(sample.value))
    return "".join(_lines(values))


def _lines(values: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name, samples in values.items():
        if not samples:
            continue
        yield f"# HELP {name} {_HELP[name]}.\n# TYPE {name} gauge\n"
        for labels, value in samples.items():
            yield f"{name}{{{labels}}} {value}\n"


def _window_samples(result: MonitorResult) -> Iterator[_Sample]:
    window = result.window
    yield _Sample("nbci_monitor_refused", float(result.result == "failed"))
    yield _Sample("nbci_monitor_timestamp_seconds", seconds_of(result.judged_utc))
    yield _Sample("nbci_monitor_window_start_timestamp_seconds", seconds_of(window.start_utc))
    yield _Sample("nbci_monitor_window_end_timestamp_seconds", seconds_of(window.end_utc))
    yield _Sample("nbci_monitor_window_rows", window.rows)
    yield _Sample("nbci_monitor_window_labelled_rows", window.labelled)
    for version, rows in (window.versions or {}).items():
        yield _Sample("nbci_monitor_window_answered_rows", rows, {"answered_by": version})


def _rule_samples(result: MonitorResult) -> Iterator[_Sample]:
    for gate in result.gates:
        labels = {"rule": gate.question}
        yield _Sample("nbci_monitor_rule_refused", float(gate.refuses), labels)
        yield _Sample("nbci_monitor_rule_value", gate.found, labels)
    for name, value in (result.metrics or {}).items():
        yield _Sample("nbci_monitor_metric", value, {"metric": name})
    for name, value in (result.reference or {}).items():
        yield _Sample("nbci_monitor_reference_metric", value, {"metric": name})


def _column_samples(result: MonitorResult) -> Iterator[_Sample]:
    drifted = sum(drift.is_drifted for drift in result.columns)
    yield _Sample("nbci_monitor_drifted_columns", drifted)
    for drift in worst_first(result.columns):
        labels = {"column": drift.column}
        by_measure = {**labels, "measure": drift.measure}
        yield _Sample("nbci_monitor_column_drifted", float(drift.is_drifted), labels)
        yield _Sample("nbci_monitor_column_effect", drift.effect, by_measure)
        yield _Sample("nbci_monitor_column_limit", drift.limit, by_measure)
        yield _Sample("nbci_monitor_column_p_value", drift.p_corrected, labels)
        yield _Sample("nbci_monitor_column_missing_ratio", drift.missing_share, labels)
        yield _Sample("nbci_monitor_column_outside_ratio", drift.outside, labels)


def _labels_text(labels: Mapping[str, str]) -> str:
    return ",".join(_label_texts(labels.items()))


def _label_texts(labels: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in labels:
        # What UTF-8 cannot hold, such as half of a pair of surrogates, would stop the reader.
        yield f'{name}="{clean(value).translate(_ESCAPED)}"'


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))
