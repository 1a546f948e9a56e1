from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.gates.baseline import Baseline, NoBaseline
from nbci.gates.case import Case
from nbci.gates.judge import judge
from nbci.pipeline.rules import DeclaredMetric, Gate, Tolerance
from nbci.records.codec import from_json, to_json
from nbci.records.run_record import Metric, ParameterValue, Remeasured, RunRecord, StepRecord
from nbci.records.verdict import GateResult, Override, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

UTC = "2026-01-01T00:00:00.000Z"
CHAMPION = Baseline(
    asked="champion", source="digits@v1.0.0", identity="abc", metrics={"train:accuracy": 0.97}
)


def run(*, steps: tuple[StepRecord, ...] = (), **metrics: float) -> RunRecord:
    measured = tuple(
        Metric(name=name, value=value, source="cell") for name, value in metrics.items()
    )
    return RunRecord(
        run="r1",
        pipeline="digits",
        target="p.yaml",
        result="passed",
        nbci="1",
        params=(ParameterValue(name="C", value=3, source="-p"),),
        steps=(StepRecord(name="train", result="passed", metrics=measured), *steps),
    )


def verdict_of(gate: Gate, record: RunRecord, **known: Any) -> Verdict:
    return judge(Case(gates=(gate,), record=record, **known), UTC)


def result_of(gate: Gate, record: RunRecord, **known: Any) -> GateResult:
    return verdict_of(gate, record, **known).gates[0]


def gate(**bounds: Any) -> Gate:
    return Gate(name="it", **{"metric": "accuracy", **bounds})


def against(baseline: Baseline | NoBaseline) -> Mapping[str, Baseline | NoBaseline]:
    return {baseline.asked: baseline}


@pytest.mark.parametrize(
    ("bounds", "found", "result", "margin"),
    [
        ({"at_least": 0.95}, 0.95, "passed", 0.0),
        ({"at_least": 0.95}, 0.9499, "failed", -0.0001),
        ({"at_most": 20}, 20.5, "failed", -0.5),
        ({"at_least": 1, "at_most": 3}, 2.5, "passed", 0.5),
        ({"at_least": 1, "at_most": 3}, 0, "failed", -1.0),
        ({"equals": 0.3}, 0.1 + 0.2, "failed", -4e-17),
        ({"equals": 0}, -0.0, "passed", 0.0),
        ({"at_least": 1}, math.inf, "passed", math.inf),
        ({"at_most": 1}, math.inf, "failed", -math.inf),
        ({"severity": "warn", "at_least": 1}, 0.5, "warned", -0.5),
    ],
)
def test_bounds(bounds: dict[str, Any], found: float, result: str, margin: float) -> None:
    answer = result_of(gate(**bounds), run(accuracy=found))
    assert (answer.result, answer.metric, answer.found) == (result, "train:accuracy", found)
    assert answer.margin == pytest.approx(margin)


@pytest.mark.parametrize(
    ("moves", "baseline", "found", "result"),
    [
        (
            {"max_drop": Tolerance(amount=0.1)},
            0.8,
            0.7,
            "passed",
        ),  # in binary, 0.8 - 0.1 is more than 0.7
        ({"max_drop": Tolerance(amount=0.1)}, 0.8, 0.6999999999, "failed"),
        ({"max_drop": Tolerance(amount=2, percent=True)}, 50, 49, "passed"),
        ({"max_drop": Tolerance(amount=2, percent=True)}, -50, -51, "passed"),
        ({"max_drop": Tolerance(amount=2, percent=True)}, -50, -51.01, "failed"),
        ({"max_drop": Tolerance(amount=0.0)}, 0.97, 5.0, "passed"),
        ({"max_rise": Tolerance(amount=10, percent=True)}, 0, 0.001, "failed"),
        ({"max_rise": Tolerance(amount=1), "max_drop": Tolerance(amount=1)}, 5, 3.9, "failed"),
        ({"max_drop": Tolerance(amount=0.1), "at_least": 0.75}, 0.8, 0.72, "failed"),
        ({"within": Tolerance(amount=5, percent=True)}, 100, 105, "passed"),
        ({"within": Tolerance(amount=5, percent=True)}, 100, 94.999, "failed"),
        ({"within": Tolerance(amount=5, percent=True)}, -100, -105.001, "failed"),
        ({"within": Tolerance(amount=0.1)}, 0.8, 0.7, "passed"),
        ({"within": Tolerance(amount=0.1)}, 0.8, 0.90001, "failed"),
        ({"within": Tolerance(amount=0.0)}, 0.8, 0.8, "passed"),
        ({"better": "up"}, 0.8, 0.8000001, "passed"),
        ({"better": "up"}, 0.8, 0.8, "failed"),
        ({"better": "up"}, 0.8, 0.7, "failed"),
        ({"better": "down"}, 0.8, 0.7, "passed"),
        ({"better": "down"}, 0.8, 0.8, "failed"),
        ({"better": "down"}, 0.8, 0.9, "failed"),
    ],
)
def test_moves_from_the_baseline(
    moves: dict[str, Any], baseline: float, found: float, result: str
) -> None:
    champion = Baseline(
        asked="champion", source="digits@v1", identity="1", metrics={"accuracy": baseline}
    )
    answer = result_of(
        gate(baseline="champion", **moves), run(accuracy=found), baselines=against(champion)
    )
    assert (answer.result, answer.baseline, answer.baseline_source) == (
        result,
        baseline,
        "digits@v1",
    )


