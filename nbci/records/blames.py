"""Why a metric moved between two runs: the share of each part that differs."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

FORMAT = 1

FactorKind = Literal[
    "data", "parameter", "cell", "kernel", "module", "file", "pipeline", "packages", "several"
]
"""What differs: `several` are parts that were not told apart."""


class Share(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one part that differs has of the change of the metric.

    `share` is its Shapley value. `alone` is the change where only this part is new, `last` where
    only this one is still old; None where that was not measured. `reason` says why it has no share,
    or why several parts have one together.
    """

    name: str
    kind: FactorKind
    share: float
    alone: float | None = None
    last: float | None = None
    reason: str = ""


class Interaction(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What two parts do together beyond what each does alone."""

    parts: tuple[str, str]
    change: float


class Hybrid(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What was measured with some parts new, and all others old.

    `run` is where it was carried out, and None where all results were kept ones. Without a `value`,
    `problem` says why.
    """

    new: tuple[str, ...]
    value: float | None = None
    run: str | None = None
    problem: str = ""


class Blame(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Why a metric moved from run `before` to run `after`.

    The shares and `unexplained` add up to the difference of the two values. `unexplained` is what
    remained where all parts were exchanged: chance, and what is not tried. `interactions` is what
    the changes made one at a time leave of what all of them do; it is part of the shares, and
    `strongest` the pair with the largest part of it. `untried` are sentences on what differs and
    cannot be exchanged. `step_runs` is how many steps ran for this.
    """

    metric: str
    before: str
    after: str
    before_value: float
    after_value: float
    nbci: str
    format: int = field(default_factory=lambda: FORMAT)
    shares: tuple[Share, ...] = ()
    unexplained: float = 0.0
    interactions: float | None = None
    strongest: Interaction | None = None
    untried: tuple[str, ...] = ()
    hybrids: tuple[Hybrid, ...] = ()
    step_runs: int = 0
    started_utc: str | None = None
    seconds: float | None = None

    @property
    def difference(self) -> float:
        """After less before."""
        return self.after_value - self.before_value


class Blames(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The answers that a run has: one for each metric and earlier run, the newest first."""

    blames: tuple[Blame, ...]
    format: int = field(default_factory=lambda: FORMAT)
