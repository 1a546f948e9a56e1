"""A proof: what came of carrying a run out again without any kept result."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

FORMAT = 1

Agreement = Literal["identical", "close", "different"]
"""Bit for bit the same; equal within the tolerance; neither."""
ItemKind = Literal["step", "value", "file", "metric"]


class Item(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Something that a step gave and that is not the same, bit for bit, in both runs.

    `place` is where in it the first difference lies, such as `.coef_[0]`; `largest` is the largest
    relative difference of its numbers where these are equal within the tolerance.
    """

    kind: ItemKind
    name: str
    agreement: Agreement
    place: str = ""
    reason: str = ""
    largest: float | None = None


class StepProof(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One step in both runs; `items` are those that are not the same bit for bit."""

    step: str
    agreement: Agreement
    values: int = 0
    files: int = 0
    metrics: int = 0
    items: tuple[Item, ...] = ()


class Proof(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Two runs of one plan, compared; `steps` are those that ran again, in the plan's order.

    `run` is the run that was to be proved, `proof` the one that was carried out for it, `seconds`
    what that took. `later_seconds` lie between the starts of both. `surroundings` are sentences
    about what else was different, such as the version of a package. `tolerance` is relative.
    `sentence` is the answer for people.
    """

    run: str
    proof: str
    agreement: Agreement
    sentence: str
    tolerance: float
    nbci: str
    format: int = field(default_factory=lambda: FORMAT)
    started_utc: str | None = None
    later_seconds: float | None = None
    seconds: float | None = None
    host: str | None = None
    surroundings: tuple[str, ...] = ()
    steps: tuple[StepProof, ...] = ()