NONE = NoBaseline(asked="champion", reason="no version of digits was ever promoted")
UNSURE = NoBaseline(asked="champion", reason="tags are not fetched", certain=False)
OTHER_UNIT = Baseline(
    asked="champion",
    source="v1",
    identity="1",
    metrics={"accuracy": 97.0},
    declared={"accuracy": DeclaredMetric(unit="%")},
)
OTHER_WAY = Baseline(
    asked="champion",
    source="v1",
    identity="1",
    metrics={"accuracy": 1.0},
    declared={"accuracy": DeclaredMetric(direction="down")},
)


@pytest.mark.parametrize(
    ("rules", "baseline", "result", "reason"),
    [
        ({}, NONE, "passed", "first run: no version of digits was ever promoted"),
        (
            {"first_run": "warn"},
            NONE,
            "warned",
            "first run: no version of digits was ever promoted",
        ),
        (
            {"first_run": "fail"},
            NONE,
            "failed",
            "first run: no version of digits was ever promoted",
        ),
        ({"at_least": 0.99}, NONE, "failed", "misses by 0.04"),
        ({}, UNSURE, "failed", "tags are not fetched"),
        ({"severity": "warn"}, UNSURE, "warned", "tags are not fetched"),
        (
            {"first_run": "fail"},
            Baseline(asked="champion", source="v1", identity="1", metrics={"f1": 1}),
            "failed",
            "first run: v1 has no accuracy",
        ),
        (
            {},
            Baseline(
                asked="champion",
                source="v1",
                identity="1",
                metrics={"a:accuracy": 1, "b:accuracy": 1},
            ),
            "failed",
            "v1 has several: a:accuracy, b:accuracy",
        ),
        ({}, OTHER_UNIT, "failed", "the baseline is in %, the metric in ratio"),
        ({}, OTHER_WAY, "failed", "the baseline's direction is down, the metric's up"),
        (
            {},
            Baseline(asked="champion", source="v1", identity="1", metrics={"accuracy": math.nan}),
            "failed",
            "the baseline is nan",
        ),
        (
            {"missing": "pass"},
            Baseline(asked="champion", source="v1", identity="1", metrics={"accuracy": math.nan}),
            "passed",
            "the baseline is nan",
        ),
    ],
)
def test_what_holds_without_a_baseline(
    rules: dict[str, Any], baseline: Baseline | NoBaseline, result: str, reason: str
) -> None:
    asked = gate(baseline="champion", max_drop=Tolerance(amount=0.01), **rules)
    declared = {"accuracy": DeclaredMetric(direction="up", unit="ratio")}
    answer = result_of(asked, run(accuracy=0.95), baselines=against(baseline), declared=declared)
    assert (answer.result, answer.reason) == (result, reason)


SKIPPED = StepRecord(
    name="deploy/try", result="skipped", reason="its condition `deploy` does not hold"
)


