"""`nbci show` and `nbci runs`, as text and as JSON."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from nbci.cli.runs_text import render_runs, short_metrics
from nbci.cli.show_text import render_show, show_document
from nbci.records.git_state import GitState
from nbci.records.run_record import (
    Attempt,
    Failure,
    FileRef,
    Metric,
    ParameterValue,
    RunRecord,
    StepRecord,
    Usage,
)
from nbci.runs.index import RunRow

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "show.schema.json").read_text())

FAILURE = Failure(
    kind="exception",
    message="ValueError: bad",
    cell=7,
    first_line="fit()",
    line=2,
    error="ValueError",
    hint="do better",
)
ATTEMPT = Attempt(
    number=1, result="failed", started_utc="2026-11-20T10:00:00Z", seconds=2.0, failure=FAILURE
)
RECORD = RunRecord(
    run="20261120-100000-ab12",
    pipeline="digits",
    target="notebooks/digits.ipynb",
    result="failed",
    nbci="0.1.0",
    command=("nbci", "run", "notebooks/digits.ipynb"),
    started_utc="2026-11-20T10:00:00.123Z",
    seconds=12.34,
    host="box",
    user="ann",
    git=GitState(commit="0123abcd", branch="main", dirty=True),
    params=(
        ParameterValue(name="C", value=10, source="-p"),
        ParameterValue(name="名", value="x", source="notebook"),
    ),
    steps=(
        StepRecord(
            name="load",
            result="reused",
            run="20261119-1",
            seconds=0.1,
            metrics=(Metric(name="rows", value=1797, source=""),),
        ),
        StepRecord(
            name="train",
            result="passed",
            seconds=9.5,
            attempts=(replace(ATTEMPT, result="passed", failure=None),),
            metrics=(
                Metric(name="accuracy", value=0.97361111, source=""),
                Metric(name="loss", value=math.nan, source=""),
            ),
            outs=(FileRef(path="m.onnx", digest="00", bytes=3),),
            usage=Usage(cpu_seconds=1.0),
            warnings=("a thread died",),
        ),
        StepRecord(name="roc", result="failed", seconds=2.0, attempts=(ATTEMPT,)),
        StepRecord(name="publish", result="skipped", reason="roc failed"),
    ),
    warnings=("no GPU is there",),
)


def test_a_run_as_text() -> None:
    assert (
        render_show(RECORD)
        == """\
run       20261120-100000-ab12
pipeline  digits
target    notebooks/digits.ipynb
result    failed
started   2026-11-20 10:00:00 UTC, took 12.3 s
on        ann, box
commit    0123abcd on main, with uncommitted changes
command   nbci run notebooks/digits.ipynb
nbci      0.1.0

step     result     took  attempts
load     reused   0.10 s            from run 20261119-1
train    passed    9.5 s         1
roc      failed    2.0 s         1  cell 7, line 2: ValueError: bad
publish  skipped                    roc failed

parameter  value  from
C          10     -p
名         'x'    notebook

metric             value
load:rows           1797
train:accuracy  0.973611
train:loss           NaN

warning: no GPU is there
warning: train: a thread died

FAILED roc
  cell 7  fit()
  line 2
  error   ValueError: bad
  hint    do better
