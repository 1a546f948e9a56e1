"""What trials computed, and what they had from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.sweeps.study_record import TrialRecord


class Time(Struct, frozen=True, kw_only=True):
    """Seconds, and the steps that take them: of one trial or of all."""

    computed: float = 0.0
    reused: float = 0.0
    equal: float = 0.0
    steps: tuple[int, int, int] = (0, 0, 0)

    @property
    def total(self) -> float:
        """What it would have taken with nothing kept."""
        return self.computed + self.reused + self.equal

    @property
    def saved_share(self) -> float:
        """Of the total, what did not have to be computed."""
        if self.total <= 0:
            return 0.0
        return (self.reused + self.equal) / self.total

    def __add__(self, other: Time) -> Time:
        steps = tuple(mine + its for mine, its in zip(self.steps, other.steps, strict=True))
        return Time(
            computed=self.computed + other.computed,
            reused=self.reused + other.reused,
            equal=self.equal + other.equal,
            steps=(steps[0], steps[1], steps[2]),
        )


def times_of(trials: Iterable[TrialRecord]) -> dict[int, Time]:
    """What each trial took and saved, by its number.

    One that is equal to another saved all that the other took and reused.
    """
    found: dict[int, Time] = {}
    for trial in trials:
        # Its own record says neither: nothing was looked up for it.
        if trial.same_as is not None and trial.same_as in found:
            first = found[trial.same_as]
            found[trial.number] = Time(equal=first.total, steps=(0, 0, sum(first.steps)))
        else:
            found[trial.number] = Time(
                computed=trial.computed.seconds,
                reused=trial.reused.seconds,
                steps=(trial.computed.steps, trial.reused.steps, 0),
            )
    return found


def total_of(times: dict[int, Time]) -> Time:
    """All trials together."""
    return sum(times.values(), Time())
