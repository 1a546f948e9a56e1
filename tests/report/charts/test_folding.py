"""Folding many steps into groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.graph import find_cycle, followers_of, reachable
from nbci.report.charts.folding import (
    SHOWN_SINGLY,
    folded_steps,
    group_edges,
    stages,
    without_detours,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NODES = ("load", "train", "score")


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Graphs of up to twelve steps, each after some of those before it."""
    after: dict[str, list[str]] = {}
    for at in range(draw(st.integers(1, 12))):
        earlier: list[str] = []
        if after:
            earlier = draw(st.lists(st.sampled_from(list(after)), max_size=4))
        after[str(at)] = earlier
    return after


def chain(count: int, name: Callable[[int], str] = str) -> dict[str, tuple[str, ...]]:
    after: dict[str, tuple[str, ...]] = {}
    earlier: tuple[str, ...] = ()
    for step in map(name, range(count)):
        after[step] = earlier
        earlier = (step,)
    return after


def hundred_of_each(separator: str) -> list[str]:
    return [f"{node}{separator}{at}" for node in NODES for at in range(100)]


@given(graphs())
def test_without_detours_everything_is_still_reached(after: dict[str, list[str]]) -> None:
    spare = without_detours(after)
    assert all(set(spare[name]) <= set(after[name]) for name in after)
    before, now = followers_of(after), followers_of(spare)
    for name in after:
        assert reachable([name], now) == reachable([name], before)
        for other in now[name]:  # and no line can be spared
            fewer = {**now, name: [follower for follower in now[name] if follower != other]}
            assert other not in reachable([name], fewer)


@given(graphs())
def test_a_stage_comes_after_all_that_its_steps_wait_for(after: dict[str, list[str]]) -> None:
    found = stages(after)
    for name, earlier in after.items():
        assert found[name] == 1 + max((found[other] for other in earlier), default=0)


def test_few_steps_are_not_folded() -> None:
    assert folded_steps(chain(SHOWN_SINGLY), {}) is None


@pytest.mark.parametrize(
    ("after", "nodes", "titles"),
    [
        (
            dict.fromkeys(hundred_of_each("/"), ()),
            {name: name.partition("/")[0] for name in hundred_of_each("/")},
            ["load", "train", "score"],
        ),
        (
            dict.fromkeys(hundred_of_each("-"), ()),
            {},
            ["load-*", "train-*", "score-*"],
        ),
        (
            # parts are loaded and cleaned in turn: by name, the two groups would wait for each
            # other
            chain(300, lambda at: f"{('load', 'clean')[at % 2]}-{at}"),
            {},
            ["stages 1 to 3", "stages 4 to 6"],
        ),
    ],
)
def test_groups_are_named_by_what_their_steps_share(
    after: dict[str, tuple[str, ...]], nodes: dict[str, str], titles: list[str]
) -> None:
    groups = folded_steps(after, nodes)
    assert groups is not None
    assert list(groups)[: len(titles)] == titles
    assert [name for members in groups.values() for name in members] == list(after)
    assert find_cycle(group_edges(after, groups)) is None


@given(st.integers(0, 2**32), st.integers(SHOWN_SINGLY + 1, 600))
def test_any_graph_folds_into_few_groups_that_do_not_wait_for_each_other(
    seed: int, count: int
) -> None:
    names = [f"{'abc'[(seed >> at % 32) % 3]}/{at}" for at in range(count)]
    linked: dict[str, tuple[str, ...]] = {names[0]: ()}
    for at in range(1, count):
        earlier = {names[(seed * (at + 1) + step) % at] for step in range(2)}
        linked[names[at]] = tuple(earlier)

    groups = folded_steps(linked, {})
    assert groups is not None
    assert 1 <= len(groups) <= 120
    assert sorted(name for members in groups.values() for name in members) == sorted(names)
    assert find_cycle(group_edges(linked, groups)) is None
