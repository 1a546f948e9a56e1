"""Why a model is to be trained again, in one sentence with the figures and the window."""

from __future__ import annotations

from nbci.records.monitoring import MonitorResult, Window
from nbci.records.verdict import GateResult
from nbci.retraining.reasons import no_reason, reason_of

DRIFT = GateResult(
    gate="psi",
    asked="at most 0.2",
    result="failed",
    reason="psi of alcohol is 0.31, more than 0.2",
    metric="drifted_share",
    found=0.5,
)
ACCURACY = GateResult(
    gate="accuracy",
    asked="at most 0.03 below champion",
    result="failed",
    reason="misses by 0.02",
    metric="accuracy",
    found=0.91,
)
HELD = GateResult(gate="rows", asked="at least 9", result="passed", reason="1 to spare")


def judgement(*gates: GateResult) -> MonitorResult:
    return MonitorResult(
        id="M",
        model="wine",
        version="v1.0.0",
        result="failed",
        judged_utc="2026-05-02T00:00:00Z",
        sentence="the worst is bad",
        window=Window(source="today.csv", rows=1),
        nbci="0",
        gates=gates,
    )


def test_each_broken_rule_is_told_with_its_figures() -> None:
    assert reason_of(judgement(DRIFT, HELD, ACCURACY)) == (
        "because psi of alcohol was 0.31, more than 0.2 and "
        "accuracy was 0.91, at most 0.03 below champion: misses by 0.02, in today.csv (1 row)"
    )


def test_many_are_counted_and_none_leaves_the_answer() -> None:
    assert "and 2 more rules refused, in" in reason_of(judgement(*[DRIFT] * 5))
    assert reason_of(judgement()) == "because the worst was bad, in today.csv (1 row)"


def test_an_older_version_is_no_reason() -> None:
    assert no_reason(judgement(DRIFT), "v1.0.0") is None
    assert no_reason(judgement(DRIFT), "v1.1.0") == (
        "the window was judged against wine v1.0.0, and v1.1.0 has taken its place since"
    )
