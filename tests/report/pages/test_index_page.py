from __future__ import annotations

import base64
import itertools
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.formatting.numbers import MINUS
from nbci.records.run_record import Failure, Metric, StepRecord, StepResult
from nbci.records.verdict import GateResult, Override, Verdict
from nbci.report.data.material import Material, PastRun, Release, ShownRun
from nbci.report.render import render_report
from tests.report import report_samples as samples
from tests.report.report_pages import Page, pages

if TYPE_CHECKING:
    from collections.abc import Mapping


def index(material: Material) -> Page:
    return pages(render_report(material))["index.html"]


def between(page: Page, start: str, end: str) -> str:
    return page.text.partition(start)[2].partition(end)[0]


def test_parts_stand_in_the_order_of_questions() -> None:
    text = index(samples.compared()).text
    order = [
        "✗ refused",
        "May it go out?",
        "What changed?",
        "Can I trust the run?",
        "missed by 0.0011",
        "Since digits@v1.2.0",
        "higher is better",
        "Baseline: ",
        "Peak memory",
        "What digits was made from",
        "git checkout",
    ]
    order = [words for words in order if words in text]
    assert len(order) > 8
    assert sorted(order, key=text.index) == order


def test_a_comparison_says_that_it_is_one_and_of_what() -> None:
    files = render_report(with_fields(samples.compared(), is_comparison=True))
    both = f"digits: run {samples.NOW.run} compared with run {samples.BEFORE.run}"
    text = pages(files)["index.html"].text
    assert text.startswith(f"\n{both}Skip to the content{both}This is a comparison of two runs:")
    header = text.partition("In short")[0]
    assert header.index("This run✗ refused") < header.index("Baseline✓ passed")
    assert f"passed ({both})" in pages(files)["steps/models__train.html"].text
    assert both.encode() in files["summary.md"].replace(b"\\", b"")


def test_the_report_of_a_run_calls_nothing_a_comparison() -> None:
    assert "comparison" not in index(samples.compared()).text


def swept(combinations: int, *, failing: int = -1) -> Page:
    """A run of a matrix, of which one combination fails."""
    plans, records = [samples.planned("load")], [StepRecord(name="load", result="passed")]
    for at in range(combinations):
        step = samples.planned(f"train/{at}", after=("load",), node="train", matrix={"depth": at})
        plans.append(step)
        metric = Metric(name="accuracy", value=at / 1000, source="cell")
        result: StepResult = "failed" if at == failing else "passed"
        records.append(StepRecord(name=step.name, result=result, seconds=2.0, metrics=(metric,)))
    run = ShownRun(record=samples.run(*records), plan=samples.plan(*plans), notebooks={})
    return index(Material(run=run))


def test_a_matrix_is_one_row_with_a_table_of_its_axes() -> None:
    page = swept(3, failing=1)
    rows = between(page, "StepResultTook", "train: 3 combinations of depth")
    times = "\N{MULTIPLICATION SIGN}"
    assert rows.startswith("loadResult✓ passedTooktrain3 combinations of depth")
    assert rows.endswith(f"Result✗ failed {times} 1✓ passed {times} 2Took6.0 s")
    table = page.text.partition("Combinations of train")[2]
    assert table.startswith("StepdepthResultTookaccuracytrain/0depth0Result✓ passed")
    assert "#matrix-train" in page.links
    assert "matrix-train" in page.ids


def test_of_very_many_combinations_the_failed_ones_are_shown() -> None:
    page = swept(600, failing=599)
    table = page.text.partition("Combinations of train")[2]
    assert table.startswith("StepdepthResultTookaccuracytrain/599")
    assert "600 combinations of depth, the first 500" in page.text


def test_the_contents_lead_to_each_part() -> None:
    page = index(samples.compared())
    assert {
        "#answers",
        "#gates",
        "#changes",
        "#metrics",
        "#figures",
        "#steps",
        "#lineage",
        "#again",
    } <= set(page.links)


