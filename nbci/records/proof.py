"""A proof: what came of carrying a run out again without any kept result."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

FORMAT = 1

Agreement = Literal["identical", "close", "different"]
"""Bit for bit the same; equal within the tolerance; neither."""
ItemKind = Literal["step", "value", "file", "metric"]
Condition = Literal[
    "random",  # a seed for Python's generator
    "numpy",  # a seed for numpy's
    "torch",  # a seed for torch's
    "hash seed",  # what the order of sets of strings comes of
    "threads",  # one thread in libraries that compute in several
    "file order",  # the order in which folders list their files
    "clock",  # a time that is the same in each run
    "network",  # none
]
"""What is held to see whether a step's result depends on it."""


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


class Try(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A step, run so many times with these conditions held, and whether it gave the same."""

    result: Literal["same", "other", "failed"]
    runs: int
    held: tuple[Condition, ...] = ()


class Cause(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why the first step that differs does, found by running it with one thing held, then another.

    `conditions` are those on which its result depends, none where that is not known. `around` says
    that the step gives the same each time that it runs now, so that the difference lies in what was
    around it then. `sentence` is for people.
    """

    step: str
    sentence: str
    conditions: tuple[Condition, ...] = ()
    around: bool = False
    tried: tuple[Try, ...] = ()
    seconds: float | None = None

    @property
    def runs(self) -> int:
        """How many times the step ran."""
        return sum(each.runs for each in self.tried)


class Proof(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Two runs of one plan, compared; `steps` are those that ran again, in the plan's order.

    `run` is the run that was to be proved, `proof` the one that was carried out for it, `seconds`
    what that took. `later_seconds` lie between the starts of both. `surroundings` are sentences
    about what else was different, such as the version of a package. `tolerance` is relative.
    `sentence` is the answer for people. `results` is the digest of what the run's seal has of its
    steps: it tells whether the run's results are still those that were proved. `cause` is why the
    first step that differs does, where that was looked for.
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
    results: str = ""
    steps: tuple[StepProof, ...] = ()
    cause: Cause | None = None
