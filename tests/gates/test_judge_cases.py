"""Gates over predictions: the answers, from what was found in the cases of both."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from nbci.behaviour.paired import Outcomes
from nbci.behaviour.slices import SliceChange, Slices
from nbci.gates.baseline import Baseline, NoBaseline
from nbci.gates.case import Case
from nbci.gates.cases import ComparedCases, NoCases, PairedTest
from nbci.gates.judge import JUDGEMENTS, judge
from nbci.pipeline.gates_document import READERS
from nbci.pipeline.rules import _WORDS, Gate, SliceRule, Tolerance
from nbci.records.codec import from_json, to_json
from nbci.records.run_record import Metric, RunRecord, StepRecord
from nbci.records.verdict import CasesJudged, GateResult, Override, Verdict

_UTC = "2026-01-01T00:00:00.000Z"
_CHAMPION = Baseline(
    asked="champion", source="digits@v1", identity="v1 abc", metrics={"evaluate:accuracy": 0.98}
)
_FOUND = ComparedCases(
    step="evaluate",
    predictions="cases.csv of run r0",
    task="classification",
    data="predicted on its own data",
    cases=450,
    tests={"accuracy": PairedTest(run=0.95, baseline=0.98, p_value=0.0009)},
    outcomes=Outcomes(both_right=420, fixed=3, broken=17, both_wrong=10),
)
_FRENCH = SliceChange(
    columns=("country",),
    values=("fr",),
    cases=100,
    run=0.86,
    baseline=0.91,
    change=-0.05,
    p_value=0.02,
    corrected=0.04,
    fixed=2,
    broken=7,
)
_FLIPS = Gate(name="flips", flips=True, at_most=5.0, baseline="champion", step="evaluate")
_SLICES = Gate(
    name="slices",
    slices=SliceRule(by=("country",), metric="accuracy"),
    max_drop=Tolerance(amount=0.05),
    baseline="champion",
    step="evaluate",
)
_MOVE = Gate(
    name="move",
    metric="accuracy",
    max_drop=Tolerance(amount=0.01),
    significant=0.05,
    baseline="champion",
    step="evaluate",
)


def _verdict(gate: Gate, found: ComparedCases | NoCases | None = _FOUND, **more: Any) -> Verdict:
    record = RunRecord(
        run="r1",
        pipeline="digits",
        target="p.yaml",
        result="passed",
        nbci="1",
        steps=(
            StepRecord(
                name="evaluate",
                result="passed",
                metrics=(Metric(name="accuracy", value=0.95, source="cell"),),
            ),
        ),
    )
    compared = {}
    if found is not None:
        compared[gate.name] = found
    known: dict[str, Any] = {"baselines": {"champion": _CHAMPION}, **more}
    return judge(Case(gates=(gate,), record=record, compared=compared, **known), _UTC)


def _result(gate: Gate, found: ComparedCases | NoCases | None = _FOUND, **more: Any) -> GateResult:
    return _verdict(gate, found, **more).gates[0]


def _tested(**more: float) -> ComparedCases:
    return replace(_FOUND, tests={"accuracy": replace(_FOUND.tests["accuracy"], **more)})


def _in_slices(*changes: SliceChange, compared: int = 12) -> ComparedCases:
    return replace(_FOUND, slices=Slices(compared=compared, changes=changes))


def test_each_kind_of_gate_has_a_reader_a_sentence_and_a_judgement() -> None:
    # A rule that a step watches is read with the step.
    assert {*READERS, "watched"} == set(_WORDS) == set(JUDGEMENTS)


def test_flips_are_the_broken_cases_of_all() -> None:
    passed = _result(_FLIPS)

    assert passed.result == "passed"
    assert passed.found == pytest.approx(100 * 17 / 450)
    assert passed.unit == "%"
    assert passed.reason == "17 broken and 3 fixed of 450 cases"
    assert passed.baseline_source == "digits@v1, predicted on its own data"
    assert passed.cases == CasesJudged(
        step="evaluate", predictions="cases.csv of run r0", cases=450, fixed=3, broken=17
    )

    failed = _result(replace(_FLIPS, at_most=3.0))

    assert failed.result == "failed"
    assert failed.margin == pytest.approx(3 - 100 * 17 / 450)
    assert failed.reason == "17 broken and 3 fixed of 450 cases: misses by 0.7778 %"


def test_a_share_that_is_just_the_bound_passes() -> None:
    outcomes = Outcomes(both_right=900, fixed=0, broken=7, both_wrong=93)
    found = replace(_FOUND, cases=1000, outcomes=outcomes)

    assert _result(replace(_FLIPS, at_most=0.7), found).margin == 0.0


def test_cases_of_a_regression_do_not_flip() -> None:
    found = replace(_FOUND, task="regression", outcomes=None)

    result = _result(_FLIPS, found)

    assert result.result == "failed"
    assert result.reason == "evaluate is a regression: its cases are not right or wrong"


def test_the_worst_slice_is_named_with_its_cases() -> None:
    result = _result(replace(_SLICES, max_drop=Tolerance(amount=0.02)), _in_slices(_FRENCH))

    assert result.result == "failed"
    assert result.reason == (
        "country = fr: 0.91 → 0.86 in 100 cases (7 broken, 2 fixed), the worst of 12 slices: "
        "misses by 0.03"
    )
    assert (result.found, result.baseline) == (0.86, 0.91)
    assert result.cases == CasesJudged(
        step="evaluate",
        predictions="cases.csv of run r0",
        cases=100,
        fixed=2,
        broken=7,
        p_value=0.04,
        slice={"country": "fr"},
        slices=12,
    )


def test_a_slice_may_drop_by_just_what_is_allowed() -> None:
    result = _result(_SLICES, _in_slices(_FRENCH))

    assert (result.result, result.margin) == ("passed", 0.0)

    thirds = replace(_FRENCH, baseline=200 / 300, run=194 / 300)
    by_two = replace(_SLICES, max_drop=Tolerance(amount=0.02))

    assert _result(by_two, _in_slices(thirds)).result == "passed"


def test_a_drop_in_per_cent_is_one_of_the_slice() -> None:
    half = replace(_SLICES, max_drop=Tolerance(amount=5, percent=True))

    assert _result(half, _in_slices(replace(_FRENCH, run=0.87))).result == "passed"
    assert _result(half, _in_slices(_FRENCH)).result == "failed"


def test_slices_that_miss_are_counted() -> None:
    strict = replace(_SLICES, max_drop=Tolerance(amount=0.0))
    others = [replace(_FRENCH, values=(value,), run=0.9) for value in ("de", "nl")]

    assert "the worst of 12 slices, 3 of which miss" in (
        _result(strict, _in_slices(_FRENCH, *others)).reason
    )


def test_a_loss_of_a_slice_is_refused_only_beyond_chance() -> None:
    strict = replace(_SLICES, max_drop=Tolerance(amount=0.01), significant=0.05)
    by_chance = replace(_FRENCH, values=("nl",), corrected=0.4)

    refused = _result(strict, _in_slices(_FRENCH, by_chance))
    passed = _result(strict, _in_slices(by_chance))

    assert refused.result == "failed"
    assert refused.reason == (
        "country = fr: 0.91 → 0.86 in 100 cases (7 broken, 2 fixed), p = 0.04, "
        "the worst of 12 slices: misses by 0.04"
    )
    assert passed.result == "passed"
    assert passed.reason.endswith(
        "p = 0.4, the worst of 12 slices: misses by 0.04, which may be chance"
    )


def test_an_error_may_rise_by_so_much_in_each_slice() -> None:
    gate = replace(_SLICES, max_drop=None, max_rise=Tolerance(amount=0.1))
    worse = replace(_FRENCH, run=1.5, baseline=1.0, fixed=None, broken=None)
    found = replace(_in_slices(worse), task="regression", outcomes=None)

    result = _result(gate, found)

    assert result.result == "failed"
    assert result.reason == (
        "country = fr: 1 → 1.5 in 100 cases, the worst of 12 slices: misses by 0.4"
    )


def test_slices_of_which_none_lost_pass() -> None:
    result = _result(_SLICES, _in_slices())

    assert (result.result, result.reason) == ("passed", "none of 12 slices lost anything")


def test_no_slice_with_enough_cases_is_no_pass() -> None:
    found = replace(_in_slices(compared=0), notes=("no value of country has 50 cases",))

    assert _result(_SLICES, found).result == "failed"
    assert _result(replace(_SLICES, missing="warn"), found).result == "warned"
    assert _result(_SLICES, found).reason == (
        "there is no slice to judge; no value of country has 50 cases"
    )


@pytest.mark.parametrize(
    ("p_value", "more", "result", "end"),
    [
        (0.0009, {}, "failed", "p = 0.0009: misses by 0.02"),
        (0.0499, {}, "failed", "p = 0.0499: misses by 0.02"),
        (0.05, {}, "passed", "p = 0.05: misses by 0.02, which may be chance"),
        (0.3, {"max_drop": Tolerance(amount=0.1)}, "passed", "p = 0.3: 0.07 to spare"),
        (0.3, {"at_least": 0.96}, "failed", "misses by 0.02"),
        (0.3, {"at_least": 0.9}, "passed", "misses by 0.02, which may be chance"),
        (0.3, {"max_drop": None, "within": Tolerance(amount=0.01)}, "passed", "may be chance"),
        (0.01, {"severity": "warn"}, "warned", "p = 0.01: misses by 0.02"),
    ],
)
def test_a_drop_is_refused_only_beyond_chance(
    p_value: float, more: dict[str, Any], result: str, end: str
) -> None:
    found = _tested(p_value=p_value)

    answer = _result(replace(_MOVE, **more), found)

    assert answer.result == result
    assert answer.reason.endswith(end)


@pytest.mark.parametrize(
    ("p_value", "baseline", "result", "end"),
    [
        (0.01, 0.94, "passed", "p = 0.01: 0.01 to spare"),
        (0.2, 0.94, "failed", "p = 0.2: 0.01 to spare, which may be chance"),
        (0.01, 0.95, "failed", "p = 0.01: no better than the baseline"),
        (0.01, 0.98, "failed", "p = 0.01: misses by 0.03"),
    ],
)
def test_a_better_metric_must_be_better_beyond_chance(
    p_value: float, baseline: float, result: str, end: str
) -> None:
    found = _tested(p_value=p_value, baseline=baseline)
    champion = replace(_CHAMPION, metrics={"evaluate:accuracy": baseline})
    gate = replace(_MOVE, max_drop=None, better="up")

    answer = _result(gate, found, baselines={"champion": champion})

    assert answer.result == result
    assert answer.reason.endswith(end)


def test_the_verdict_has_p_and_the_counts() -> None:
    result = _result(_MOVE)

    assert result.cases == CasesJudged(
        step="evaluate",
        predictions="cases.csv of run r0",
        cases=450,
        fixed=3,
        broken=17,
        p_value=0.0009,
    )
    assert result.reason.startswith("17 broken and 3 fixed of 450 cases, p = 0.0009")
    verdict = _verdict(_MOVE)
    assert from_json(to_json(verdict), Verdict, "run.json") == verdict


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (NoCases(reason="they are gone"), "they are gone"),
        (None, "nobody compared the predictions"),
        (
            _tested(run=0.9),
            "by the run's predictions of the 450 cases that both have, accuracy is 0.9",
        ),
        (
            _tested(baseline=0.9),
            "by the baseline's predictions of the 450 cases that both have, accuracy is 0.9",
        ),
        (
            replace(_FOUND, task="regression", tests={}),
            "evaluate is a regression, which has no accuracy",
        ),
    ],
)
def test_chance_that_is_not_known_excuses_nothing(
    found: ComparedCases | NoCases | None, why: str
) -> None:
    refused = _result(_MOVE, found)
    fine = _result(replace(_MOVE, max_drop=Tolerance(amount=0.1)), found)
    better = _result(
        replace(_MOVE, max_drop=None, better="up"),
        found,
        baselines={"champion": replace(_CHAMPION, metrics={"accuracy": 0.93})},
    )

    assert refused.result == "failed"
    assert refused.reason == f"misses by 0.02; whether by chance is not known: {why}"
    assert fine.result == "passed"
    assert fine.reason == f"0.07 to spare; whether by chance is not known: {why}"
    assert better.result == "failed"


_NONE = NoBaseline(asked="champion", reason="nothing was promoted yet")


@pytest.mark.parametrize("gate", [_FLIPS, _SLICES, _MOVE])
def test_a_first_run_has_no_cases_to_compare_with(gate: Gate) -> None:
    for rule, result in (("pass", "passed"), ("warn", "warned"), ("fail", "failed")):
        answer = _result(replace(gate, first_run=rule), None, baselines={"champion": _NONE})
        assert (answer.result, answer.reason) == (result, "first run: nothing was promoted yet")

    unsure = replace(_NONE, certain=False)
    assert _result(gate, None, baselines={"champion": unsure}).result == "failed"


@pytest.mark.parametrize("gate", [_FLIPS, _SLICES])
def test_what_is_not_there_is_judged_by_its_rule(gate: Gate) -> None:
    gone = NoCases(reason="a.csv of run r0 is not kept any more", rule="missing")
    assert _result(gate, gone).result == "failed"
    assert _result(replace(gate, missing="warn"), gone).result == "warned"
    assert _result(gate, gone).reason == "a.csv of run r0 is not kept any more"

    never = NoCases(reason="run r0 declares no predictions of step evaluate", rule="first_run")
    assert _result(gate, never).result == "passed"
    assert _result(replace(gate, first_run="fail"), never).result == "failed"

    other = NoCases(reason="their ids differ")
    assert _result(replace(gate, missing="pass", first_run="pass"), other).result == "failed"


def test_an_override_holds_for_the_cases_that_it_was_given_for() -> None:
    strict = replace(_FLIPS, at_most=1.0)
    failed = _result(strict)
    override = Override(
        gate=failed.gate,
        by="A",
        reason="known",
        at_utc=_UTC,
        asked=failed.asked,
        found=failed.found,
        cases=failed.cases,
    )

    assert _result(strict, overrides=(override,)).answer == "overridden"

    # As many cases broke, beside the predictions of another model.
    other = replace(_FOUND, predictions="cases.csv of run r9")
    assert _result(strict, other, overrides=(override,)).answer == "failed"


def test_a_condition_leaves_the_gate_out() -> None:
    assert _result(replace(_FLIPS, when="false")).result == "left out"


def test_notes_of_the_comparison_are_told() -> None:
    found = replace(_FOUND, notes=("3 cases that only the run has: not compared",))

    for gate in (_FLIPS, _MOVE):
        assert _result(gate, found).reason.endswith("; 3 cases that only the run has: not compared")
