"""Steps without a notebook: what they become in the pipeline, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from nbci.params import assigned_on_command_line, bind
from nbci.pipeline.compose import compose
from nbci.pipeline.document import notebook_paths, read_document
from nbci.plan.build import build_plan

if TYPE_CHECKING:
    from nbci.pipeline.model import Pipeline

WATCH = """\
params: {day: monday}
steps:
  watch:
    monitor:
      model: wine
      data: build/${day}.csv
      rules:
        - {drift: {columns: [alcohol], at_most: 0.2}}
        - {schema: warn, except: [comment]}
    retries: 2
    agent: linux
    env: {TZ: UTC}
    secrets: [TOKEN]
    timeout: 5m
"""


def composed(text: str) -> Pipeline:
    return compose(read_document(text, "pipelines/watch.yaml"), {})


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        composed(text)
    return str(caught.value)


def test_it_is_a_step_of_the_notebook_that_nbci_brings() -> None:
    pipeline = composed(WATCH)
    (step,) = pipeline.steps
    assert step.name == "watch"
    assert step.notebook == ".nbci/steps/monitor.ipynb"
    assert {"build/watch/monitor.json", "build/watch/index.html"} <= set(step.outs)
    assert step.metrics == ("build/watch/metrics.json",)
    assert step.working_folder == "."
    assert step.cache is False
    kept = (step.retries, step.agent, step.env, step.secrets, step.timeout_seconds)
    assert kept == (2, "linux", {"TZ": "UTC"}, ("TOKEN",), 300.0)


def test_the_file_names_no_notebook_that_would_have_to_be_there() -> None:
    assert notebook_paths(read_document(WATCH, "pipelines/watch.yaml")) == ()


def test_parameters_go_into_its_settings_and_files() -> None:
    pipeline = composed(WATCH)
    bound = bind(pipeline.params, [assigned_on_command_line(["day=friday"])])
    (step,) = build_plan(pipeline, bound, sources={}).steps
    assert step.params is not None
    assert step.params["settings"]["data"] == "build/friday.csv"
    assert step.deps == ("build/friday.csv",)


def test_its_rules_are_gates_of_the_run() -> None:
    gates = composed(WATCH).gates
    words = [(gate.name, gate.subject, gate.asked, gate.severity) for gate in gates]
    assert words == [
        (
            "watch: psi of alcohol at most 0.2",
            "watch: psi of alcohol",
            "at most 0.2",
            "fail",
        ),
        (
            "watch: schema as the release's, but for comment",
            "watch: schema",
            "as the release's, but for comment",
            "warn",
        ),
    ]


def test_each_combination_of_a_matrix_has_a_folder_and_rules_of_its_own() -> None:
    pipeline = composed(
        "steps: {watch: {monitor: {model: '${matrix.m}', log: logs}, matrix: {m: [a, b]}}}"
    )
    outs = [step.outs[0] for step in pipeline.steps]
    assert outs == ["build/watch/a/monitor.json", "build/watch/b/monitor.json"]
    steps = [gate.step for gate in pipeline.gates]
    assert steps == ["watch/a", "watch/a", "watch/b", "watch/b"]


def test_a_file_outside_of_the_project_is_no_dependency() -> None:
    (step,) = composed("steps: {w: {monitor: {model: m, data: /data/today.csv}}}").steps
    assert step.deps == ()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{after: [x]}", "'notebook' is missing in step w"),
        ("{monitor: {log: l}}", "'model' is missing in step w"),
        ("{monitor: {model: m}, notebook: a.ipynb}", "`notebook` does not go with `monitor`"),
        ("{monitor: {model: m}, params: {a: 1}}", "`params` does not go with `monitor`"),
        ("{monitor: {model: m, rules: [{name: a}]}}", "does not say what it is about, in rule 1"),
        ("{monitor: {model: m, rules: [{drift: {share: 130%}}]}}", "no share of the columns"),
        ("{monitor: {model: m, rules: [{drift: {columns: a}}]}}", "neither `all` nor a list"),
        ("{monitor: {model: m, rules: [{drift: {}, metric: rows}]}}", "does not go with `drift`"),
        ("{monitor: {model: m, rules: [{schema: fail}, {schema: fail}]}}", "already, in rule 2"),
        ("{monitor: {model: m, rules: [{metric: rows}]}}", "asks nothing of rows, in rule 1"),
        (
            "{monitor: {model: m, rules: [{metric: accuracy, baseline: 'run:1', max_drop: 1}]}}",
            "compares with the release that it looks after",
        ),
        ("{monitor: {model: m, rules: [{metric: spam, baseline: champion, max_drop: 1}]}}", "spam"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(step: str, message: str) -> None:
    text = refused(f"steps:\n  w: {step}\n")
    assert message in text
    assert "pipelines/watch.yaml, line 2" in text
