from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nbci.errors import UsageError
from nbci.plan.model import Plan, PlannedStep
from nbci.plan.select import Selection, named_steps, select
from tests.plan.plans import planned
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.plan.model import Action


def _step(name: str, *after: str, action: Action = "run", node: str = "") -> PlannedStep:
    return PlannedStep(
        name=name,
        notebook="n.ipynb",
        kernel="python3",
        language="python",
        cells=(),
        after=after,
        action=action,
        node=node,
    )


#  load → fit ─┬→ matrix
#              └→ roc ──→ page     other
_PLAN = Plan(
    pipeline="p",
    target="n.ipynb",
    steps=(
        _step("load"),
        _step("fit", "load"),
        _step("matrix", "fit"),
        _step("roc", "fit"),
        _step("page", "roc"),
        _step("other"),
    ),
)


def _actions(**asked: tuple[str, ...]) -> dict[str, Action]:
    return {step.name: step.action for step in select(_PLAN, Selection(**asked)).steps}


def _with(run: str, reuse: str = "") -> dict[str, str]:
    names = [step.name for step in _PLAN.steps]
    return {
        name: "run" if name in run.split() else "reuse" if name in reuse.split() else "skip"
        for name in names
    }


def test_nothing_asked_for_changes_nothing() -> None:
    assert select(_PLAN, Selection()) is _PLAN


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"until": ("fit",)}, _with("load fit")),
        ({"until": ("matrix", "other")}, _with("load fit matrix other")),
        ({"first": ("roc",)}, _with("roc page", "load fit")),
        ({"first": ("fit",), "until": ("roc",)}, _with("fit roc", "load")),
        ({"only": ("page",)}, _with("page", "load fit roc")),
        ({"only": ("load",)}, _with("load")),
        ({"only": ("load", "page")}, _with("load page", "fit roc")),
        ({"first": ("load", "other")}, _with("load fit matrix roc page other")),
    ],
)
def test_what_runs_what_is_taken_over_and_what_is_left_out(
    asked: dict[str, tuple[str, ...]], expected: dict[str, Action]
) -> None:
    assert _actions(**asked) == expected


def test_nothing_between() -> None:
    with pytest.raises(UsageError, match="no step lies between"):
        _actions(first=("page",), until=("load",))


@pytest.mark.parametrize(
    ("name", "hint"), [("rock", "'roc'"), ("zzzz", "load, fit, matrix, roc, page, other")]
)
def test_an_unknown_step_names_the_nearest_or_all(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        _actions(only=(name,))
    assert f"no step {name!r}" in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_node_stands_for_its_steps() -> None:
    plan = Plan(
        pipeline="p",
        target="p.yaml",
        steps=(_step("a/x", node="a"), _step("a/y", "a/x", node="a"), _step("b", "a/y")),
    )
    chosen = select(plan, Selection(only=("a",)))
    assert [step.action for step in chosen.steps] == ["run", "run", "skip"]


def test_a_step_that_its_condition_rules_out_stays_out() -> None:
    plan = Plan(pipeline="p", target="p.yaml", steps=(_step("a", action="skip"), _step("b", "a")))
    assert [step.action for step in select(plan, Selection(only=("a", "b"))).steps] == [
        "skip",
        "run",
    ]


def test_steps_are_named_by_node_or_step_in_the_order_asked_for() -> None:
    steps = (_step("load"), _step("train/svm", node="train"), _step("train/tree", node="train"))
    plan = Plan(pipeline="p", target="p.yaml", steps=steps)
    assert named_steps(plan, ("train", "load")) == ["train/svm", "train/tree", "load"]
    with pytest.raises(UsageError, match="there is no step 'trian'"):
        named_steps(plan, ("trian",))


def _action_reasons(plan: Plan) -> Mapping[str, tuple[str, str]]:
    return {step.name: (step.action, step.reason) for step in plan.steps}


def _pipeline(folder: Path, steps: str, notebooks: Mapping[str, list[Any]]) -> Plan:
    for name, cells in notebooks.items():
        write_notebook(folder / f"{name}.ipynb", cells)
    (folder / "p.yaml").write_text(f"pipeline: p\nparams: {{go: false}}\nsteps:\n{steps}")
    return planned(folder / "p.yaml")


def test_what_needs_a_skipped_step_is_skipped_and_what_only_waits_runs(tmp_path: Path) -> None:
    plan = _pipeline(
        tmp_path,
        "  make: {notebook: make.ipynb, outs: [made], when: go}\n"
        "  reads: {notebook: plain.ipynb, deps: [made/rows.csv], outs: [read.txt]}\n"
        "  reads_more: {notebook: plain.ipynb, deps: [read.txt]}\n"
        "  waits: {notebook: plain.ipynb, after: [make, reads]}\n",
        {"make": ["x = 1"], "plain": ["y = 1"]},
    )
    actions = _action_reasons(plan)
    assert actions["make"] == ("skip", "its condition `go` does not hold")
    assert actions["reads"][0] == "skip"
    assert "step make, which is skipped" in actions["reads"][1]
    assert actions["reads_more"][0] == "skip"
    assert actions["waits"] == ("run", "")


def test_a_folder_of_which_a_skipped_step_makes_a_part_is_needed_too(tmp_path: Path) -> None:
    plan = _pipeline(
        tmp_path,
        (
            "  make: {notebook: plain.ipynb, outs: [data/made.csv], when: go}\n"
            "  reads: {notebook: plain.ipynb, deps: [data]}\n"
        ),
        {"plain": ["y = 1"]},
    )
    assert _action_reasons(plan)["reads"][0] == "skip"


def test_an_expanded_node_is_skipped_whole(tmp_path: Path) -> None:
    plan = _pipeline(
        tmp_path,
        "  make: {notebook: chain.ipynb, when: go}\n"
        "  waits: {notebook: plain.ipynb, after: [make]}\n",
        {"chain": [("step:a", "x = 1"), ("step:b", "x")], "plain": ["y = 1"]},
    )
    assert [action for action, _ in _action_reasons(plan).values()] == ["skip", "skip", "run"]