def test_headings_go_down_one_by_one() -> None:
    for material in (samples.compared(), failed()):
        levels = [
            int(tag[1]) for tag in index(material).tags if tag in ("h1", "h2", "h3", "h4", "h5")
        ]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def failed() -> Material:
    notebooks = {"models/train": samples.FAILED_NOTEBOOK}
    run = ShownRun(record=samples.FAILED, plan=samples.FAILED_PLAN, notebooks=notebooks)
    return Material(run=run)


def test_what_the_report_does_without_is_said() -> None:
    assert "run 20260101-111111-2222 cannot be compared with" in index(samples.compared()).text


def test_metrics_beside_the_baselines_with_what_they_were_before() -> None:
    page = index(samples.compared())
    text = between(page, "ValueBaselineChangeTrendStep", "Figures")
    assert "0.98330.9722" not in text
    for words in (
        f"{MINUS}0.0111, worse",
        f"{MINUS}0.016, better",
        "the same",
        "The 2 runs before",
        "20251231-010203-4567",
        "0.961",
    ):
        assert words in text
    assert any(image["src"] == "images/history-1.svg" for image in page.images)


def test_a_metric_that_has_gone_is_named_unless_the_run_came_to_no_end() -> None:
    material = samples.compared()
    assert material.baseline is not None
    kept = replace(
        samples.NOW, steps=(samples.NOW.steps[0], replace(samples.NOW.steps[1], metrics=()))
    )
    lacking = tuple(replace(metric, after=None) for metric in material.baseline.difference.metrics)
    baseline = with_fields(
        material.baseline, difference=replace(material.baseline.difference, metrics=lacking)
    )
    whole = with_fields(material, run=with_fields(material.run, record=kept), baseline=baseline)
    assert "gone" in index(whole).text
    broken = replace(kept, result="failed", verdict=None)
    assert "gone" not in index(with_fields(whole, run=with_fields(whole.run, record=broken))).text


def test_figures_stand_beside_the_baselines_and_same_ones_are_folded() -> None:
    files = render_report(samples.compared())
    page = pages(files)["index.html"]
    alts = [image["alt"] for image in page.images]
    assert (
        alts.count(
            "Baseline: figure of models/train, cell 6: "
            "ConfusionMatrixDisplay.from_predictions(y, guess)"
        )
        == 1
    )
    assert files["images/models__train/cell-3-before-1.png"] == samples.png(grey=120)
    assert files["images/models__train/cell-3-1.png"] == samples.png(grey=200)
    assert "1 figure as before" in page.text
    assert "images/models__train/cell-3-before-2.png" not in files


def with_outputs(material: Material, *outputs: dict[str, Any]) -> Material:
    """The cell that draws shows these now."""
    cells = [*material.run.notebooks["models/train"]["cells"]]
    cells[-1] = cells[-1] | {"outputs": list(outputs)}
    notebooks = {"models/train": samples.notebook(*cells)}
    return with_fields(material, run=with_fields(material.run, notebooks=notebooks))


def test_figures_that_came_went_or_are_broken() -> None:
    one = samples.shown({"image/png": samples.PNG})
    gone = index(with_outputs(samples.compared(), one))
    assert "no such figure" in gone.text
    broken = index(with_outputs(samples.compared(), samples.shown({"image/png": "AAAA"}), one))
    assert "it cannot be shown" in broken.text
    unread = samples.compared()
    assert unread.baseline is not None
    run = with_fields(unread.baseline.run, notebooks={"models/train": {"cells": "none"}})
    material = with_fields(unread, baseline=with_fields(unread.baseline, run=run))
    assert "no such figure" in index(material).text


def test_very_many_figures_are_left_to_the_steps_pages() -> None:
    pictures = [
        samples.shown({"image/png": base64.b64encode(samples.png(width=1 + at)).decode()})
        for at in range(400)
    ]
    material = with_outputs(
        with_fields(samples.compared(), baseline=None, no_baseline="none"), *pictures
    )
    page = index(material)
    assert len(page.images) < 100
    assert "There are more figures on the steps' pages." in page.text


