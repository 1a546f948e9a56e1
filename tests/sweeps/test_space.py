from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from nbci.params.types import type_of
from nbci.pipeline.search_space import Choices, Dimension, Range
from nbci.sweeps.space import grid, identity, is_searched, point_in, point_of

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN = {"a": 0, "b": 0.5, "c": "x", "other": True}


@st.composite
def ranges(draw: st.DrawFn, name: str) -> Range:
    low = draw(st.integers(-20, 20))
    length = draw(st.integers(1, 12))
    step = draw(st.integers(1, length))
    if draw(st.booleans()):
        return Range(name=name, low=low, high=low + length, step=step)
    return Range(name=name, low=low / 10, high=(low + length) / 10, step=step / 10)


@st.composite
def choices(draw: st.DrawFn, name: str) -> Choices:
    values = draw(st.lists(st.sampled_from(["x", "y", "z"]), min_size=1, unique=True))
    return Choices(name=name, values=tuple(values))


@st.composite
def spaces(draw: st.DrawFn) -> tuple[Dimension, ...]:
    first = draw(ranges("a"))
    when = draw(st.sampled_from([None, "a > 0", "other", "not other", "a == 3 or a < 0"]))
    second: Dimension = draw(ranges("b"))
    third: Dimension = draw(choices("c"))
    return (first, type(second)(**{**_fields(second), "when": when}), third)


def _fields(dimension: Dimension) -> dict[str, Any]:
    return {name: getattr(dimension, name) for name in dimension.__struct_fields__}


def lies_in(space: Sequence[Dimension], point: dict[str, Any]) -> bool:
    searched = {d.name for d in space if is_searched(d, OWN, point)}
    if searched != point.keys():
        return False
    for dimension in space:
        if dimension.name not in point:
            continue
        value = point[dimension.name]
        if isinstance(dimension, Range):
            if not dimension.low <= value <= dimension.high:
                return False
            if dimension.is_whole != (type_of(value).kind == "int"):
                return False
        elif value not in dimension.values:
            return False
    return True


@given(space=spaces(), data=st.data())
def test_every_chosen_point_lies_in_the_space(
    space: tuple[Dimension, ...], data: st.DataObject
) -> None:
    def choose(dimension: Dimension) -> object:
        return data.draw(st.sampled_from(dimension.values or ()))

    assert lies_in(space, point_of(space, OWN, choose))


@given(space=spaces())
def test_a_grid_has_every_point_once(space: tuple[Dimension, ...]) -> None:
    points = list(grid(space, OWN))
    assert all(lies_in(space, point) for point in points)
    assert len({identity(point) for point in points}) == len(points)

    first, second, third = space
    expected = 0
    for value in first.values or ():
        counts = is_searched(second, OWN, {"a": value})
        expected += (len(second.values or ()) if counts else 1) * len(third.values or ())
    assert len(points) == expected


def test_the_last_dimension_changes_fastest_and_a_condition_leaves_out() -> None:
    space = (
        Choices(name="kernel", values=("rbf", "poly")),
        Range(name="degree", low=2, high=3, when="kernel == 'poly'"),
    )
    assert list(grid(space, {"kernel": "rbf", "degree": 3})) == [
        {"kernel": "rbf"},
        {"kernel": "poly", "degree": 2},
        {"kernel": "poly", "degree": 3},
    ]


def test_the_same_point_is_the_same_whatever_its_order() -> None:
    assert identity({"a": 1, "b": "x"}) == identity(json.loads('{"b": "x", "a": 1}'))
    assert identity({"a": 1}) != identity({"a": True})


@given(spaces())
def test_a_point_is_found_by_the_values_that_a_run_had(space: tuple[Dimension, ...]) -> None:
    for point in grid(space, OWN):
        assert point_in(space, OWN, {**OWN, **point}) == point
        # Another value of what is not searched makes another pipeline of it.
        assert point_in(space, OWN, {**OWN, **point, "other": False}) is None


def test_values_outside_of_the_space_are_at_no_point() -> None:
    space = (
        Range(name="a", low=1, high=9, step=2),
        Range(name="b", low=0.1, high=1.0, when="a > 4"),
        Choices(name="c", values=("x", "y")),
    )
    inside = {**OWN, "a": 5, "b": 0.25}
    assert point_in(space, OWN, inside) == {"a": 5, "b": 0.25, "c": "x"}
    outside: list[dict[str, Any]] = [
        {"a": 4},
        {"a": True},
        {"a": 11},
        {"b": 0.05},
        {"c": "z"},
        # There, `b` is not searched, and has its own value.
        {"a": 3},
    ]
    for values in outside:
        assert point_in(space, OWN, {**inside, **values}) is None
    assert point_in(space, OWN, {**inside, "a": 3, "b": 0.5}) == {"a": 3, "c": "x"}
