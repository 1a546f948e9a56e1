"""What a search is going to do: how many points, which steps each trial has to itself, how long."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.graph import by_name
from nbci.pipeline.search_space import Range
from nbci.sweeps.space import grid, identity, point_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from nbci.pipeline.search_space import Dimension
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord

COUNTED_POINTS = 100_000
"""A space with more points than that is not counted."""
_DRAWN = 500
"""Of so many points one has each parameter that any common condition lets be searched."""


class StepOutlook(Struct, frozen=True, kw_only=True):
    """One step of the trials: `params` are the searched ones that its result depends on.

    `times` is how often it runs at most, where that is known. Of `looked_at` results `standing` are
    there already. `seconds` is how long it takes, by earlier runs.
    """

    name: str
    params: tuple[str, ...]
    times: int | None
    looked_at: int
    standing: int
    seconds: float | None

    @property
    def seconds_to_go(self) -> float | None:
        """How long what does not stand yet takes, one after another; None where nothing says it."""
        if self.looked_at and self.standing == self.looked_at:
            return 0.0
        if self.times is None or self.seconds is None:
            return None
        missing = 1.0
        if self.looked_at:
            # Of more points than were looked at, it is the share of those.
            missing -= self.standing / self.looked_at
        return self.times * missing * self.seconds


class Outlook(Struct, frozen=True, kw_only=True):
    """A search before it begins; `points` is None where there are infinitely many, or too many.

    `trials` is how many of them are tried at most, None where only time ends it. `never` are
    parameters in which no two points differed that were looked at.
    """

    sweep: SweepRecord
    points: int | None
    is_infinite: bool
    trials: int | None
    steps: tuple[StepOutlook, ...]
    never: tuple[str, ...] = ()

    @property
    def shared_seconds(self) -> float | None:
        """How long the steps take that all trials share."""
        return _sum(step.seconds_to_go for step in self.steps if not step.params)

    @property
    def own_seconds(self) -> float | None:
        """How long the steps of single trials take, as many at once as go on at once."""
        found = _sum(step.seconds_to_go for step in self.steps if step.params)
        if found is None:
            return None
        return found / self.sweep.parallel

    @property
    def seconds(self) -> float | None:
        """About how long it takes all together; None where nothing says it."""
        parts = _sum((self.shared_seconds, self.own_seconds))
        if parts is None or self.sweep.minutes is None:
            return parts
        # What begins before the end may go on after it: a little more is possible.
        return min(parts, self.sweep.minutes * 60)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The steps of which no earlier run says how long they take."""
        return tuple(
            step.name for step in self.steps if step.seconds is None and step.seconds_to_go is None
        )


def _sum(values: Iterable[float | None]) -> float | None:
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def is_infinite(space: Iterable[Dimension]) -> bool:
    """Whether there are infinitely many points."""
    return any(dimension.values is None for dimension in space)


def count_points(space: Sequence[Dimension], own: Mapping[str, Any]) -> int | None:
    """How many points the space has; None where it is infinite, or very large."""
    if is_infinite(space):
        return None
    # Conditions leave points out, so the lengths of the dimensions do not say it.
    count = sum(1 for _ in islice(grid(space, own), COUNTED_POINTS))
    if count == COUNTED_POINTS:
        return None
    return count


def differing_points(
    space: Sequence[Dimension], own: Mapping[str, Any]
) -> Iterator[tuple[str, Point, Point]]:
    """For each parameter two points that differ in its value, and in what its value decides."""
    points = list(_drawn_points(space, own))
    for dimension in space:
        name = dimension.name
        for point in points:
            if name not in point:
                continue
            other = _with_other_value(space, own, point, name)
            if other is not None:
                yield name, point, other
                break


def _with_other_value(
    space: Sequence[Dimension], own: Mapping[str, Any], point: Point, name: str
) -> Point | None:
    """The point with another value of the parameter; None where there is no other one."""
    dimension = by_name(space)[name]
    values = dimension.values
    # Between two numbers there are always others; its ends are as good as any.
    if values is None:
        assert isinstance(dimension, Range)
        values = (dimension.low, dimension.high)
    # In Python, 1 == True.
    others = [value for value in values if identity({name: value}) != identity({name: point[name]})]
    if not others:
        return None

    def choose(each: Dimension) -> Any:
        if each.name == name:
            return others[-1]
        return point.get(each.name, _drawn(each, 0))

    return point_of(space, own, choose)


def _drawn_points(space: Sequence[Dimension], own: Mapping[str, Any]) -> Iterator[Point]:
    for at in range(_DRAWN):
        yield point_of(space, own, partial(_drawn, at=at))


def _drawn(dimension: Dimension, at: int) -> Any:
    """A value of the dimension for the point of that number; the same in each call."""
    # Spread evenly, and for each dimension in another order, as by chance.
    digest = hashlib.blake2b(f"{at} {dimension.name}".encode(), digest_size=4).digest()
    share = int.from_bytes(digest) / 2**32
    values = dimension.values
    if values is not None:
        return values[int(share * len(values))]
    assert isinstance(dimension, Range)
    return dimension.low + share * (dimension.high - dimension.low)


def times_of(
    sweep: SweepRecord, params: Sequence[str], points: int | None, trials: int | None
) -> int | None:
    """How often a step runs at most whose result depends on these parameters."""
    if not params:
        return 1
    own, found = sweep.own_values, None
    # Where conditions leave points out, fewer combinations come to be.
    if points is not None:
        different = {projection(point, params) for point in grid(sweep.space, own)}
        found = len(different)
    else:
        dimensions = by_name(sweep.space)
        counts = [dimensions[name].values for name in params]
        # Of infinitely many values, each trial has its own.
        if None not in counts:
            found = math.prod(len(values or ()) for values in counts)
    known = [number for number in (found, trials) if number is not None]
    return min(known, default=None)


def projection(point: Mapping[str, Any], params: Sequence[str]) -> str:
    """What of a point decides a result that depends on these parameters."""
    return identity({name: point[name] for name in params if name in point})
