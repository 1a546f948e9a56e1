"""Metrics cells, through the plan: which step their lines end, and which numbers they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plan.plans import plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.plan.model import Plan


def _probes(plan: Plan) -> dict[str, dict[str, str]]:
    return {
        step.name: {probe.name: probe.expression for probe in step.probes}
        for step in plan.steps
        if step.probes
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("print(acc)", {"acc": "acc"}),
        ("print('accuracy:', acc)", {"accuracy": "acc"}),
        ("print('test accuracy =', acc)", {"test_accuracy": "acc"}),
        ('print(f"accuracy: {acc}")', {"accuracy": "acc"}),
        ('print(f"accuracy: {acc:.3f} of 1")', {"accuracy": "acc"}),
        ('print(f"{acc}")', {"acc": "acc"}),
        ("print(round(acc, 3))", {"acc": "acc"}),
        ("print(int(acc))", {"acc": "int(acc)"}),
        ("print('seconds:', round(float(acc), 1))", {"seconds": "float(acc)"}),
        ("print(int(acc, 16))", {}),
        ("print(int(pop(acc)))", {}),
        ("print(report.accuracy)", {"report.accuracy": "report.accuracy"}),
        ("print('f1:', scores['f1'])", {"f1": "scores['f1']"}),
        ("accuracy = acc", {"accuracy": "accuracy"}),
        ("a = b = acc", {"a": "a", "b": "b"}),
        ("better: float = acc + 1", {"better": "better"}),
        ("acc", {"acc": "acc"}),
        ("print(acc, acc)", {}),
        ("print(pop(acc))", {}),
        ("print('only words')", {}),
        ("scores['x'] = acc", {}),
        ("# print(acc)", {}),
    ],
)
def test_what_a_line_names(tmp_path: Path, line: str, expected: dict[str, str]) -> None:
    plan = plan_of(
        tmp_path,
        [
            ("functions", "def pop(x):\n    return x"),
            (
                "step:fit",
                "acc = 1.0\nscores = {'f1': acc}\nclass Report: accuracy = 1\nreport = Report()",
            ),
            ("metrics", line),
        ],
    )
    assert _probes(plan).get("fit", {}) == expected


def test_each_line_ends_the_last_step_that_mentions_its_names(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        [
            ("step:load", "rows = [1]"),
            ("step:left prev:load", "left = sum(rows)"),
            ("step:right prev:load", "right = max(rows)"),
            ("metrics", "# how many\nprint(left)\nprint('right:', right)\ncount = len(rows)"),
        ],
    )
    assert _probes(plan) == {
        "left": {"left": "left"},
        "right": {"right": "right", "count": "count"},
    }
    assert plan.step("load").gives == ("rows",)


def test_a_cell_that_one_step_can_see_whole_stays_whole(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        [
            ("step:load", "rows = [1]"),
            ("step:fit prev:load", "total = sum(rows)"),
            ("step:after prev:fit", "pass"),
            ("metrics", "both = total + len(rows)\nprint(both)"),
        ],
    )
    metrics = {
        step.name: [cell.source for cell in step.cells if cell.role == "metrics"]
        for step in plan.steps
    }
    assert metrics == {"load": [], "fit": ["both = total + len(rows)\nprint(both)"], "after": []}


def test_a_metrics_cell_of_parameters_alone_ends_the_last_step(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        [
            ("parameters", "C = 1"),
            ("step:a", "x = C"),
            ("step:b", "y = x"),
            ("metrics", "print(C)"),
        ],
    )
    assert _probes(plan) == {"b": {"C": "C"}}


def test_a_metrics_cell_of_a_notebook_without_steps(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ["acc = 0.5", ("metrics", "print('accuracy:', acc)"), "done = True"])
    assert _probes(plan) == {"n": {"accuracy": "acc"}}
    assert [cell.role for cell in plan.steps[0].cells] == ["step", "metrics", "step"]
