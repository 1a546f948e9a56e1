"""The order of a graph's nodes."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Cycle(Exception):
    """The graph has a cycle; `path` goes round it once, its first node repeated at the end."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" → ".join(path))
        self.path = path


def topological(after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The nodes, each behind all that it comes after; where the graph leaves a choice, in the mapping's order.

    >>> topological({"report": ["train"], "load": [], "train": ["load"]})
    ('load', 'train', 'report')
    """
    position = {name: at for at, name in enumerate(after)}
    waiting = {name: len(set(before)) for name, before in after.items()}
    followers = followers_of(after)
    ready = [position[name] for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    names = list(after)
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for follower in followers[name]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(ready, position[follower])
    if len(order) < len(after):
        raise Cycle(_cycle({name: after[name] for name, count in waiting.items() if count > 0}))
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


def _cycle(after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Every node here waits for another one here, so walking back must come round."""
    path = [next(iter(after))]
    while True:
        earlier = next(name for name in after[path[-1]] if name in after)
        if earlier in path:
            return tuple(reversed([*path[path.index(earlier) :], earlier]))
        path.append(earlier)
