"""Many steps as few groups: what belongs together by name or by place in the graph."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbci.graph import find_cycle, topological

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SHOWN_SINGLY = 250
"""Up to this number of steps, each has its own box in the graph."""
_FEWEST_GROUPS = 3
_MOST_GROUPS = 120
_MOST_EDGES = 1000


def folded_steps(
    after: Mapping[str, Sequence[str]], nodes: Mapping[str, str]
) -> dict[str, tuple[str, ...]] | None:
    """Return groups of steps by their titles, in the steps' order.

    None where each step can be shown by itself.

    `nodes` are the pipeline file's nodes that steps belong to. What the groups wait for has no
    cycle either. A group of one step bears its name.
    """
    # A few hundred steps may have thousands of edges, which nobody could follow.
    if len(after) <= SHOWN_SINGLY and sum(map(len, after.values())) <= _MOST_EDGES:
        return None

    most: dict[str, list[str]] = {}
    for title_of in _groupings(after, nodes):
        groups: dict[str, list[str]] = {}
        for name in after:
            groups.setdefault(title_of(name), []).append(name)
        # Groups by name may wait for each other in a circle, although their steps do not.
        if (
            len(most) < len(groups) <= _MOST_GROUPS
            and find_cycle(group_edges(after, groups)) is None
        ):
            most = groups
        if len(most) >= _FEWEST_GROUPS:
            break
    return {_title(title, members, most): tuple(members) for title, members in most.items()}


def folded_matrices(
    after: Mapping[str, Sequence[str]], matrices: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]] | None:
    """Return the steps of each matrix as a group, by title, and each other step as one of its own.

    None where there is no matrix, and where its groups would wait for each other in a circle.
    """
    title_of: dict[str, str] = {}
    for title, members in matrices.items():
        title_of |= dict.fromkeys(members, title)
    if not title_of:
        return None
    groups: dict[str, list[str]] = {}
    for name in after:
        groups.setdefault(title_of.get(name, name), []).append(name)
    if find_cycle(group_edges(after, groups)) is not None:
        return None
    return {title: tuple(members) for title, members in groups.items()}


def group_edges(
    after: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """What each group waits for."""
    group_of: dict[str, str] = {}
    for title, members in groups.items():
        group_of |= dict.fromkeys(members, title)

    waits_for: dict[str, tuple[str, ...]] = {}
    for title, members in groups.items():
        earlier_groups: dict[str, None] = {}
        for name in members:
            earlier_groups |= dict.fromkeys(group_of[earlier] for earlier in after[name])
        earlier_groups.pop(title, None)
        waits_for[title] = tuple(earlier_groups)
    return waits_for


def without_detours(after: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return what each waits for, without what it waits for already through another.

    >>> without_detours({"a": (), "b": ("a",), "c": ("a", "b")})
    {'a': (), 'b': ('a',), 'c': ('b',)}
    """
    # Sets of ancestors as bits of integers: unions of thousands of steps stay fast.
    bit: dict[str, int] = {}
    above: dict[str, int] = {}
    direct: dict[str, tuple[str, ...]] = {}
    for name in topological(after):
        earlier = dict.fromkeys(after[name])
        through = 0
        for other in earlier:
            through |= above[other]
        direct[name] = tuple(other for other in earlier if not through & bit[other])
        for other in earlier:
            through |= bit[other]
        above[name] = through
        bit[name] = 1 << len(bit)
    return {name: direct[name] for name in after}


def stages(after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The stage of each step, from 1: one more than the latest stage of those that it waits for."""
    found: dict[str, int] = {}
    for name in topological(after):
        found[name] = 1 + max((found[other] for other in after[name]), default=0)
    return found


def _groupings(
    after: Mapping[str, Sequence[str]], nodes: Mapping[str, str]
) -> Iterator[Callable[[str], str]]:
    """Ways to give a step its group, from that which says most to that which always works."""
    stage = stages(after)
    last = max(stage.values())
    # Rounded up, so that the last way never makes more groups than are allowed.
    span = -(-last // _MOST_GROUPS)
    yield lambda name: nodes.get(name) or name
    yield lambda name: name.rpartition("/")[0] or name
    yield lambda name: name.partition("/")[0]
    yield _without_numbers
    yield lambda name: f"{_without_numbers(name)}, stage {stage[name]}"
    yield lambda name: f"{name.partition('/')[0]}, stage {stage[name]}"
    # Steps wait for earlier stages only, so that these groups never wait in a circle.
    yield lambda name: _range((stage[name] - 1) // span * span + 1, span, last)


def _without_numbers(name: str) -> str:
    """Return the name with `*` for its numbers, those of a matrix and those of a loop."""
    return re.sub(r"\d+(?:[.-]\d+)*", "*", name)


def _range(first: int, span: int, last: int) -> str:
    if span == 1:
        return f"stage {first}"
    return f"stages {first} to {min(first + span - 1, last)}"


def _title(title: str, members: Sequence[str], groups: Mapping[str, Sequence[str]]) -> str:
    """A group of one bears its step's name, unless another group has that for its title."""
    name = members[0]
    if len(members) == 1 and (name == title or name not in groups):
        return name
    return title
