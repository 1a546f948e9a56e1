"""What a monitor found, as plain text: the answer first, then the rules, then the worst columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.live.gates import verdict_lines
from nbci.formatting.durations import minute
from nbci.formatting.numbers import counted, number, rough
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.records.verdict import Verdict
from nbci.report.data.drift_wording import drift_sentence, shown_name, worst_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.app.monitoring.monitor import Monitored
    from nbci.records.monitoring import MonitorResult, Window

_WORST = 5
_FINDINGS = 5
_WORDS = {"passed": "as released", "warned": "with warnings", "failed": "REFUSED"}
_TOLD_ELSEWHERE = ("rows", "requests", "labelled", "schema_findings")


def monitor_lines(done: Monitored) -> Iterator[str]:
    """The whole answer."""
    result = done.result
    yield f"{result.model} {result.version}: {_WORDS[result.result]}: {one_line(result.sentence)}"
    yield _window_line(result.window)
    yield ""
    verdict = Verdict(result=result.result, judged_utc=result.judged_utc, gates=result.gates)
    yield from verdict_lines(verdict)
    if done.by_default:
        yield "These are the default rules: nobody gave any."
    yield from _column_lines(result)
    yield from _finding_lines(result)
    yield ""
    yield _metrics_line(result)


def _window_line(window: Window) -> str:
    parts = [f"{counted(window.rows, 'row')} of {one_line(window.source)}"]
    if window.start_utc is not None and window.end_utc is not None:
        parts.append(f"{minute(window.start_utc)} to {minute(window.end_utc)} UTC")
    if window.requests is not None:
        parts.append(counted(window.requests, "request"))
    if window.versions:
        versions = [f"{name} {rows}" for name, rows in window.versions.items()]
        parts.append(f"answered by {one_line(', '.join(versions))}")
    parts.append(f"{window.labelled} labelled")
    return ", ".join(parts)


def _column_lines(result: MonitorResult) -> Iterator[str]:
    """The worst columns; those that are as they were are counted."""
    # A thousand columns are none that a person reads: the page has them all.
    ordered = worst_first(result.columns)
    if not ordered:
        return
    yield ""
    rows = [("column", "drift")]
    for drift in ordered[:_WORST]:
        rows.append((shown_name(drift.column), one_line(drift_sentence(drift))))
    yield from table(rows)
    rest = ordered[_WORST:]
    if rest:
        drifted = sum(drift.is_drifted for drift in rest)
        also = f", {drifted} of them drifted" if drifted else ""
        yield f"and {counted(len(rest), 'more column')}{also}"


def _finding_lines(result: MonitorResult) -> Iterator[str]:
    if not result.findings:
        return
    yield ""
    for finding in result.findings[:_FINDINGS]:
        yield f"schema: {one_line(finding.sentence)}"
    if len(result.findings) > _FINDINGS:
        yield f"and {len(result.findings) - _FINDINGS} more of the schema"


def _metrics_line(result: MonitorResult) -> str:
    metrics = result.metrics or {}
    parts = []
    for name, value in metrics.items():
        if name not in _TOLD_ELSEWHERE:
            parts.append(f"{name} {rough(value)}")
    return ", ".join(parts) or "no metrics"


def history_lines(model: str, results: Sequence[MonitorResult]) -> Iterator[str]:
    """A line for each window, the oldest first."""
    if not results:
        yield f"no window of {model} was judged here"
        return
    rows = [("judged", "version", "rows", "drifted", "accuracy", "answer", "why")]
    for result in results:
        metrics = result.metrics or {}
        accuracy = metrics.get("accuracy")
        estimated = metrics.get("estimated_accuracy")
        # What is only estimated must not look like a measurement.
        shown = "" if accuracy is None else number(accuracy)
        if accuracy is None and estimated is not None:
            shown = f"~{rough(estimated)}"
        drifted = metrics.get("drifted_share")
        rows.append(
            (
                minute(result.judged_utc),
                one_line(result.version),
                str(result.window.rows),
                "" if drifted is None else f"{drifted:.0%}",
                shown,
                _WORDS[result.result],
                one_line(result.sentence),
            )
        )
    yield from table(rows, right=frozenset({2, 3, 4}))
