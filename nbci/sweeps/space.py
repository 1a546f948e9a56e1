"""The points of a space: which dimensions count at one, and all points of a grid."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbci.pipeline.conditions import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nbci.pipeline.search_space import Dimension

Point = dict[str, Any]
"""The value of each parameter that is searched there."""


def point_of(
    space: Sequence[Dimension],
    own: Mapping[str, Any],
    choose: Callable[[Dimension], Any],
) -> Point:
    """The point whose values `choose` gives, one dimension after another.

    `own` are the values that the parameters have where they are not searched. A dimension is left
    out where its condition does not hold.
    """
    point: Point = {}
    for dimension in space:
        if is_searched(dimension, own, point):
            point[dimension.name] = choose(dimension)
    return point


def is_searched(dimension: Dimension, own: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    """Whether the dimension counts where the ones before it have the values of the point."""
    # A parameter that is not searched at the point counts with its own value.
    return dimension.when is None or holds(dimension.when, {**own, **point}, {})


def grid(space: Sequence[Dimension], own: Mapping[str, Any]) -> Iterator[Point]:
    """Every point of a finite space once; the last dimension changes fastest."""
    yield from _points(tuple(space), own, {})


def _points(space: tuple[Dimension, ...], own: Mapping[str, Any], point: Point) -> Iterator[Point]:
    if not space:
        yield point
        return
    first, *rest = space
    if not is_searched(first, own, point):
        yield from _points(tuple(rest), own, point)
        return
    # A grid over a range with infinitely many values is refused before.
    for value in first.values or ():
        yield from _points(tuple(rest), own, {**point, first.name: value})


def identity(point: Mapping[str, Any]) -> str:
    """The same text for the same point, whatever the order of its values."""
    return json.dumps(point, sort_keys=True)
