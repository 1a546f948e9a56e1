"""The rules of a monitor count in the verdict of its run as its step answered them."""

from __future__ import annotations

from nbci.gates.case import Case
from nbci.gates.judge import judge
from nbci.pipeline.rules import Gate, WatchedRule
from nbci.records.monitoring import MonitorResult, Window
from nbci.records.run_record import RunRecord
from nbci.records.verdict import GateResult

_UTC = "2026-01-01T00:00:00.000Z"
_GATE = Gate(
    name="watch: psi of all columns at most 0.2",
    watched=WatchedRule(
        rule="psi of all columns at most 0.2",
        subject="watch: psi of all columns",
        asked="at most 0.2",
    ),
    step="watch",
)
_ANSWER = GateResult(
    gate="psi of all columns at most 0.2",
    asked="at most 0.2",
    result="failed",
    reason="psi of alcohol is 0.31",
    found=0.31,
)


def judged(found: MonitorResult | str | None, gate: Gate = _GATE) -> GateResult:
    monitors = {} if found is None else {"watch": found}
    record = RunRecord(run="r", pipeline="w", target="w.yaml", result="passed", nbci="1")
    return judge(Case(gates=(gate,), record=record, monitors=monitors), _UTC).gates[0]


def monitor(*gates: GateResult) -> MonitorResult:
    return MonitorResult(
        id="1",
        model="wine",
        version="v1",
        result="failed",
        judged_utc=_UTC,
        sentence="",
        window=Window(source="today.csv", rows=3),
        nbci="1",
        gates=gates,
    )


def test_the_answer_is_that_of_the_step() -> None:
    result = judged(monitor(_ANSWER))
    assert (result.result, result.reason, result.found) == (
        "failed",
        "psi of alcohol is 0.31",
        0.31,
    )
    assert result.title == "watch: psi of all columns"


def test_a_skipped_step_leaves_its_rules_out() -> None:
    assert judged(None).result == "left out"


def test_what_cannot_be_known_refuses() -> None:
    assert judged("it is not here").reason == "it is not here"
    assert judged("it is not here").result == "failed"
    assert judged(monitor()).reason == "step watch has not judged this rule"