"""
    )


def test_a_bare_record_is_short() -> None:
    bare = RunRecord(run="R1", pipeline="p", target="t", result="passed", nbci="0")
    assert (
        render_show(bare)
        == "run       R1\npipeline  p\ntarget    t\nresult    passed\nnbci      0\n"
    )


def test_the_document_says_all_and_fits_its_schema() -> None:
    document = json.loads(json.dumps(show_document(RECORD)))
    Draft202012Validator(SCHEMA).validate(document)
    assert [(step["name"], step["result"], step["attempts"]) for step in document["steps"]] == [
        ("load", "reused", 0),
        ("train", "passed", 1),
        ("roc", "failed", 1),
        ("publish", "skipped", 0),
    ]
    assert document["steps"][2]["failure"]["error"] == "ValueError"
    assert "failure" not in document["steps"][1]
    assert document["params"]["C"] == {"value": 10, "source": "-p"}
    assert document["metrics"]["train:accuracy"] == 0.97361111
    assert math.isnan(document["metrics"]["train:loss"])
    assert document["paths"]["page"] == ".nbci/runs/20261120-100000-ab12/report/index.html"
    assert document["git"] == {"commit": "0123abcd", "branch": "main", "dirty": True}


def test_a_bare_document_fits_its_schema_too() -> None:
    bare = RunRecord(run="R1", pipeline="p", target="t", result="interrupted", nbci="0")
    Draft202012Validator(SCHEMA).validate(show_document(bare))


def test_the_schema_refuses_what_it_does_not_know() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    document = show_document(RECORD)
    assert not Draft202012Validator(SCHEMA).is_valid(document | {"result": "green"})
    assert not Draft202012Validator(SCHEMA).is_valid(document | {"metrics": {"short": 1.0}})


@pytest.mark.parametrize("attempts", [(), (replace(ATTEMPT, failure=None),)])
def test_nothing_runs_in_a_run_that_was_killed(attempts: Any) -> None:
    running = StepRecord(name="train", result="running", attempts=attempts)
    killed = RunRecord(
        run="R1", pipeline="p", target="t", result="interrupted", nbci="0", steps=(running,)
    )
    document = show_document(killed)
    Draft202012Validator(SCHEMA).validate(document)
    assert document["steps"][0]["result"] == "interrupted"
    assert document["steps"][0]["failure"]["kind"] == "interrupted"
    assert document["steps"][0]["attempts"] == len(attempts)
    assert "INTERRUPTED train" in render_show(killed)


def test_a_step_runs_in_a_run_that_runs() -> None:
    running = StepRecord(name="train", result="running")
    document = show_document(
        RunRecord(run="R1", pipeline="p", target="t", result="running", nbci="0", steps=(running,))
    )
    Draft202012Validator(SCHEMA).validate(document)
    assert document["steps"][0]["result"] == "running"


def test_runs_stand_in_straight_columns() -> None:
    rows = [
        RunRow(
            run="R2",
            pipeline="数字",
            result="passed",
            started_utc="2026-11-20T10:00:00Z",
            seconds=125.0,
            metrics={
                "svm:f1": 0.5,
                "forest:f1": 0.25,
                "svm:n": 3,
                "svm:loss": math.inf,
                "svm:more": 1.0,
            },
        ),
        RunRow(run="R1", pipeline="digits", result="interrupted", metrics={}),
    ]
    assert render_runs(rows) == (
        "run  pipeline  result       started (UTC)              took  metrics\n"
        "R2   数字      passed       2026-11-20 10:00:00  2 min 05 s  "
        "svm:f1 0.5, forest:f1 0.25, n 3, loss infinity, and 1 more\n"
        "R1   digits    interrupted\n"
    )


def row_of(run: str, **params: float | str) -> RunRow:
    metrics = {"f:auc": 1.0}
    return RunRow(run=run, pipeline="p", result="passed", metrics=metrics, params={**params})


def test_what_differs_between_runs_has_columns() -> None:
    rows = [row_of("R2", C=1.0, kernel="rbf", seed=7), row_of("R1", C=10.0, kernel="poly", seed=7)]
    assert render_runs([replace(rows[0], best_of={"*:auc": "f:auc"}), rows[1]]) == (
        "run  pipeline  result  started (UTC)  took  *:auc  C   kernel  metrics\n"
        "R2   p         passed                       1 f    1   rbf     auc 1\n"
        "R1   p         passed                              10  poly    auc 1\n"
    )


def test_parameters_that_do_not_fit_are_named() -> None:
    rows = [row_of(f"R{at}", **dict.fromkeys("abcdefgh", at)) for at in (1, 2)]
    assert render_runs(rows).splitlines()[0].endswith("a  b  c  d  e  f  g  h  metrics")
    narrow = render_runs(rows, 67).splitlines()
    assert narrow[0].endswith("took  a  b  c  d  e  metrics")
    assert narrow[-1] == "not shown of the parameters that differ: f, g, h; --json has all"
    assert "a  b  c  d  metrics" in render_runs(rows, 20)


def test_no_runs_say_how_to_start_one() -> None:
    assert render_runs([]) == "no runs yet; start one with: nbci run TARGET\n"


def test_short_names_only_where_one_step_has_them() -> None:
    assert short_metrics({"a:f1": 1.0, "b:f1": 2.0, "a:n": 3.0, "a:x:y": 4.0}) == {
        "n": "a:n",
        "x:y": "a:x:y",
    }


@given(st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), st.floats()))
def test_each_metric_has_at_most_one_short_name_and_it_is_the_right_one(
    values: dict[tuple[str, str], float],
) -> None:
    metrics = {f"{step}:{name}": value for (step, name), value in values.items()}
    for short, full in short_metrics(metrics).items():
        assert [other for other in metrics if other.endswith(f":{short}")] == [full]


def test_a_step_that_has_not_begun_waits_while_the_run_goes_on() -> None:
    steps = (StepRecord(name="fit", result="running"), StepRecord(name="save", result="skipped"))
    going_on = replace(RECORD, result="running", steps=steps)
    assert [
        line.split() for line in render_show(going_on).splitlines() if line[:4] in ("fit ", "save")
    ] == [
        ["fit", "running"],
        ["save", "waiting"],
    ]
