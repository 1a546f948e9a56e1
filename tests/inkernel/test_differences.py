"""Values of two runs: where they differ first, and by how much where they are close."""

from __future__ import annotations

import collections
import datetime
import math
import pathlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nbci.inkernel.differences import Comparison, Different

pd = pytest.importorskip("pandas")


class Model:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Slotted:
    __slots__ = ("weight",)

    def __init__(self, weight: float) -> None:
        self.weight = weight


def compared(before: Any, now: Any) -> Comparison:
    comparison = Comparison(1e-6, 1e-12, ["/work/space", "/home/me/project"])
    comparison.compare(before, now)
    return comparison


EQUAL = [
    (1.0, 1.0 + 1e-9),
    (math.nan, float("nan")),
    (0.0, 1e-13),
    ([1, "a", None, b"x"], [1, "a", None, b"x"]),
    ({"a": (1, 2.0)}, {"a": (1, 2.0)}),
    (np.array([1.0, np.nan]), np.array([1.0 + 1e-9, np.nan])),
    (np.float32(1), np.float32(1 + 1e-7)),
    (np.array(["2026-01-01", "NaT"], "M8[D]"), np.array(["2026-01-01", "NaT"], "M8[D]")),
    (np.zeros(2, [("a", "f8")]), np.full(2, 1e-14, "f8").view([("a", "f8")])),
    (np.array([Model(a=1.0)], object), np.array([Model(a=1.0)], object)),
    (pd.DataFrame({"a": [1.0], "b": ["x"]}), pd.DataFrame({"a": [1 + 1e-9], "b": ["x"]})),
    (pd.Series([1.0], index=["x"]), pd.Series([1.0], index=["x"])),
    (Model(coef=np.array([1.0])), Model(coef=np.array([1.0 + 1e-8]))),
    (Slotted(1.0), Slotted(1.0 + 1e-8)),
    (SimpleNamespace(a=1), SimpleNamespace(a=1)),
    (collections.deque([1]), collections.deque([1])),
    (datetime.date(2026, 1, 1), datetime.date(2026, 1, 1)),
    ({1, 2}, {2, 1}),
    (Model, Model),
]


@pytest.mark.parametrize(("before", "now"), EQUAL)
def test_what_is_equal_within_the_tolerance(before: Any, now: Any) -> None:
    compared(before, now)


UNEQUAL = [
    (1.0, 1.1, "", "1.0 before, 1.1 now"),
    (1, 2, "", "1 before, 2 now"),
    (1, True, "", "builtins.int before, builtins.bool now"),
    ([1, 2], [1, 3], "[1]", "2 before, 3 now"),
    ([1], [1, 2], "", "1 elements before, 2 now"),
    ({"a": [0, 1]}, {"a": [0, 2]}, "['a'][1]", "1 before, 2 now"),
    ({"a": 1}, {"b": 1}, "", "the key 'a' is on one side only"),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, "", "the same keys in another order"),
    ({1}, {2}, "", "other elements"),
    (np.array([[1.0, 2.0]]), np.array([[1.0, 2.5]]), "[0, 1]", "2.0 before, 2.5 now"),
    (np.array([1, 2]), np.array([1, 3]), "[1]", "2 before, 3 now"),
    (np.array([1.0]), np.array([np.nan]), "[0]", "1.0 before, nan now"),
    (np.zeros(2), np.zeros(3), "", "float64[2] before, float64[3] now"),
    (np.zeros(1), np.zeros(1, "f4"), "", "float64[1] before, float32[1] now"),
    (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]}), "['a'][1]", "2 before, 3 now"),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), ".columns[0]", "'a' before, 'b' now"),
    (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1, 2]}), "", "1 rows before, 2 now"),
    (Model(coef=[1.0]), Model(coef=[2.0]), ".coef[0]", "1.0 before, 2.0 now"),
    (pathlib.Path("/a"), pathlib.Path("/b"), "", "'/a' before, '/b' now"),
    (Model, Slotted, "", "Model before, Slotted now"),
    (datetime.date(2026, 1, 1), datetime.date(2026, 1, 2), "", "2026-01-01 before, 2026-01-02 now"),
    (
        [datetime.datetime(2026, 1, 1, 1, tzinfo=datetime.UTC)],
        [datetime.datetime(2026, 1, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))],
        "[0]",
        "2026-01-01 01:00:00+00:00 before, 2026-01-01 02:00:00+01:00 now",
    ),
]


@pytest.mark.parametrize(("before", "now", "place", "reason"), UNEQUAL)
def test_the_first_difference_is_told(before: Any, now: Any, place: str, reason: str) -> None:
    with pytest.raises(Different) as caught:
        compared(before, now)
    assert (caught.value.place, caught.value.reason) == (place, reason)


def test_the_largest_difference_and_the_first_place() -> None:
    comparison = compared({"a": 1.0, "b": 1.0}, {"a": 1.0 + 1e-9, "b": 1.0 + 1e-7})

    assert comparison.first == "['a']"
    assert comparison.largest == pytest.approx(1e-7, rel=1e-3)


def test_texts_may_differ_by_the_folder() -> None:
    before = ["/home/me/project/data", pathlib.Path("/home/me/project/x")]
    now = ["/work/space/data", pathlib.Path("/work/space/x")]

    assert compared(before, now).moved
    with pytest.raises(Different):
        compared("/home/me/project/data", "/work/space/other")


def test_circles_and_depth_end() -> None:
    one: list[Any] = [1]
    other: list[Any] = [1]
    one.append(one)
    other.append(other)
    deep: list[Any] = []
    deeper: list[Any] = []
    for _ in range(50_000):
        deep, deeper = [deep], [deeper]

    compared(one, other)
    compared(deep, deeper)


def test_an_object_that_cannot_be_looked_into_is_different() -> None:
    class Closed:
        def __reduce_ex__(self, protocol: Any) -> Any:
            raise TypeError("no")

    with pytest.raises(Different) as caught:
        compared(Closed(), Closed())
    assert "cannot be looked into" in caught.value.reason
