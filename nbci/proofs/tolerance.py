"""When two numbers count as equal, and what came of comparing two things by that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.closeness import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE, are_close

if TYPE_CHECKING:
    from nbci.records.proof import Agreement


class Finding(Struct, frozen=True, kw_only=True):
    """Whether two things agree; the fields are those of `Item`."""

    agreement: Agreement
    place: str = ""
    reason: str = ""
    largest: float | None = None


IDENTICAL = Finding(agreement="identical")
OTHER_BYTES = "what it holds is equal, its bytes differ"


def of_unequal_bytes(found: Finding) -> Finding:
    """The finding for two files that are not the same, from that for what they hold."""
    if found.agreement == "identical":
        return Finding(agreement="close", reason=OTHER_BYTES)
    return found


def changed(before: object, now: object, place: str = "") -> Finding:
    """The finding that one thing is another now."""
    return Finding(agreement="different", place=place, reason=f"{before} before, {now} now")


class Tolerance(Struct, frozen=True):
    """Numbers are equal whose difference is at most this share of the larger one.

    Numbers that differ by no more than 1e-12 are equal, too: around zero no share is small.
    """

    relative: float = RELATIVE_TOLERANCE

    @property
    def both(self) -> tuple[float, float]:
        """The relative and the absolute tolerance."""
        return self.relative, ABSOLUTE_TOLERANCE

    def compare(self, before: float, now: float, place: str = "") -> Finding:
        """What two numbers are to each other; NaN agrees with NaN."""
        if before == now or (math.isnan(before) and math.isnan(now)):
            return IDENTICAL
        if not are_close(before, now, self.relative):
            return changed(repr(before), repr(now), place)
        largest = abs(before - now) / max(abs(before), abs(now))
        return Finding(agreement="close", place=place, largest=largest)


def worse(one: Finding, other: Finding) -> Finding:
    """The one that agrees less; of two that are close, the first, with the larger difference."""
    if one.agreement == other.agreement == "close":
        largest = max(one.largest or 0.0, other.largest or 0.0)
        return Finding(
            agreement="close", place=one.place, reason=one.reason, largest=largest or None
        )
    if rank(other.agreement) > rank(one.agreement):
        return other
    return one


def rank(agreement: Agreement) -> int:
    """How little it agrees, from 0."""
    return ("identical", "close", "different").index(agreement)
