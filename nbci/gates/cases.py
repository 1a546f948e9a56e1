"""Predictions of a step beside the baseline's, as far as gates judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.behaviour.paired import Outcomes
    from nbci.behaviour.predictions import Task
    from nbci.behaviour.slices import Slices


class PairedTest(Struct, frozen=True, kw_only=True):
    """A metric of both in the cases that both have, and p of the test that the two are equal."""

    run: float
    baseline: float
    p_value: float


class ComparedCases(Struct, frozen=True, kw_only=True):
    """What was found in the cases that both have.

    `predictions` says whose the baseline's are, `data` what was predicted there, and
    `not_remeasured` why that is not this run's data. `tests` are by the metrics' names. `slices`
    are those that a gate asks for, the largest loss first. `notes` tell what was not compared, and
    why.
    """

    step: str
    predictions: str
    data: str
    not_remeasured: str | None = None
    task: Task
    cases: int
    tests: Mapping[str, PairedTest]
    outcomes: Outcomes | None = None
    slices: Slices | None = None
    notes: tuple[str, ...] = ()


class NoCases(Struct, frozen=True, kw_only=True):
    """The reason why there are none to judge, and the rule of the gate that holds then."""

    reason: str
    rule: Literal["first_run", "missing", "fail"] = "fail"