@pytest.mark.parametrize(
    ("rules", "record", "result", "reason"),
    [
        ({}, run(acuracy=1), "failed", "no step measured accuracy; did you mean acuracy?"),
        ({}, run(), "failed", "no step measured accuracy"),
        ({}, run(accuracy=math.nan), "failed", "accuracy is NaN"),
        ({"missing": "warn"}, run(accuracy=math.nan), "warned", "accuracy is NaN"),
        ({"missing": "pass"}, run(), "passed", "no step measured accuracy"),
        ({"severity": "warn"}, run(), "warned", "no step measured accuracy"),
        (
            {"metric": "deploy:ms"},
            run(steps=(SKIPPED,)),
            "failed",
            "step deploy/try was skipped: its condition `deploy` does not hold",
        ),
        (
            {"metric": "ms"},
            run(steps=(SKIPPED,)),
            "failed",
            "step deploy/try was skipped: its condition `deploy` does not hold",
        ),
        (
            {},
            run(
                accuracy=1,
                steps=(
                    StepRecord(
                        name="b",
                        result="passed",
                        metrics=(Metric(name="accuracy", value=1.0, source="cell"),),
                    ),
                ),
            ),
            "failed",
            "several steps measure accuracy: train:accuracy, b:accuracy",
        ),
    ],
)
def test_missing_metrics(
    rules: dict[str, Any], record: RunRecord, result: str, reason: str
) -> None:
    answer = result_of(gate(**{"at_least": 0.5, **rules}), record, measures={"deploy/try": ("ms",)})
    assert (answer.result, answer.reason) == (result, reason)


def ended(name: str, result: Any, reason: str | None = None) -> StepRecord:
    return StepRecord(name=name, result=result, reason=reason)


@pytest.mark.parametrize(
    ("metric", "steps", "reason"),
    [
        ("eval:f1", [ended("eval", "failed")], "step eval failed"),
        ("eval:f1", [ended("eval", "skipped")], "step eval was skipped"),
        ("eval:f1", [ended("eval", "passed")], "no step measured eval:f1"),
        ("eval:f1", [ended("evaluation", "failed")], "no step measured eval:f1"),
        (
            "eval:f1",
            [ended("other", "failed"), ended("eval/b", "failed")],
            "step eval/b failed",
        ),
        (
            "ms",
            [ended("other", "failed"), ended("deploy/try", "failed")],
            "step deploy/try failed",
        ),
        ("f1", [ended("deploy/try", "failed")], "no step measured f1"),
        ("deploy/try:f1", [ended("deploy/try", "failed")], "step deploy/try failed"),
    ],
)
def test_the_step_that_should_have_measured_is_named(
    metric: str, steps: list[StepRecord], reason: str
) -> None:
    answer = result_of(
        gate(metric=metric, at_least=0.5),
        run(steps=tuple(steps)),
        measures={"deploy/try": ("ms",)},
    )
    assert (answer.result, answer.reason) == ("failed", reason)


def test_the_room_that_is_left_is_said() -> None:
    assert result_of(gate(at_least=0.5), run(accuracy=0.9)).reason == "0.4 to spare"
    assert result_of(gate(at_least=0.9), run(accuracy=0.9)).reason == "0 to spare"


def test_a_baseline_that_nobody_looked_for_fails() -> None:
    asked = gate(baseline="champion", max_drop=Tolerance(amount=0.01), first_run="pass")
    answer = result_of(asked, run(accuracy=0.95), baselines={})
    assert (answer.result, answer.reason) == ("failed", "nobody looked for it")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (DeclaredMetric(), DeclaredMetric(direction="up", unit="%")),
        (DeclaredMetric(direction="up", unit="%"), DeclaredMetric()),
        (DeclaredMetric(direction="up", unit="%"), DeclaredMetric(direction="up", unit="%")),
    ],
)
def test_a_declaration_that_says_nothing_is_compared(
    before: DeclaredMetric, now: DeclaredMetric
) -> None:
    baseline = Baseline(
        asked="champion",
        source="v1",
        identity="1",
        metrics={"accuracy": 0.95},
        declared={"accuracy": before},
    )
    answer = result_of(
        gate(baseline="champion", max_drop=Tolerance(amount=0.01)),
        run(accuracy=0.93),
        baselines=against(baseline),
        declared={"accuracy": now},
    )
    assert (answer.result, answer.baseline) == ("failed", 0.95)
    assert answer.reason == "misses by 0.01"


@pytest.mark.parametrize(
    ("expr", "result", "reason"),
    [
        ("recall >= 0.9 and train:size_mb < 50", "passed", "recall is 0.92, train:size_mb is 40"),
        ("recall >= 0.9 and size_mb < 30", "failed", "recall is 0.92, size_mb is 40"),
        ("size_mb / (recall - recall) > 1", "failed", "cannot be decided: float division by zero"),
        (
            "recall > 'x'",
            "failed",
            "cannot be decided: '>' not supported between instances of 'float' and 'str'",
        ),
        ("recall > 0 or nothing < 1", "failed", "no step measured nothing"),
        ("not broken > 1", "failed", "broken is NaN"),
    ],
)
def test_expressions(expr: str, result: str, reason: str) -> None:
    asked = Gate(name="it", expr=expr)
    answer = result_of(asked, run(recall=0.92, size_mb=40, broken=math.nan))
    assert (answer.result, answer.reason) == (result, reason)


