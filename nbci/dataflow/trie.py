"""For every name, the nearest earlier steps that have it, carried forward along a graph.

They are kept in a persistent trie: a step that changes a few names shares all the rest with the
step before, and a join compares only what its branches changed. So ten thousand steps cost about as
many small updates, not a copy of all names each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Givers = frozenset[int]
NO_GIVERS: Givers = frozenset()
Trie = tuple["Trie", ...] | Givers | None
_BITS = 4
_MASK = (1 << _BITS) - 1
_EMPTY: tuple[Trie, ...] = (None,) * (1 << _BITS)


def height(count: int) -> int:
    """The levels of a trie for names numbered from 0 to `count` - 1."""
    # The two signs make the division round up.
    return max(1, -(-count.bit_length() // _BITS))


def lookup(trie: Trie, key: int, levels: int) -> Givers:
    """The givers of the name numbered `key`."""
    for level in range(levels):
        if not isinstance(trie, tuple):
            return NO_GIVERS
        trie = trie[key >> level * _BITS & _MASK]
    if isinstance(trie, frozenset):
        return trie
    return NO_GIVERS


def with_givers(trie: Trie, key: int, givers: Givers, levels: int) -> Trie:
    """The trie with other givers for a name."""
    if not levels:
        return givers
    children = _EMPTY
    if isinstance(trie, tuple):
        children = trie
    place = key & _MASK
    child = with_givers(children[place], key >> _BITS, givers, levels - 1)
    return (*children[:place], child, *children[place + 1 :])


def merge(tries: Sequence[Trie]) -> tuple[Trie, list[int]]:
    """The union of tries, and the numbers of the names for which several differed."""
    differing: set[int] = set()
    left = list(tries)
    # In pairs, as in a tournament: one after the other, the union would be walked for every trie.
    while len(left) > 1:
        paired = []
        for index in range(0, len(left) - 1, 2):
            paired.append(_union(left[index], left[index + 1], 0, 0, differing))
        if len(left) % 2:
            paired.append(left[-1])
        left = paired
    union = None
    if left:
        union = left[0]
    return union, sorted(differing)


def _union(one: Trie, other: Trie, key: int, level: int, differing: set[int]) -> Trie:
    # Tries share the nodes that no step changed, so most of two branches ends here.
    if one is other or other is None:
        return one
    if one is None:
        return other
    if isinstance(one, tuple) and isinstance(other, tuple):
        children: list[Trie] = []
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            if left is right:
                children.append(left)
            else:
                inner = key | place << level * _BITS
                children.append(_union(left, right, inner, level + 1, differing))
        return tuple(children)
    if isinstance(one, frozenset) and isinstance(other, frozenset):
        if one != other:
            differing.add(key)
        return one | other
    return one
