"""Predictions of a step beside the baseline's, as far as gates judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.behaviour.paired import Outcomes
    from nbci.behaviour.predictions import Task
    from nbci.behaviour.slices import Slices


class ComparedCases(Struct, frozen=True, kw_only=True):
    """What was found in the cases that both have.

    `predictions` says whose the baseline's are, `data` what was predicted there, and
    `not_remeasured` why that is not this run's data. `run` and `baseline` have the metrics of all
    cases of each, `p_values` those of the paired tests. `slices` are those that a gate asks for,
    the largest loss first. `notes` tell what was not compared, and why.
    """

    step: str
    predictions: str
    data: str
    not_remeasured: str | None = None
    task: Task
    cases: int
    run: Mapping[str, float]
    baseline: Mapping[str, float]
    p_values: Mapping[str, float]
    outcomes: Outcomes | None = None
    slices: Slices | None = None
    notes: tuple[str, ...] = ()


class NoCases(Struct, frozen=True, kw_only=True):
    """The reason why there are none to judge, and the rule of the gate that holds then."""

    reason: str
    rule: Literal["first_run", "missing", "fail"] = "fail"
