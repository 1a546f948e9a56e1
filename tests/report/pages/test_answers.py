from __future__ import annotations

from dataclasses import replace as with_fields
from typing import Any

from msgspec.structs import replace

from nbci.behaviour.difference import differ
from nbci.behaviour.of_runs import StepBehaviour
from nbci.plan.model import NOT_ASKED_FOR
from nbci.records.git_state import GitState
from nbci.records.run_record import Attempt, Metric, Part, RunRecord, StepRecord
from nbci.records.verdict import GateResult, Override, Verdict
from nbci.report.data.material import Baseline, Material, Release, ShownRun
from nbci.report.data.view import build_shown_steps
from nbci.report.pages.answers import Answer, answer_questions
from tests.behaviour.tables import pair_of
from tests.report import report_samples as samples

CLEAN = GitState(commit="4f2a9c1e7b3d", branch="main", dirty=False)


def of(record: RunRecord, plan: Any = None, **more: Any) -> Material:
    run = ShownRun(record=record, plan=plan or samples.plan(), notebooks={})
    return Material(run=run, **{"no_baseline": "none is here", **more})


def answers_to(material: Material) -> tuple[Answer, Answer, Answer]:
    run = material.run
    goes, changed, trusted = answer_questions(
        material, build_shown_steps(run.record, run.plan, run.notebooks)
    )
    return goes, changed, trusted


def gate(result: Any = "passed", **more: Any) -> GateResult:
    return GateResult(
        **{"gate": "g", "asked": "at least 1", "result": result, "reason": "r", **more}
    )


def judged(*gates: GateResult, **more: Any) -> RunRecord:
    result: Any = "passed"
    if more:
        result = "warned"
    if any(gate.refuses for gate in gates):
        result = "failed"
    return samples.run(
        git=CLEAN, verdict=Verdict(result=result, judged_utc="", gates=gates, **more)
    )


def test_may_it_go_out() -> None:
    override = Override(gate="g", by="ada", reason="seen", at_utc="", asked="")
    signs = {
        answers_to(of(record, plan))[0].sentence: answers_to(of(record, plan))[0].sign
        for record, plan in (
            (judged(gate(), gate()), None),
            (judged(gate(), gate("failed")), None),
            (judged(gate("failed")), None),
            (judged(gate(), gate("failed", override=override), overrides=(override,)), None),
            (samples.run(), None),
            (
                samples.run(),
                samples.plan(
                    samples.planned("a", action="skip", reason=NOT_ASKED_FOR), gates=("g",)
                ),
            ),
            (samples.run(result="failed"), None),
            (samples.run(result="interrupted"), None),
            (samples.run(result="running"), None),
        )
    }
    assert signs == {
        "Yes, 2 gates let it pass": "good",
        "No, 1 of 2 gates refused it": "bad",
        "No, its gate refused it": "bad",
        "Yes, but 1 of 2 gates warned or was overridden": "look",
        "Not judged: no gate asks anything of it": "look",
        "Not judged: steps were left out, so no gate judged it": "look",
        "No, the run failed": "bad",
        "No, the run was interrupted": "bad",
        "Not yet, the run goes on": "look",
    }


def test_why_a_gate_refused_or_who_overrode_it() -> None:
    override = Override(gate="g", by="ada", reason="seen", at_utc="", asked="")
    record = judged(
        gate("failed", found=0.5, unit="kB", reason="misses by 0.5"),
        gate("failed", override=override),
        overrides=(),
    )
    points = [point.text for point in answers_to(of(record))[0].points]
    assert points == [
        "g at least 1: 0.5 kB found, misses by 0.5",
        "g at least 1: overridden by ada: seen",
    ]


def test_what_was_released() -> None:
    release = Release(model="digits", version="v1.0.0", stage="production")
    (point,) = answers_to(of(samples.run(), releases=(release,)))[0].points
    assert point.text == "digits@v1.0.0 was made of it and is in production"


