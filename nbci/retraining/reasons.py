"""Say why a model is to be trained again, and whether a judgement is a reason at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.durations import moment
from nbci.formatting.numbers import counted, number, rough

if TYPE_CHECKING:
    from nbci.records.decision import Decision, EventKind
    from nbci.records.monitoring import MonitorResult, Window
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import GateResult

_SHOWN_RULES = 3


def no_reason(result: MonitorResult, current: str | None) -> str | None:
    """Why this judgement is no reason to retrain; None where it is one.

    `current` is the version that counts now.
    """
    if result.result != "failed":
        return f"nothing to do: {result.sentence or 'no rule refuses the window'}"
    if current is not None and result.version != current:
        return (
            f"the window was judged against {result.model} {result.version}, "
            f"and {current} has taken its place since"
        )
    return None


def reason_of(result: MonitorResult) -> str:
    """Why, with the figures and the window: `because psi of alcohol was 0.31, more than 0.2, …`."""
    broken = [gate for gate in result.gates if gate.refuses]
    texts = [_sentence(gate) for gate in broken[:_SHOWN_RULES]]
    if len(broken) > _SHOWN_RULES:
        texts.append(f"{counted(len(broken) - _SHOWN_RULES, 'more rule')} refused")
    # The judgement is past when anybody reads this.
    told = " and ".join(texts) or result.sentence.replace(" is ", " was ")
    return f"because {told}, in {_window_text(result.window)}"


def _sentence(gate: GateResult) -> str:
    # By how much it was missed is no sentence of its own: tables have the metric beside it.
    if gate.reason.startswith("misses by") and gate.found is not None:
        return f"{gate.metric} was {rough(gate.found)}, {gate.asked}: {gate.reason}"
    return gate.reason.replace(" is ", " was ")


def _window_text(window: Window) -> str:
    # A file has no times; a log has both.
    rows = counted(window.rows, "row")
    if window.start_utc and window.end_utc:
        start, end = moment(window.start_utc), moment(window.end_utc)
        return f"the window of {start} to {end} of {window.source} ({rows})"
    return f"{window.source} ({rows})"


def outcome_of(record: RunRecord) -> tuple[EventKind, str]:
    """What a run came to for its decision: the kind of event, and a sentence with the gates' words.

    `no better` is a run that its gates refused, or whose champion stays for another reason.
    """
    # All steps of such a run passed: only its gates refused it.
    if record.outcome == "refused" and record.verdict is not None:
        refusing = list(map(_gate_text, record.verdict.refusing_gates))
        others = [_gate_text(gate) for gate in record.verdict.gates if not gate.refuses]
        text = f"the gates refuse run {record.run}: {'; '.join(refusing)}"
        # What it gives on the other part of the data belongs to the answer, too.
        if others:
            text += f"; they let pass: {'; '.join(others)}"
        return "no better", text
    if record.result != "passed":
        failed = next((failure.message for failure in record.failures), record.result)
        return "failed", f"run {record.run} ended as {record.outcome}: {failed}"
    judged = []
    if record.verdict is not None:
        judged = list(map(_gate_text, record.verdict.gates))
    text = f"run {record.run} passed"
    if judged:
        text += f": {'; '.join(judged)}"
    return "passed", text


def _gate_text(gate: GateResult) -> str:
    """What a gate asked and found, beside the champion's value: `accuracy >= 0.9: 0.94 (…)`."""
    text = gate.question
    if gate.found is not None:
        text += f": {number(gate.found)}"
    if gate.baseline is not None:
        text += f", {gate.baseline_source or 'the baseline'} has {number(gate.baseline)}"
    return f"{text} ({gate.reason})" if gate.reason else text


def closing_sentence(decision: Decision, result: MonitorResult) -> str:
    """What the first judgement of the new version says of the decision that led to it."""
    window = _window_text(result.window)
    if result.result == "failed":
        return f"{result.version} is not quiet either: {result.sentence}, in {window}"
    return f"{result.version} answers what {decision.watched or 'the old one'} did not: {window}"
