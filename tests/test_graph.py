from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nbci.graph import (
    Cycle,
    edges_within,
    ends,
    find_cycle,
    followers_of,
    reachable,
    topological,
)
from nbci.pipeline.model import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAMES = [f"n{at}" for at in range(8)]


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    """A graph without a cycle, its nodes in any order."""
    names = draw(st.permutations(_NAMES[: draw(st.integers(0, 8))]))
    after = {
        name: draw(st.lists(st.sampled_from(names[:at]), max_size=4)) if at else []
        for at, name in enumerate(names)
    }
    return {name: after[name] for name in draw(st.permutations(names))}


_ANY_GRAPH = st.integers(1, 7).flatmap(
    lambda size: st.fixed_dictionaries(
        {name: st.lists(st.sampled_from(_NAMES[:size]), max_size=3) for name in _NAMES[:size]}
    )
)


@given(acyclic())
def test_every_node_stands_behind_what_it_comes_after(after: dict[str, list[str]]) -> None:
    order = topological(after)
    assert sorted(order) == sorted(after)
    position = {name: at for at, name in enumerate(order)}
    assert all(
        position[before] < position[name] for name, befores in after.items() for before in befores
    )


@given(acyclic())
def test_where_there_is_a_choice_the_mappings_order_holds(after: dict[str, list[str]]) -> None:
    order = topological(after)
    given_at = {name: at for at, name in enumerate(after)}
    for at, name in enumerate(order):
        done = set(order[:at])
        could = [other for other in after if other not in done and done >= set(after[other])]
        assert name == min(could, key=given_at.__getitem__)


@given(st.integers(0, 30))
def test_without_edges_nothing_moves(size: int) -> None:
    names = tuple(f"n{at}" for at in range(size))
    assert topological(dict.fromkeys(names, ())) == names


@given(_ANY_GRAPH)
def test_a_cycle_is_one_that_really_exists(after: dict[str, list[str]]) -> None:
    if any(name in _behind(name, after) for name in after):
        with pytest.raises(Cycle) as caught:
            topological(after)
        _goes_round(caught.value.path, after)
        assert str(caught.value) == " → ".join(caught.value.path)
    else:
        assert sorted(topological(after)) == sorted(after)


def _goes_round(path: Sequence[str], after: Mapping[str, Sequence[str]]) -> None:
    assert path[0] == path[-1]
    assert len(set(path)) == len(path) - 1
    assert all(earlier in after[later] for earlier, later in itertools.pairwise(path))


def _behind(name: str, after: Mapping[str, Sequence[str]]) -> set[str]:
    return reachable(after[name], after)


def test_a_step_after_itself_is_a_cycle() -> None:
    with pytest.raises(Cycle) as caught:
        topological({"a": ["a"]})
    assert caught.value.path == ("a", "a")


def test_followers_are_named_once_and_in_order() -> None:
    assert followers_of({"c": ["a", "a"], "a": [], "b": ["a", "c"]}) == {
        "c": ["b"],
        "a": ["c", "b"],
        "b": [],
    }


def test_ten_thousand_steps_in_a_row() -> None:
    after = {f"s{at}": [f"s{at - 1}"] if at else [] for at in range(10_000)}
    assert topological(dict(reversed(after.items()))) == tuple(after)


@given(st.dictionaries(st.sampled_from(_NAMES), st.lists(st.sampled_from(_NAMES), max_size=3)))
def test_a_cycle_is_found_exactly_when_there_is_one(after: dict[str, list[str]]) -> None:
    """Nodes that only others name come before nothing."""
    cycle = find_cycle(after)
    whole = dict.fromkeys(_NAMES, ()) | {name: tuple(before) for name, before in after.items()}
    assert (cycle is not None) == any(name in _behind(name, whole) for name in whole)
    if cycle is not None:
        _goes_round(cycle, after)
        assert cycle[0] == min(cycle, key=list(after).index)


def test_a_long_chain_is_no_cycle() -> None:
    assert find_cycle({str(number): [str(number + 1)] for number in range(20_000)}) is None


def _step(name: str, *after: str) -> Step:
    return Step(name=name, notebook="n.ipynb", cells=(), after=after)


def test_ends_are_the_nodes_without_others_before_or_behind_them() -> None:
    steps = [_step("a", "elsewhere"), _step("b", "a"), _step("c", "a", "b"), _step("d", "a")]
    assert edges_within(steps) == {"a": (), "b": ("a",), "c": ("a", "b"), "d": ("a",)}
    assert ends(steps) == (("a",), ("c", "d"))
