"""Order graphs, and find cycles and reachable nodes in them.

A graph is a mapping from each node to those that it comes after.
"""

from __future__ import annotations

import graphlib
import heapq
import itertools
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Named(Protocol):
    """Something with a name, such as a step."""

    @property
    def name(self) -> str: ...


class Node(Named, Protocol):
    """Something with a name that comes after others, which it names."""

    @property
    def after(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=Named)


class Cycle(Exception):
    """The graph has a cycle; `path` goes round it once, its first node repeated at the end."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" → ".join(path))
        self.path = path


def by_name(named: Iterable[N]) -> dict[str, N]:
    """The steps, or other things with names, by their names."""
    return {one.name: one for one in named}


def edges_of(nodes: Iterable[Node]) -> dict[str, tuple[str, ...]]:
    """The graph of the nodes."""
    return {node.name: node.after for node in nodes}


def edges_within(nodes: Iterable[Node]) -> dict[str, tuple[str, ...]]:
    """The graph of the nodes without edges to others."""
    edges = edges_of(nodes)
    for name, before in edges.items():
        edges[name] = tuple(filter(edges.__contains__, before))
    return edges


def ends(nodes: Iterable[Node]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The nodes that come after none of the others, and those that none of them comes after."""
    edges = edges_within(nodes)
    waited_for = set(itertools.chain.from_iterable(edges.values()))
    roots = tuple(name for name, before in edges.items() if not before)
    return roots, tuple(name for name in edges if name not in waited_for)


def topological(after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The nodes, each behind all that it comes after; Cycle where there is no such order.

    Where the graph leaves a choice, the order is the mapping's.

    >>> topological({"report": ["train"], "load": [], "train": ["load"]})
    ('load', 'train', 'report')
    """
    names = list(after)
    position = {name: at for at, name in enumerate(names)}
    waiting: dict[str, int] = {}
    # A heap of positions, since graphlib's order of nodes that are ready is not the mapping's.
    ready: list[int] = []
    for name, before in after.items():
        waiting[name] = len(set(before))
        if not before:
            heapq.heappush(ready, position[name])

    followers = followers_of(after)
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for follower in followers[name]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(ready, position[follower])
    if len(order) < len(after):
        raise Cycle(find_cycle(after) or ())
    return tuple(order)


def followers_of(after: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """For each node those that come directly after it, in the mapping's order."""
    followers: dict[str, list[str]] = {name: [] for name in after}
    for name, before in after.items():
        for earlier in dict.fromkeys(before):
            followers[earlier].append(name)
    return followers


def reachable(starts: Iterable[str], edges: Mapping[str, Sequence[str]]) -> set[str]:
    """The starts and all that can be reached from them along the edges."""
    seen = set(starts)
    stack = list(seen)
    while stack:
        for other in edges[stack.pop()]:
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return seen


def last_of(names: Iterable[str], after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Those of the nodes that none of the others comes after, each once, in the order given.

    >>> last_of(["load", "train"], {"load": [], "train": ["load"]})
    ('train',)
    """
    candidates = tuple(dict.fromkeys(names))
    before_others: set[str] = set()
    for name in candidates:
        before_others |= reachable(after[name], after)
    return tuple(name for name in candidates if name not in before_others)


def find_cycle(after: Mapping[str, Iterable[str]]) -> tuple[str, ...] | None:
    """A cycle as its nodes in order, or None when there is none.

    It begins with the one of its nodes that comes first in the mapping, and ends with it again.

    >>> find_cycle({"a": ["b"], "b": ["a"], "c": ["a"]})
    ('a', 'b', 'a')
    """
    try:
        graphlib.TopologicalSorter(after).prepare()
    except graphlib.CycleError as error:
        # graphlib's second argument is the cycle, its first node repeated at the end.
        cycle = error.args[1][:-1]
        nodes = set(cycle)
        start = cycle.index(next(name for name in after if name in nodes))
        return (*cycle[start:], *cycle[:start], cycle[start])
    return None