@pytest.mark.parametrize(
    ("when", "result"), [("C > 2", "failed"), ("C > 3", "left out"), ("false", "left out")]
)
def test_a_gate_is_left_out_where_its_condition_does_not_hold(when: str, result: str) -> None:
    verdict = verdict_of(gate(at_least=1, when=when), run(accuracy=0))
    assert verdict.gates[0].result == result
    assert verdict.refuses is (result == "failed")


def test_the_worst_gate_makes_the_verdict() -> None:
    bad, odd, good = gate(at_least=2), gate(at_least=2, severity="warn"), gate(at_least=0)
    for gates, result in (
        ((good, odd, bad), "failed"),
        ((good, odd), "warned"),
        ((good,), "passed"),
        ((), "passed"),
    ):
        assert judge(Case(gates=gates, record=run(accuracy=1)), UTC).result == result


@pytest.mark.parametrize(
    ("found", "baselines", "overridden"),
    [
        (0.5, {}, True),
        (0.4, {}, False),
        (math.nan, {}, False),
        (0.5, {"champion": CHAMPION}, False),
    ],
)
def test_an_override_holds_for_what_stood_there(
    found: float, baselines: Any, overridden: bool
) -> None:
    asked = gate(at_least=0.9, baseline="champion", max_drop=Tolerance(amount=1))
    given = Override(gate="it", by="Ada", reason="known", at_utc=UTC, asked=asked.asked, found=0.5)
    verdict = verdict_of(
        asked, run(accuracy=found), baselines=baselines or against(NONE), overrides=(given,)
    )
    assert verdict.result == ("warned" if overridden else "failed")
    assert (verdict.gates[0].override is not None) is overridden
    assert verdict.overrides == (given,)


def test_a_verdict_is_read_as_it_was_written() -> None:
    given = Override(
        gate="it", by="Ada", reason="known", at_utc=UTC, asked="at least 0.9", found=math.inf
    )
    verdict = verdict_of(
        gate(baseline="champion", max_drop=Tolerance(amount=1)),
        run(accuracy=0.96),
        baselines=against(CHAMPION),
        overrides=(given,),
    )
    assert from_json(to_json(verdict), Verdict, "v.json") == verdict


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, numbers)
def test_bounds_agree_with_comparisons(found: float, bound: float) -> None:
    record = run(accuracy=found)
    assert (result_of(gate(at_least=bound), record).result == "passed") is (found >= bound)
    assert (result_of(gate(at_most=bound), record).result == "passed") is (found <= bound)
    assert (result_of(gate(equals=bound), record).result == "passed") is (found == bound)


@given(numbers, numbers, numbers, st.floats(0, 1e6), st.floats(0, 1e6), st.booleans())
def test_a_wider_tolerance_passes_what_a_narrower_one_does(
    found: float, better: float, baseline: float, one: float, other: float, percent: bool
) -> None:
    champion = Baseline(asked="champion", source="v1", identity="1", metrics={"accuracy": baseline})

    def passes(value: float, amount: float) -> bool:
        asked = gate(baseline="champion", max_drop=Tolerance(amount=amount, percent=percent))
        return result_of(asked, run(accuracy=value), baselines=against(champion)).result == "passed"

    if passes(found, min(one, other)):
        assert passes(found, max(one, other))
        assert passes(max(found, better), min(one, other))
    exact = Fraction(repr(baseline)) - Fraction(repr(found))
    if not percent:
        assert passes(found, one) is (exact <= Fraction(repr(one)))


@pytest.mark.parametrize(
    ("measured", "result", "baseline"),
    [
        ({"train:accuracy_new": 0.8}, "passed", 0.8),
        ({"train:accuracy_new": 0.95}, "failed", 0.95),
        # Without new data, neither release nor measurement has it.
        ({"train:accuracy": 0.97}, "passed", None),
    ],
)
def test_what_a_release_never_recorded_is_what_its_files_measure_today(
    measured: Mapping[str, float], result: str, baseline: float | None
) -> None:
    again = Remeasured(asked="champion", identity="abc", step="train", metrics=measured)
    rule = gate(metric="accuracy_new", baseline="champion", better="up")
    known = {"baselines": against(CHAMPION), "remeasured": (again,)}
    judged = result_of(rule, run(accuracy_new=0.9), **known)
    assert (judged.result, judged.baseline, judged.recorded) == (result, baseline, None)
    if baseline is not None:
        assert judged.baseline_text == "digits@v1.0.0, measured again on this run's data"
