from __future__ import annotations

from nbci.pipeline.model import Step
from nbci.plan.model import PlannedStep
from nbci.plan.planned_step import COPIED_SETTINGS

_WORKED_OUT = {"after", "cells", "cwd", "env", "params"}
"""Fields of both that the plan has with values of its own."""

_LEFT_BEHIND = {"annotations", "composition", "folder", "labels", "matrix", "when"}
"""Fields of a pipeline's step that planning turns into others, or that no run needs."""


def test_no_setting_of_a_step_is_lost_in_its_plan() -> None:
    assert set(Step.__struct_fields__) - set(COPIED_SETTINGS) == _LEFT_BEHIND


def test_a_setting_has_one_type_and_one_default_in_step_and_plan() -> None:
    step = Step(name="a", notebook="n.ipynb", cells=())
    plan = PlannedStep(name="a", notebook="n.ipynb", cells=(), kernel="python3", language="python")
    for name in set(COPIED_SETTINGS) - _WORKED_OUT:
        assert Step.__annotations__[name] == PlannedStep.__annotations__[name], name
        assert getattr(step, name) == getattr(plan, name), name
