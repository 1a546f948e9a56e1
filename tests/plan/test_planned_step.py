from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.pipeline.model import Step
from nbci.plan.model import PlannedStep
from nbci.plan.planned_step import COPIED_SETTINGS
from tests.plan.plans import plan_of, planned
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

_WORKED_OUT = {"after", "cells", "cwd", "env", "params"}
"""Fields of both that the plan has with values of its own."""

_LEFT_BEHIND = {"annotations", "composition", "folder", "labels", "when"}
"""Fields of a pipeline's step that planning turns into others, or that no run needs."""


def test_no_setting_of_a_step_is_lost_in_its_plan() -> None:
    assert set(Step.__struct_fields__) - set(COPIED_SETTINGS) == _LEFT_BEHIND


def test_a_setting_has_one_type_and_one_default_in_step_and_plan() -> None:
    step = Step(name="a", notebook="n.ipynb", cells=())
    plan = PlannedStep(name="a", notebook="n.ipynb", cells=(), kernel="python3", language="python")
    for name in set(COPIED_SETTINGS) - _WORKED_OUT:
        assert Step.__annotations__[name] == PlannedStep.__annotations__[name], name
        assert getattr(step, name) == getattr(plan, name), name


def test_an_aliased_default_is_no_override(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [("parameters", "C = 1.0\nn = 1"), "print(C, n)"], "C=1.0", "n=2")
    assert plan.steps[0].overrides == ("n",)
    assert plan.steps[0].params == {"C": 1.0, "n": 2}


@pytest.mark.parametrize("value", ['{"b": 2, "a": 1}', '{"a": true, "b": 2}'])
def test_a_default_in_another_order_or_of_another_type_is_an_override(
    tmp_path: Path, value: str
) -> None:
    plan = plan_of(tmp_path, [("parameters", "C = {'a': 1, 'b': 2}"), "print(C)"], f"C={value}")
    assert plan.steps[0].overrides == ("C",)


def test_a_parameter_that_waits_for_a_metric_keeps_its_type(tmp_path: Path) -> None:
    write_notebook(
        tmp_path / "n.ipynb", [("parameters", "epochs = 3\nany = None"), "x = epochs, any"]
    )
    handed = 'params: {epochs: "${a:m}", any: "${a:m}"}'
    (tmp_path / "p.yaml").write_text(
        f"pipeline: p\nsteps:\n  a: {{notebook: n.ipynb}}\n"
        f"  b: {{notebook: n.ipynb, after: [a], {handed}}}\n"
    )
    plan = planned(tmp_path / "p.yaml")
    assert plan.step("b").param_types == {"epochs": "int"}
    assert plan.step("a").param_types is None
