"""Objects whose classes say how they are made again: those that could not be loaded fail where they
are saved.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from nbci.inkernel.forms import Refused
from tests.inkernel.value_tools import groups_of, read, write

if TYPE_CHECKING:
    from pathlib import Path


class Made:
    """Its constructor wants an argument that no pickle has, and counts."""

    count = 0

    def __new__(cls, size: int) -> Any:
        Made.count += 1
        made = object.__new__(cls)
        made.__dict__["size"] = size
        return made


class MadeAgain(Made):
    def __getnewargs__(self) -> tuple[int]:
        return (vars(self)["size"],)


class Pair:
    def __init__(self, left: int, right: int) -> None:
        self.left, self.right = left, right

    def __reduce__(self) -> tuple[Any, ...]:
        return (Pair, (self.left,))


class WholePair(Pair):
    def __reduce__(self) -> tuple[Any, ...]:
        return (WholePair, (self.left, self.right))


class Proxy:
    def __init__(self) -> None:
        self.held = {"size": 3}

    def __getattr__(self, name: str) -> Any:
        return self.held[name]


class CarefulProxy(Proxy):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.held[name]


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (Made(3), "missing a required argument: 'size'; let `__getnewargs__` return the arguments"),
        (Pair(1, 2), "missing a required argument: 'right'; let `__reduce__` return the arguments"),
        (Proxy(), "let it raise AttributeError for names that begin with two underscores"),
    ],
    ids=["constructor", "reduce", "getattr"],
)
def test_what_could_not_be_loaded_is_refused_with_the_remedy(value: Any, remedy: str) -> None:
    made = Made.count
    with pytest.raises(Refused, match=remedy):
        groups_of({"held": [value]})
    assert Made.count == made


@pytest.mark.parametrize(
    "value", [MadeAgain(3), WholePair(1, 2), CarefulProxy()], ids=lambda value: type(value).__name__
)
def test_what_can_be_loaded_passes(value: Any, tmp_path: Path) -> None:
    digest, _ = write(tmp_path, {"value": value})
    assert vars(read(tmp_path, digest)["value"]) == vars(value)


@pytest.mark.parametrize("maxsize", [None, 5])
def test_a_cache_that_tells_types_apart_comes_with_its_results(
    maxsize: int | None, tmp_path: Path
) -> None:
    def combine(*parts: Any, **named: Any) -> Any:
        return parts, named

    cached = functools.lru_cache(maxsize=maxsize, typed=True)(combine)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]]
    calls = [((1,), {}), ((1.0,), {}), ((), {}), ((1, "a"), {"b": 2, "c": 3.0}), ((), {"b": 2})]
    for positional, named in calls:
        cached(*positional, **named)
    digest, _ = write(tmp_path, {"cached": cached})
    arrived = read(tmp_path, digest)["cached"]
    misses = arrived.cache_info().misses
    for positional, named in calls:
        assert repr(arrived(*positional, **named)) == repr((positional, named))
    assert arrived.cache_info().misses == misses
    assert arrived.cache_info().hits == len(calls)
