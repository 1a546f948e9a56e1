"""What a pipeline file says of the pipeline, its steps, gates, metrics and parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.pipeline.rules import DeclaredMetric, Gate
from nbci.records.run_record import ParameterValue
from nbci.records.verdict import GateResult, Verdict
from nbci.report.data.material import Material, ShownRun
from nbci.report.render import render_report
from tests.report import report_samples as samples
from tests.report.report_pages import pages

if TYPE_CHECKING:
    from collections.abc import Mapping

_GATE = Gate(name="accuracy at least 0.9", metric="accuracy", at_least=0.9)
_RESULT = GateResult(
    gate=_GATE.name, asked="at least 0.9", result="passed", reason="0.07 to spare", found=0.97
)


def rendered(text: str, *, twice: bool = False, matrix: bool = False) -> Mapping[str, bytes]:
    """The report of a run of which everything is described as `text`, each beginning otherwise."""
    train = samples.planned("models/train", node="models", description=f"step {text}")
    steps = (train, replace(train, name="models/again")) if twice else (train,)
    if matrix:
        one, two = replace(train, matrix={"k": 1}), replace(train, matrix={"k": 2})
        steps = (one, replace(two, name="models/again"))
    plan = samples.plan(
        *steps,
        description=f"pipeline {text}",
        gates=(replace(_GATE, description=f"gate {text}"),),
        metrics={"accuracy": DeclaredMetric(direction="up", description=f"metric {text}")},
    )
    record = samples.run(
        samples.TRAIN,
        params=(
            ParameterValue(name="C", value=1, source="-p", help=f"parameter {text}"),
            ParameterValue(name="D", value=1, source="-p"),
        ),
        verdict=Verdict(result="passed", judged_utc="2026-01-02T03:04:05Z", gates=(_RESULT,)),
    )
    return render_report(Material(run=ShownRun(record=record, plan=plan, notebooks={})))


def test_pages_and_summary_say_what_everything_is_for() -> None:
    files = rendered("is for tests")
    index = pages(files)["index.html"].text
    step = pages(files)["steps/models__train.html"].text
    summary = files["summary.md"].decode()
    for what in ("pipeline", "gate", "metric", "parameter"):
        assert f"{what} is for tests" in index
        assert f"{what} is for tests" in summary
    assert "step is for tests" in index
    assert "step is for tests" in step
    assert "metric is for tests; higher is better" in index
    assert index.index("pipeline is for tests") < index.index("The run passed")


def test_what_is_said_of_several_steps_is_on_their_pages_only() -> None:
    files = rendered("is for tests", twice=True)
    assert "step is for tests" not in pages(files)["index.html"].text
    assert "step is for tests" in pages(files)["steps/models__train.html"].text


def test_what_is_said_of_a_matrix_stands_once_above_its_combinations() -> None:
    index = pages(rendered("is for tests", matrix=True))["index.html"].text
    assert index.count("step is for tests") == 1
    assert index.index("2 combinations of k") < index.index("step is for tests")


def test_paragraphs_of_a_pipeline_stay_apart() -> None:
    index = rendered("begins\nhere.\n\nAnd ends.\n")["index.html"]
    assert b'<p class="description">pipeline begins here.</p>' in index
    assert b'<p class="description">And ends.</p>' in index


def test_hostile_and_endless_text_does_nothing() -> None:
    hostile = "</td><script>alert(1)</script> @team | `x` \u202e" + "long " * 10_000
    files = rendered(hostile)
    index = files["index.html"]
    pages(files)
    assert b"<script" not in index
    assert "\u202e" not in index.decode()
    assert len(index) < 60_000
    summary = files["summary.md"].decode()
    assert "<script" not in summary
    assert "@team" not in summary
    for line in summary.splitlines():
        if "gate" in line and line.startswith("|"):
            assert line.count("|") - line.count("\\|") == 7


def test_a_table_without_help_has_no_column_for_it() -> None:
    assert "Meaning" not in samples_summary().partition("### Parameters")[2]


def samples_summary() -> str:
    run = ShownRun(record=samples.PASSED, plan=samples.PLAN, notebooks={})
    return render_report(Material(run=run))["summary.md"].decode()