def test_what_changed() -> None:
    answer = answers_to(samples.compared())[1]
    assert answer.sentence == "1 parameter, 1 cell, 1 input and 1 package"
    assert [point.text for point in answer.points] == [
        "C 1 → 10",
        "1 cell changed in models/train",
        "data/raw 13 added, 1 removed, 1 changed",
        "numpy 2.4.5 → 2.4.6",
        "accuracy 0.9833 → 0.9722 (\N{MINUS SIGN}0.0111, worse)",
        "loss 0.101 → 0.085 (\N{MINUS SIGN}0.016, better)",
        (
            "since digits@v1.2.0 in production, which the gates compared with: "
            "run 20260101-020304-0123"
        ),
    ]


def test_nothing_to_compare_with_and_nothing_changed() -> None:
    assert answers_to(of(samples.run()))[1].sentence == "Not compared: none is here"
    material = samples.compared()
    assert material.baseline is not None
    found = material.baseline.difference
    same = replace(found, params=(), code=(), data=(), metrics=(), environment=())
    unchanged = with_fields(material, baseline=with_fields(material.baseline, difference=same))
    assert answers_to(unchanged)[1].sentence == "Nothing"


def alone(baseline: Baseline) -> Baseline:
    """Where only the results differ."""
    found = baseline.difference
    outs = tuple(change for change in found.data if change.role == "out")
    return with_fields(
        baseline, difference=replace(found, params=(), code=(), data=outs, environment=())
    )


def test_reasons_to_look_twice() -> None:
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1)
    steps = (
        StepRecord(name="a", result="passed", attempts=(attempt, attempt)),
        StepRecord(name="b", result="skipped", reason="a condition"),
        StepRecord(
            name="c",
            result="passed",
            metrics=(Metric(name="loss", value=float("nan"), source="cell"),),
            observed=(Part(kind="network", label="example.org", digest=""),),
            warnings=("odd",),
        ),
    )
    material = samples.compared()
    assert material.baseline is not None
    record = samples.run(*steps)
    run = ShownRun(record=record, plan=samples.plan(), notebooks={})
    answer = answers_to(with_fields(material, run=run, baseline=alone(material.baseline)))[2]
    assert answer.sentence == "7 reasons to look twice"
    assert [point.text for point in answer.points if point.sign == "look"] == [
        "the working tree held changes that are in no commit",
        (
            "the results differ from the baseline's though code, data, parameters and packages "
            "are the same"
        ),
        "no number: loss",
        "1 step did not run: b",
        "needed more than one attempt: a",
        "steps used the network: example.org",
        "1 warning",
    ]


def test_nothing_speaks_against_it() -> None:
    made = samples.run(
        StepRecord(name="a", result="passed"), StepRecord(name="b", result="passed"), git=CLEAN
    )
    answer = answers_to(of(made))[2]
    assert answer.sentence == "Nothing speaks against it"
    assert [point.text for point in answer.points] == [
        "made from commit 4f2a9c1e7b, with nothing uncommitted",
        "all 2 steps ran anew",
    ]
    reused = tuple(StepRecord(name=name, result="reused", run="r1") for name in "ab")
    points = answers_to(of(samples.run(*reused, git=CLEAN)))[2].points
    assert (
        points[-1].text == "0 steps ran; 2 reused the results of run r1, made from the same inputs"
    )


def test_no_commit_at_all() -> None:
    assert (
        answers_to(of(samples.run(git=None)))[2].points[0].text
        == "it was made from files that are in no commit"
    )


def test_cases_that_broke_are_a_change_to_look_at() -> None:
    cases = {"id": [1, 2], "label": ["a", "b"]}
    found = differ(
        pair_of({**cases, "prediction": ["b", "b"]}, {**cases, "prediction": ["a", "a"]})
    )
    behaviours = (
        StepBehaviour(step="gone", path="cases.csv", problem="its file is gone"),
        StepBehaviour(step="models/train", path="cases.csv", difference=found),
    )

    points = answers_to(with_fields(samples.compared(), behaviours=behaviours))[1].points

    (turned,) = [point for point in points if point.anchor == "behaviour"]
    assert turned.text == "2 cases: 1 fixed, 1 broken (50\N{NO-BREAK SPACE}% of all)"
    assert turned.sign == "look"
