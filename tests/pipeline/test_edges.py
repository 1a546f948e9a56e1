from __future__ import annotations

import graphlib
import itertools

from hypothesis import given
from hypothesis import strategies as st

from nbci.pipeline.edges import find_cycle

NAMES = "abcdefg"
graphs = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3))


@given(graphs)
def test_a_cycle_is_found_exactly_when_there_is_one(after: dict[str, list[str]]) -> None:
    cycle = find_cycle(after)
    if cycle is None:
        assert list(graphlib.TopologicalSorter(after).static_order()) is not None
        return
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    assert all(first in after[then] for first, then in itertools.pairwise(cycle))


def test_a_long_chain_is_no_cycle() -> None:
    assert find_cycle({str(number): [str(number + 1)] for number in range(20_000)}) is None
