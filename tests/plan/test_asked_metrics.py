from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from nbci.plan.asked_metrics import with_asked_metrics
from tests.plan.plans import plan_of

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.plan.model import Plan

_CELLS: list[tuple[str, str]] = [
    ("parameters", "x = 1"),
    ("imports", "import math"),
    ("step:a", "loss = x\nrows = [x]"),
    ("step:b", "loss = loss + 1\n%time other = loss"),
    ("step:c", "print(loss)"),
]


def asked_of(plan: Plan) -> dict[str, list[tuple[str, int]]]:
    return {
        step.name: [(probe.expression, probe.cell) for probe in step.asked] for step in plan.steps
    }


@pytest.mark.parametrize(
    ("metric", "step", "cell"),
    [("loss", "b", 4), ("a:loss", "a", 3), ("other", "b", 4), ("rows", "a", 3)],
)
def test_the_last_step_that_makes_the_variable_is_asked(
    tmp_path: Path, metric: str, step: str, cell: int
) -> None:
    plan = plan_of(tmp_path, _CELLS)
    asked = with_asked_metrics(plan, [metric])
    expected: dict[str, list[tuple[str, int]]] = {"a": [], "b": [], "c": []}
    expected[step] = [(metric.rpartition(":")[2], cell)]
    assert asked_of(asked) == expected
    # It changes nothing else, so that what the trial computed stands for other runs.
    assert [each.parts for each in asked.steps] == [each.parts for each in plan.steps]


@pytest.mark.parametrize("metric", ["loss", "b:loss"])
def test_what_is_measured_is_not_asked_for(tmp_path: Path, metric: str) -> None:
    plan = plan_of(tmp_path, [*_CELLS[:-1], ("metrics", "print(loss)")])
    assert with_asked_metrics(plan, [metric]) == plan


def test_what_a_step_glues_may_be_anything(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [*_CELLS, "import scrapbook as sb\nsb.glue('score', 1)"])
    assert with_asked_metrics(plan, ["score", "c:loss"]) == plan


@pytest.mark.parametrize(
    ("metric", "hint"),
    [
        ("los", "print(los) in a cell tagged `metrics`, or name a variable that is a number; "),
        ("a:other", "metrics: b:loss; variables: loss, rows"),
        ("x", "variables: loss, rows, other"),
        ("math", "variables: loss, rows, other"),
        ("none:loss", "print(loss) in a cell"),
    ],
)
def test_what_nothing_can_measure_is_refused(tmp_path: Path, metric: str, hint: str) -> None:
    plan = plan_of(tmp_path, [*_CELLS[:-1], ("metrics", "print(loss)")])
    with pytest.raises(UsageError, match=f"nothing in .* measures {metric}") as raised:
        with_asked_metrics(plan, [metric])
    assert hint in (raised.value.hint or "")
