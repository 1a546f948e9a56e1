"""The points of a space: which dimensions count at one, and all points of a grid."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from nbci.pipeline.conditions import holds
from nbci.pipeline.search_space import Range

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


def point_in(
    space: Sequence[Dimension], own: Mapping[str, Any], values: Mapping[str, Any]
) -> Point | None:
    """The point at which the parameters have these values, `own` where they are not searched.

    None where they have them at no point of the space.
    """
    point: Point = {}
    for dimension in space:
        if not is_searched(dimension, own, point):
            continue
        if dimension.name not in values or not _has(dimension, values[dimension.name]):
            return None
        point[dimension.name] = values[dimension.name]
    # What is not searched at the point must be as it is in every trial.
    if identity({**own, **point}) != identity(values):
        return None
    return point


def _has(dimension: Dimension, value: Any) -> bool:
    if dimension.values is not None:
        return any(_is_same(each, value) for each in dimension.values)
    # A range of infinitely many numbers, which are no whole ones.
    assert isinstance(dimension, Range)
    return isinstance(value, float) and dimension.low <= value <= dimension.high


def _is_same(one: Any, other: Any) -> bool:
    """Whether both are one value; of sums such as 0.1 + 0.2, the last digits may differ."""
    # True is equal to 1, and another value of a parameter.
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


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
