from __future__ import annotations

import math
from typing import Any

from nbci.pipeline.rules import DeclaredMetric
from nbci.records.run_record import Metric, ParameterValue, RunRecord, StepRecord
from nbci.report.data.many_runs import compare_runs, left_out_lines, point_of, value_text

DECLARED = {"p": {"auc": DeclaredMetric(direction="up"), "loss": DeclaredMetric(direction="down")}}


def run_of(
    run: str, params: dict[str, Any], pipeline: str = "p", **metrics: float | None
) -> RunRecord:
    """A run with metrics of the step `fit`, or of another one as STEP__NAME."""
    steps = []
    for name, value in metrics.items():
        step, _, short = name.rpartition("__")
        found = () if value is None else (Metric(name=short or name, value=value, source="cell"),)
        steps.append(StepRecord(name=step or "fit", result="passed", metrics=found))
    return RunRecord(
        run=run,
        pipeline=pipeline,
        target="p.yaml",
        result="passed",
        nbci="0",
        started_utc="2026-11-20T10:00:00.000Z",
        seconds=2.0,
        params=tuple(
            ParameterValue(name=name, value=value, source="-p") for name, value in params.items()
        ),
        steps=tuple(steps),
    )


def test_parameters_that_differ_are_told_from_those_that_are_alike() -> None:
    many = compare_runs(
        [
            run_of("1", {"C": 1.0, "seed": 7, "layers": [1, 2]}),
            run_of("2", {"C": 10.0, "seed": 7, "layers": [1, 2], "extra": None}),
        ],
        {},
        {},
    )
    assert many.differing == ("C", "extra")
    assert many.alike == {"seed": 7, "layers": [1, 2]}
    assert [point_of(run, many.differing) for run in many.runs] == ["C=1", "C=10, extra=null"]


def test_the_best_come_first_by_the_declared_direction() -> None:
    records = [
        run_of("1", {}, auc=0.8, loss=0.5),
        run_of("2", {}, auc=math.nan, loss=0.2),
        run_of("3", {}, auc=0.9, loss=0.2),
        run_of("4", {}, auc=None, loss=0.4),
    ]
    many = compare_runs(records, DECLARED, {})
    assert [run.run for run in many.runs] == ["3", "1", "2", "4"]
    assert [(metric.title, metric.best) for metric in many.metrics] == [
        ("auc", ("3",)),
        ("loss", ("2", "3")),
    ]
    down = {"p": {"auc": DeclaredMetric(direction="down")}}
    assert [run.run for run in compare_runs(records, down, {}).runs] == ["1", "3", "2", "4"]


def test_without_a_direction_runs_stay_as_they_were_named() -> None:
    many = compare_runs([run_of("2", {}, auc=0.1), run_of("1", {}, auc=0.2)], {}, {})
    assert [run.run for run in many.runs] == ["2", "1"]
    assert many.ranking is None
    assert many.metrics[0].best == ()


def test_pipelines_that_disagree_have_no_best() -> None:
    declared = {**DECLARED, "q": {"auc": DeclaredMetric(direction="down")}}
    records = [run_of("1", {}, auc=0.1), run_of("2", {}, "q", auc=0.2)]
    assert compare_runs(records, declared, {}).metrics[0].direction is None


def test_where_all_are_equal_none_is_marked() -> None:
    many = compare_runs([run_of("1", {}, auc=0.5), run_of("2", {}, auc=0.5)], DECLARED, {})
    assert many.metrics[0].best == ()


def test_a_metric_of_several_steps_has_its_full_name() -> None:
    many = compare_runs([run_of("1", {}, a__auc=1.0, b__auc=2.0, n=1.0)], DECLARED, {})
    assert [metric.title for metric in many.metrics] == ["a:auc", "b:auc", "n"]


def test_long_values_are_cut() -> None:
    assert value_text("x" * 30) == "x" * 24 + "…"
    assert [value_text(value) for value in (True, 3, 0.10000000001, "a\nb")] == [
        *("true", "3", "0.1", "a b"),
    ]


def test_what_is_left_out_for_one_reason_is_said_once() -> None:
    left_out = {**{f"R{at}": "it is gone" for at in range(5)}, "S": "it is damaged"}
    assert left_out_lines(left_out) == [
        "R0, R1, R2 and 2 more are left out: it is gone",
        "S is left out: it is damaged",
    ]
