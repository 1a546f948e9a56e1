"""What a build's page shows: every text ready, every list bounded, no secret, strict JSON."""

from __future__ import annotations

import json
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from nbci.formatting.numbers import MINUS
from nbci.records.codec import from_json
from nbci.records.page import BuildPage, PageEnding, PageModel, PageParameter
from nbci.records.run_record import Attempt, CellRun, Failure, Metric, RunRecord, StepRecord
from nbci.records.verdict import GateResult, Override, Verdict
from nbci.report.build_page import LIMIT_BYTES, AroundRun, build_page, page_json
from nbci.report.data.material import Material, Release, ShownRun
from nbci.report.data.view import build_shown_steps
from nbci.report.render import render_report
from nbci.secrets import Mask
from tests.report.report_samples import (
    FAILED,
    FAILED_NOTEBOOK,
    FAILED_PLAN,
    PASSED,
    PLAN,
    compared,
    plan,
    planned,
    run,
)
from tests.support.console import ROOT

if TYPE_CHECKING:
    from nbci.plan.model import Plan

ENDING = PageEnding(result="success", message="digits: passed", infrastructure=False)
AROUND = AroundRun(ending=ENDING, description="✅ digits: passed")
NO_SECRETS = Mask(())


def page_of(
    material: Material, around: AroundRun = AROUND, mask: Mask = NO_SECRETS
) -> dict[str, Any]:
    """The page as whoever reads the file gets it."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    shown = material.run
    steps = build_shown_steps(shown.record, shown.plan, shown.notebooks)
    content = page_json(build_page(material, steps, around, mask))
    assert len(content) <= LIMIT_BYTES
    found: dict[str, Any] = json.loads(content, parse_constant=refuse)
    return found


def material_of(record: RunRecord, its_plan: Plan = PLAN, **more: Any) -> Material:
    return Material(run=ShownRun(record=record, plan=its_plan, notebooks={}), **more)


def test_a_refused_run_beside_its_baseline() -> None:
    page = page_of(compared())

    assert page["result"] == "refused"
    assert page["badge"] == {"text": "refused", "kind": "bad"}
    assert page["headline"] == (
        "The steps passed: 2 steps in 12.4 s; 1 reused. 1 of 3 gates refused it."
    )
    assert page["commit"] == "4f2a9c1 on main"
    assert page["gates"][0] == {
        "gate": "accuracy at most 0.01 below champion",
        "step": "models/train",
        "result": "refused",
        "value": "0.9722",
        "explanation": "0.0111 below the baseline; baseline: digits@v1.2.0 in production",
        "margin": "by 0.0011",
    }
    assert [gate["result"] for gate in page["gates"]] == ["refused", "passed", "warned"]
    assert page["metrics"][0] == {
        "name": "models/train:accuracy",
        "short": "accuracy",
        "number": 0.9722,
        "value": "0.9722",
        "change": f"{MINUS}0.0111",
        "direction": "worse",
        "judged": True,
    }
    directions = {metric["short"]: metric["direction"] for metric in page["metrics"]}
    assert directions == {"accuracy": "worse", "loss": "better", "size": "same"}


def test_numbers_that_json_lacks_are_texts() -> None:
    page = page_of(material_of(PASSED))
    shown = {metric["short"]: (metric["number"], metric["value"]) for metric in page["metrics"]}
    assert shown["loss"] == (None, "NaN")
    assert shown["worst"] == (None, "infinity")


def test_a_failure_with_its_place_and_a_link_into_the_report() -> None:
    shown = ShownRun(record=FAILED, plan=FAILED_PLAN, notebooks={"models/train": FAILED_NOTEBOOK})
    material = Material(run=shown)
    page = page_of(material)

    (failure,) = page["failures"]
    assert page["badge"] == {"text": "failed: models/train", "kind": "bad"}
    assert failure["step"] == "models/train"
    assert failure["place"] == "cell 5, line 2: model.fit(X, y)"
    assert "\x1b" not in failure["traceback"]
    assert failure["traceback"].endswith("<script>alert(1)</script>")
    path, _, anchor = failure["link"].partition("#")
    assert f'id="{anchor}"' in render_report(material)[path].decode()
    assert [step["result"] for step in page["steps"]] == ["reused", "failed", "skipped"]
    assert [step["note"] for step in page["steps"]] == [
        "nothing that it is made of has changed",
        "4.5 s",
        "models/train failed",
    ]


def test_a_run_that_failed_before_its_first_step() -> None:
    failure = Failure(kind="infrastructure", message="the disk is full", hint="make room")
    page = page_of(material_of(run(result="failed", failure=failure, seconds=None), plan()))

    assert page["failures"][0] == {
        "step": "",
        "message": "the disk is full",
        "place": "",
        "traceback": "",
        "hint": "make room",
        "link": "index.html#failure",
    }
    assert page["badge"]["text"] == "failed"
    assert (page["took"], page["graph"], page["steps"]) == (None, None, [])


def test_an_interrupted_run_has_no_failure() -> None:
    stopped = Failure(kind="interrupted", message="the step was interrupted")
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=2.0, failure=stopped)
    record = run(
        StepRecord(name="prepare", result="failed", seconds=2.0, attempts=(attempt,)),
        result="interrupted",
    )
    page = page_of(material_of(record))
    assert page["result"] == "interrupted"
    assert page["badge"] == {"text": "interrupted", "kind": "plain"}
    assert page["failures"] == []
    # The plan has a step that the run did not reach.
    assert [step["result"] for step in page["steps"]] == ["interrupted", "skipped"]


def test_the_badge_has_the_judged_metric_and_where_it_went() -> None:
    material = compared()
    now = material.run
    verdict = now.record.verdict
    assert verdict is not None
    passing = replace(
        now.record, verdict=replace(verdict, result="passed", gates=verdict.gates[:1])
    )
    material = with_fields(material, run=with_fields(now, record=passing))
    assert page_of(material)["badge"] == {"text": "accuracy 0.9722 ▼", "kind": "good"}


def test_a_badge_is_short_and_keeps_its_number() -> None:
    name = "the_accuracy_on_all_that_was_never_seen_before"
    record = run(
        StepRecord(
            name="prepare",
            result="passed",
            metrics=(Metric(name=name, value=0.5, source="scrap"),),
        ),
        verdict=Verdict(
            result="warned",
            judged_utc="",
            gates=(
                GateResult(
                    gate=name,
                    asked="at least 0.6",
                    result="failed",
                    reason="misses by 0.1",
                    metric=f"prepare:{name}",
                    found=0.5,
                    margin=float("-inf"),
                    override=Override(
                        gate=name, by="ada", reason="known", at_utc="", asked="at least 0.6"
                    ),
                ),
            ),
        ),
    )
    page = page_of(material_of(record))
    assert page["badge"]["kind"] == "plain"
    assert len(page["badge"]["text"]) <= 40
    assert page["badge"]["text"].endswith("… 0.5")
    (gate,) = page["gates"]
    assert (gate["result"], gate["margin"]) == ("overridden", "")
    assert gate["explanation"] == "misses by 0.1; overridden by ada: known"


def test_the_graph_has_places_and_links() -> None:
    graph = page_of(material_of(PASSED))["graph"]
    first, second = graph["nodes"]
    assert (first["name"], second["link"]) == ("prepare", "steps/models__train.html")
    assert first["x"] + first["width"] < second["x"] < graph["width"] - second["width"]
    (edge,) = graph["edges"]
    middle = first["y"] + first["height"] / 2
    assert edge["points"] == [[first["x"] + first["width"], middle], [second["x"], middle]]


def test_the_boxes_of_a_matrix_lead_to_its_table() -> None:
    before = planned("prepare")
    runs = [planned(f"fit/{c}", matrix={"C": c}, node="fit", after=("prepare",)) for c in (1, 2)]
    steps = [StepRecord(name=step.name, result="passed", seconds=1.0) for step in (before, *runs)]
    material = material_of(run(*steps), plan(before, *runs))
    group = page_of(material)["graph"]["nodes"][1]
    path, _, anchor = group["link"].partition("#")
    assert path == "index.html"
    assert f'id="{anchor}"' in render_report(material)[path].decode()


@pytest.mark.parametrize("count", [1, 500, 2000])
def test_many_steps_stay_within_the_limit(count: int) -> None:
    names = [f"part/step-{at}" for at in range(count)]
    steps = [planned(name, after=(names[at - 1],) if at else ()) for at, name in enumerate(names)]
    failure = Failure(kind="exception", message="m" * 9000, traceback='"\\\n' * 9000)
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1.0, failure=failure)
    records = [StepRecord(name=name, result="passed", seconds=1.0) for name in names[:-1]]
    records.append(StepRecord(name=names[-1], result="failed", seconds=1.0, attempts=(attempt,)))
    page = page_of(material_of(run(*records, result="failed"), plan(*steps)))

    shown = [step["name"] for step in page["steps"]]
    assert names[-1] in shown
    assert len(page["failures"][0]["traceback"].encode()) <= 4000
    if count <= 500:
        assert (len(shown), page["left_out"]) == (count, [])
    else:
        assert page["left_out"] == ["1,500 of 2,000 steps are not listed here"]


def test_what_is_too_wide_to_draw_is_left_out() -> None:
    names = [f"{'n' * 140}-{at}" for at in range(250)]
    steps = [planned(name) for name in names]
    records = [StepRecord(name=name, result="passed") for name in names]
    page = page_of(material_of(run(*records), plan(*steps)))
    assert page["graph"] is None
    assert "the graph of 250 steps is not drawn here" in page["left_out"]


_TEXTS = st.text(alphabet=st.sampled_from('a"\\\n\x00\x1b[\U0001f600é'), max_size=3000)


@settings(max_examples=25, deadline=None)
@given(text=_TEXTS, count=st.integers(0, 400))
def test_no_run_makes_it_larger(text: str, count: int) -> None:
    text = text * 3
    cell = CellRun(role="step", number=1, first_line=text, result="failed")
    failure = Failure(
        kind="exception", message=text, hint=text, cell=1, first_line=text, traceback=text * 3
    )
    attempt = Attempt(
        number=1, result="failed", started_utc="", seconds=1.0, failure=failure, cells=(cell,)
    )
    steps = tuple(
        StepRecord(
            name=f"{at}{text}",
            result="failed",
            attempts=(attempt,),
            metrics=(Metric(name=text, value=float("nan"), source=""),),
            warnings=(text,),
        )
        for at in range(count)
    )
    gates = tuple(
        GateResult(gate=text, asked=text, result="failed", reason=text) for _ in range(count)
    )
    verdict = Verdict(result="failed", judged_utc="", gates=gates)
    record = run(*steps, result="failed", verdict=verdict, warnings=(text,))
    parameter = PageParameter(
        name=text, type="str", kind="text", default=text, choices=(text,), help=text, optional=True
    )
    model = PageModel(model=text, version=text, stage=text, promoted_utc=None)
    around = AroundRun(
        ending=replace(ENDING, message=text),
        description=text,
        models=(model,) * count,
        parameters=(parameter,) * count,
    )
    page_of(material_of(record, plan()), around)


def test_secrets_are_masked_before_texts_are_cut() -> None:
    secret = "hunter2-hunter2-hunter2"
    failure = Failure(
        kind="exception", message=f"{'m' * 990} {secret}", traceback=f"{secret} {'t' * 3985}"
    )
    attempt = Attempt(number=1, result="failed", started_utc="", seconds=1.0, failure=failure)
    record = run(
        StepRecord(name="prepare", result="failed", attempts=(attempt,)),
        result="failed",
        warnings=(f"the password is {secret}",),
    )
    parameter = PageParameter(
        name="p", type="str", kind="string", default=secret, choices=(), help="", optional=False
    )
    around = AroundRun(ending=ENDING, description=secret, parameters=(parameter,))
    page = json.dumps(page_of(material_of(record), around, Mask((secret,))))
    assert "hunter2" not in page
    assert "the password is ***" in page


def test_the_newest_release_of_the_run() -> None:
    releases = tuple(Release(model="digits", version=version) for version in ("v1.0.0", "v1.1.0"))
    page = page_of(material_of(PASSED, releases=releases))
    assert page["release"] == {"model": "digits", "version": "v1.1.0"}


def test_a_page_that_was_written_is_read() -> None:
    kept = (ROOT / "tests/assets/page-1.json").read_bytes()
    page = from_json(kept, BuildPage, "page-1.json")
    # Its strings and numbers are all that there is: nothing of it was dropped on reading.
    assert json.loads(page_json(page)) == json.loads(kept)
