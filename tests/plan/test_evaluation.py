"""The steps that gates judge by."""

from __future__ import annotations

import pytest

from nbci.errors import Location, UsageError
from nbci.pipeline.rules import Gate
from nbci.plan.evaluation import remeasured_steps, with_predicting_steps
from nbci.plan.model import Plan, PlannedStep

_PLACES = (Location("p.yaml", line=4, column=5),)


def _step(name: str, predictions: str | None = None, node: str = "") -> PlannedStep:
    return PlannedStep(
        name=name,
        node=node,
        notebook="n.ipynb",
        kernel="python3",
        language="python",
        cells=(),
        predictions=predictions,
    )


def _judged(step: str | None, *steps: PlannedStep) -> str | None:
    gate = Gate(name="flips", flips=True, at_most=1.0, step=step)
    (found,) = with_predicting_steps([gate], _PLACES, steps)
    return found.step


def test_the_only_step_that_predicts_is_meant() -> None:
    assert _judged(None, _step("train"), _step("test", "a.csv")) == "test"
    # Also where the steps have the name of their notebook before them.
    steps = (_step("n/train", node="n"), _step("n/test", "a.csv", node="n"))
    assert _judged("n", *steps) == "n/test"
    assert _judged("n/test", *steps) == "n/test"


def test_the_step_of_the_metric_is_meant_where_it_predicts() -> None:
    steps = (_step("a", "a.csv"), _step("b", "b.csv"))
    gate = Gate(name="it", metric="b:accuracy", better="up", significant=0.05)
    (found,) = with_predicting_steps([gate], _PLACES, steps)
    assert found.step == "b"


def test_other_gates_stay_as_they_are() -> None:
    gate = Gate(name="rows", metric="rows", at_least=1.0)
    assert with_predicting_steps([gate], _PLACES, [_step("train")]) == (gate,)


@pytest.mark.parametrize(
    ("step", "steps", "message", "hint"),
    [
        (None, [_step("train")], "judges predictions, and no step declares any", "`predictions:"),
        (
            None,
            [_step("a", "a.csv"), _step("b", "b.csv")],
            "judges predictions, which several steps declare",
            "add `step:` with one of a, b",
        ),
        (
            "n",
            [_step("n/a", "a.csv", node="n"), _step("n/b", "b.csv", node="n")],
            "which several steps declare",
            "one of n/a, n/b",
        ),
        (
            "train",
            [_step("train"), _step("test", "a.csv")],
            "judges predictions of step 'train', which declares none",
            "steps that declare predictions: test",
        ),
        (
            "tets",
            [_step("test", "a.csv")],
            "predictions of tets, but there is no such step",
            "'test'",
        ),
        (
            "x",
            [_step("test", "a.csv")],
            "predictions of x, but there is no such step",
            "the steps are test",
        ),
    ],
)
def test_what_is_not_clear_is_an_error_at_its_place(
    step: str | None, steps: list[PlannedStep], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        _judged(step, *steps)
    assert str(caught.value).startswith("p.yaml, line 4, column 5: gate 1 judges")
    assert message in str(caught.value)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("gate", "again"),
    [
        (Gate(name="f", flips=True, baseline="champion", step="test"), ["test"]),
        (Gate(name="f", flips=True, baseline="champion", step="train"), []),
        (Gate(name="f", flips=True, baseline="champion", step="test", remeasure="no"), []),
        (Gate(name="e", expr="accuracy > 0.5"), []),
    ],
)
def test_what_gates_judge_by_predictions_is_measured_again(gate: Gate, again: list[str]) -> None:
    plan = Plan(
        pipeline="p",
        target="p.yaml",
        steps=(_step("train", "b.csv"), _step("test", "a.csv")),
        gates=(gate,),
        models={"m": {"path": "m.bin", "evaluate": "test"}},
    )

    assert [step.name for step in remeasured_steps(plan)] == again
