"""Steps become stages: chains in one place, with what each waits for and needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nbci.graph import reachable
from nbci.plan.model import Plan, PlannedStep, Take
from nbci.plan.stages import stages

if TYPE_CHECKING:
    from collections.abc import Sequence


def step(name: str, *after: str, **more: Any) -> PlannedStep:
    known: dict[str, Any] = {
        "notebook": "n.ipynb",
        "kernel": "python3",
        "language": "python",
        "cells": (),
    }
    return PlannedStep(name=name, after=after, **known, **more)


def plan(*steps: PlannedStep) -> Plan:
    return Plan(pipeline="p", target="p.yaml", steps=steps)


def shape(steps: Sequence[PlannedStep]) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (" ".join(step.name for step in stage.steps), stage.after) for stage in stages(plan(*steps))
    ]


def test_a_chain_in_one_place_is_one_stage() -> None:
    assert shape([step("a"), step("b", "a"), step("c", "b")]) == [("a b c", ())]


def test_a_chain_ends_where_the_graph_forks_and_joins() -> None:
    steps = [
        step("a"),
        step("b", "a"),
        step("c", "b"),
        step("d", "b"),
        step("e", "c", "d"),
        step("f", "e"),
    ]
    assert shape(steps) == [("a b", ()), ("c", (1,)), ("d", (1,)), ("e f", (2, 3))]


def test_a_chain_ends_where_the_place_changes() -> None:
    kinds: list[dict[str, Any]] = [
        {"agent": "gpu"}, {"gpu": True}, {"container": "i:1"}, {"secrets": ("TOKEN",)},
    ]  # fmt: skip
    for kind in kinds:
        assert shape([step("a"), step("b", "a", **kind), step("c", "b", **kind)]) == [
            ("a", ()),
            ("b c", (1,)),
        ]


def test_skipped_steps_are_in_no_stage_and_pass_on_what_they_waited_for() -> None:
    steps = [
        step("a"),
        step("b", "a", action="skip"),
        step("c", "b", agent="x"),
        step("d", "b", action="skip"),
    ]
    assert shape(steps) == [("a", ()), ("c", (1,))]


def test_a_stage_needs_what_its_steps_take_from_wherever_it_comes() -> None:
    take = Take(name="x", givers=("a",))
    steps = [
        step("a", outs=("data",), agent="1"),
        step("b", "a", takes=(take,), agent="2"),
        step("c", "b", agent="3"),
        step("d", "c", agent="4", takes=(take,)),
        step("e", "d", agent="5", deps=("data/part",)),
        step("f", "e", agent="6", params={"n": "${b:accuracy}"}),
    ]
    assert [stage.needs for stage in stages(plan(*steps))] == [
        (),
        (1,),
        (2,),
        (1, 2, 3),
        (1, 4),
        (2, 5),
    ]


def test_a_stage_ends_at_the_latest_when_all_retries_have_timed_out() -> None:
    timed = step("a", timeout_seconds=10, retries=2)
    assert stages(plan(timed))[0].timeout_seconds == 330
    made = step("a", timeout_seconds=10, environment="r.lock")
    assert (
        stages(plan(made, step("b", "a", timeout_seconds=5, environment="r.lock")))[
            0
        ].timeout_seconds
        == 2115
    )
    assert stages(plan(timed, step("b", "a")))[0].timeout_seconds is None


def test_long_chains_are_named_by_their_ends() -> None:
    names = [f"step-number-{at}" for at in range(9)]
    steps = [step(name, *names[at - 1 : at] if at else ()) for at, name in enumerate(names)]
    (only,) = stages(plan(*steps))
    assert only.name == "step-number-0 .. step-number-8 (9 steps)"


@given(
    st.lists(
        st.tuples(st.sets(st.integers(0, 11)), st.sampled_from(["", "gpu"]), st.booleans()),
        max_size=12,
    )
)
def test_every_step_runs_once_and_after_all_that_it_comes_after(
    drawn: list[tuple[set[int], str, bool]],
) -> None:
    steps = [
        step(f"s{at}", *(f"s{one}" for one in sorted(before) if one < at), agent=agent or None)
        for at, (before, agent, _) in enumerate(drawn)
    ]
    steps = [
        replace(one, action="skip") if skip else one
        for one, (_, _, skip) in zip(steps, drawn, strict=True)
    ]
    found = stages(plan(*steps))
    stage_of = {one.name: stage.number for stage in found for one in stage.steps}
    assert sorted(stage_of) == sorted(one.name for one in steps if one.action != "skip")
    assert sum(len(stage.steps) for stage in found) == len(stage_of)
    waits = {str(stage.number): [str(number) for number in stage.after] for stage in found}
    before = {one.name: one.after for one in steps}
    for one in steps:
        for earlier in reachable([one.name], before) - {one.name}:
            if one.name in stage_of and earlier in stage_of:
                assert str(stage_of[earlier]) in reachable([str(stage_of[one.name])], waits)
    for stage in found:
        assert all(number < stage.number for number in (*stage.after, *stage.needs))