def test_the_card_of_a_release_is_markdown_that_can_do_nothing() -> None:
    release = Release(
        model="digits",
        version="v2.0.0",
        stage="production",
        card="# Card\n\n<script>x</script> *good*",
    )
    material = with_fields(samples.compared(), releases=(release,))
    assert b"<script" not in render_report(material)["index.html"]
    page = index(material)
    assert "Card of digits v2.0.0" in page.text
    assert "v2.0.0, in production" in page.text
    assert "nbci promote" not in page.text


def test_only_a_run_that_may_be_released_says_how() -> None:
    material = samples.compared()
    passed = replace(samples.NOW, verdict=None)
    assert passed.git is not None

    def text(record: Any) -> str:
        return index(with_fields(material, run=with_fields(material.run, record=record))).text

    command = "nbci promote 20260102-030405-abcd"
    assert command in text(passed)
    assert command not in text(samples.NOW), "its gates refused it"
    assert command not in text(replace(passed, git=replace(passed.git, dirty=True)))
    assert command not in text(replace(passed, git=replace(passed.git, branch="feature")))
    assert (
        "nbci gate 20260102-030405-abcd --override 'accuracy at most 0.01 below champion'"
        in text(samples.NOW)
    )


def test_lineage_names_steps_values_and_data() -> None:
    text = between(index(samples.compared()), "What digits was made from.", "Environment")
    for words in (
        "X from prepare",
        "build/digits.onnx",
        "data/raw",
        "C = 10",
        "20260101-000000-ffff",
        "this run",
    ):
        assert words in text


def test_a_failure_is_shown_with_its_inputs() -> None:
    step = replace(
        samples.FAILED_TRAIN,
        params={"C": 10},
        takes=samples.NOW.steps[1].takes,
        deps=samples.NOW.steps[1].deps,
    )
    record = replace(samples.FAILED, steps=(samples.PREPARE, step))
    material = with_fields(failed(), run=with_fields(failed().run, record=record))
    text = between(index(material), "Step models/train failed", "May it go out?")
    for words in (
        "cell 5, line 2: model.fit(X, y)",
        "C = 10",
        "X (numpy.ndarray, 115 kB)",
        "data/raw (1.1 MB)",
    ):
        assert words in text


def test_a_failure_without_traceback_shows_the_cell() -> None:
    died = Failure(kind="kernel-died", message="the kernel was killed", cell=5, signal="SIGKILL")
    attempt = replace(samples.FAILED_TRAIN.attempts[0], failure=died)
    record = replace(
        samples.FAILED, steps=(samples.PREPARE, replace(samples.FAILED_TRAIN, attempts=(attempt,)))
    )
    text = index(with_fields(failed(), run=with_fields(failed().run, record=record))).text
    assert "The cell\nmodel = SVC(C=C)\nmodel.fit(X, y)" in text
    assert "SIGKILL" in text


def test_of_very_many_failures_the_first_are_explained() -> None:
    steps = tuple(StepRecord(name=f"s{number}", result="failed") for number in range(40))
    page = index(
        Material(
            run=ShownRun(
                record=samples.run(*steps, result="failed"), plan=samples.plan(), notebooks={}
            )
        )
    )
    assert page.text.count("The step failed without saying why.") == 10
    assert "30 more steps failed" in page.text


def test_a_gate_over_several_metrics_shows_what_it_found_of_each() -> None:
    asked = "precision > recall"
    gate = GateResult(
        gate=asked,
        asked=asked,
        result="failed",
        reason="it does not hold",
        values={"a:p": 0.5, "a:r": 0.7},
    )
    record = replace(samples.NOW, verdict=Verdict(result="failed", judged_utc="", gates=(gate,)))
    material = samples.compared()
    text = index(with_fields(material, run=with_fields(material.run, record=record))).text
    assert "a:p = 0.5, a:r = 0.7" in text
    assert "expression precision > recall: it does not hold" in text


