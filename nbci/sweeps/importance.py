"""How much each parameter of a sweep mattered for an objective, as a study was asked."""

from __future__ import annotations

from msgspec import Struct


class Importance(Struct, frozen=True, kw_only=True):
    """The share of a parameter in how the objective varied, over the trials that have it."""

    parameter: str
    share: float
    trials: int


class Importances(Struct, frozen=True, kw_only=True):
    """Those of one objective, the greatest first; without any, `problem` says why.

    `method` is the name of the algorithm, `note` what should be known of the shares.
    """

    objective: str
    method: str = ""
    shares: tuple[Importance, ...] = ()
    note: str | None = None
    problem: str | None = None
