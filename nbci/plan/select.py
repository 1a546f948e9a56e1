"""`--from`, `--until`, `--only`: which steps of a plan run, which are taken from an earlier run,
which are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.errors import UsageError, nearest
from nbci.graph import followers_of, reachable
from nbci.plan.model import NOT_ASKED_FOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.plan.model import Plan, PlannedStep


class Selection(Struct, frozen=True, kw_only=True):
    """What the user asked for; each holds names of steps, or of nodes for all their steps."""

    first: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.first or self.until or self.only)


def select(plan: Plan, selection: Selection) -> Plan:
    """The plan with `run` left only on the selected steps; what they need of others is to be
    reused.
    """
    if not selection:
        return plan
    before = {step.name: step.after for step in plan.steps}
    followers = followers_of(before)
    chosen = set(before)
    if selection.only:
        chosen &= set(named_steps(plan, selection.only))
    if selection.first:
        chosen &= reachable(named_steps(plan, selection.first), followers)
    if selection.until:
        chosen &= reachable(named_steps(plan, selection.until), before)
    if not chosen:
        raise UsageError("no step lies between what --from, --until and --only name")
    needed = reachable(chosen, before) if selection.only or selection.first else chosen
    selected = replace(plan, steps=tuple(_selected(step, chosen, needed) for step in plan.steps))
    if not (plan.gates and selected.leaves_out):
        return selected
    warning = "the gates are not judged: the run leaves out steps that were not asked for"
    return replace(selected, warnings=(*plan.warnings, warning))


def limited(plan: Plan, run_seconds: float | None, cell_seconds: float | None) -> Plan:
    """The plan with tighter times for the whole run, and for every cell, where they are given."""
    if run_seconds is not None:
        plan = replace(
            plan, run_timeout_seconds=min(run_seconds, plan.run_timeout_seconds or run_seconds)
        )
    if cell_seconds is not None:
        steps = (
            replace(
                step,
                cell_timeout_seconds=min(cell_seconds, step.cell_timeout_seconds or cell_seconds),
            )
            for step in plan.steps
        )
        plan = replace(plan, steps=tuple(steps))
    return plan


def step_named(plan: Plan, name: str) -> PlannedStep:
    """The step of that name; UsageError that names the nearest when there is none."""
    names = [step.name for step in plan.steps]
    if name not in names:
        close = nearest(name, names)
        raise UsageError(
            f"the plan has no step {name!r}",
            hint=f"did you mean {close!r}?" if close else f"its steps are {', '.join(names)}",
        )
    return plan.step(name)


def named_steps(plan: Plan, asked: Iterable[str]) -> list[str]:
    """The steps of those names, or of the nodes of those names; UsageError that names the nearest."""
    known: dict[str, list[str]] = {}
    for step in plan.steps:
        known.setdefault(step.name, []).append(step.name)
        if step.node and step.node != step.name:
            known.setdefault(step.node, []).append(step.name)
    names: list[str] = []
    for name in asked:
        if name not in known:
            close = nearest(name, known)
            raise UsageError(
                f"there is no step {name!r}",
                hint=f"did you mean {close!r}?"
                if close
                else f"the steps are {', '.join(s.name for s in plan.steps)}",
            )
        names += known[name]
    return names


def _selected(step: PlannedStep, chosen: set[str], needed: set[str]) -> PlannedStep:
    if step.name in chosen or step.action == "skip":
        return step
    if step.name in needed:
        return replace(step, action="reuse", reason="not asked for; taken from an earlier run")
    return replace(step, action="skip", reason=NOT_ASKED_FOR)