def test_an_overridden_gate_says_who_and_why() -> None:
    assert samples.NOW.verdict is not None
    override = Override(gate="g", by="ada", reason="a new test set", at_utc="", asked="")
    gates = tuple(
        replace(gate, override=override) if gate.refuses else gate
        for gate in samples.NOW.verdict.gates
    )
    verdict = Verdict(result="warned", judged_utc="", gates=gates, overrides=(override,))
    material = samples.compared()
    shown = with_fields(
        material, run=with_fields(material.run, record=replace(samples.NOW, verdict=verdict))
    )
    assert "overridden by ada: a new test set" in index(shown).text


@pytest.mark.parametrize("result", ["running", "interrupted"])
def test_runs_that_came_to_no_end(result: Any) -> None:
    text = index(
        with_fields(
            failed(), run=with_fields(failed().run, record=replace(samples.FAILED, result=result))
        )
    ).text
    assert {"running": "Not yet, the run goes on", "interrupted": "No, the run was interrupted"}[
        result
    ] in text


def test_a_brief_report_leaves_out_what_takes_long_to_draw() -> None:
    steps = tuple(StepRecord(name=f"s{number}", result="passed") for number in range(60))
    after = tuple(
        samples.planned(step.name, after=("s0",) if at else ()) for at, step in enumerate(steps)
    )
    run = ShownRun(record=samples.run(*steps), plan=samples.plan(*after), notebooks={})
    assert "#graph" in index(Material(run=run)).links
    assert "#graph" not in index(Material(run=run, is_brief=True)).links


def test_what_has_not_begun_in_a_run_that_goes_on_is_waiting() -> None:
    steps = (StepRecord(name="a", result="passed"), StepRecord(name="b", result="running"))
    record = samples.run(*steps, StepRecord(name="c", result="skipped"), result="running")
    plan = samples.plan(
        *(samples.planned(name, after=("a",) if name != "a" else ()) for name in "abcd")
    )
    files = render_report(Material(run=ShownRun(record=record, plan=plan, notebooks={})))
    text = pages(files)["index.html"].text
    assert "The run is still going on: 4 steps; 1 passed, 1 running, 2 waiting." in text
    assert "○ waiting" in text
    assert "skipped" not in text
    assert "waiting" in pages(files)["steps/d.html"].text


def test_a_run_that_failed_may_be_taken_up_again() -> None:
    assert "nbci run --resume 20260102-030405-abcd" in index(failed()).text
    assert "--resume" not in index(samples.compared()).text


HOSTILE = '"><script>alert(1)</script>\u202eabc\U0001d54f\x00'


def hostile() -> Material:
    """A baseline, a history and releases whose every text is bad."""
    material = samples.compared()
    assert material.baseline is not None
    found = material.baseline.difference
    difference = replace(
        found,
        params=tuple(
            replace(change, name=HOSTILE, before=HOSTILE, after={HOSTILE: 1})
            for change in found.params
        ),
        code=tuple(
            replace(change, step=HOSTILE, diff=(f"-{HOSTILE}", f"+{HOSTILE}!", HOSTILE))
            for change in found.code
        ),
        data=tuple(replace(change, path=HOSTILE, added=(HOSTILE,)) for change in found.data),
        metrics=tuple(
            replace(change, name=f"s:{HOSTILE}", unit=HOSTILE) for change in found.metrics
        ),
        environment=tuple(
            replace(change, name=HOSTILE, before=HOSTILE) for change in found.environment
        ),
    )
    past = PastRun(run=HOSTILE, started_utc=HOSTILE, result=HOSTILE, metrics={f"s:{HOSTILE}": 1.0})
    return with_fields(
        material,
        baseline=with_fields(material.baseline, title=HOSTILE, difference=difference),
        history=(past,),
        releases=(Release(model="digits", version=HOSTILE, stage=HOSTILE, card=HOSTILE),),
        problems=(HOSTILE,),
    )


def test_no_text_of_the_baseline_is_markup() -> None:
    files: Mapping[str, bytes] = render_report(hostile())
    page = pages(files)["index.html"]
    assert "script" not in page.tags
    assert b"<script" not in files["index.html"]
