"""Which steps of a plan run, are taken over, or are left out.

Conditions and what they rule out decide while the plan is made, `--from`, `--until` and `--only`
afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.errors import UsageError, spelling_hint
from nbci.graph import followers_of, reachable
from nbci.pipeline.paths import overlaps_any
from nbci.plan.model import NOT_ASKED_FOR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from nbci.plan.model import Plan, PlannedStep


def with_skips(
    planned: Mapping[str, PlannedStep], unwanted: Mapping[str, str | None]
) -> Iterator[PlannedStep]:
    """Skip what `when` rules out, and what needs values or files of a skipped step.

    `unwanted` has the conditions that do not hold, by step.
    """
    # The steps come in an order in which they can run: whom a step needs was looked at before it.
    reasons: dict[str, str] = {}
    for name, step in planned.items():
        if name in unwanted:
            reason: str | None = f"its condition `{unwanted[name]}` does not hold"
        else:
            reason = _lost_value(step, reasons) or _lost_file(step, planned, reasons)

        if reason is None:
            yield step
        else:
            reasons[name] = reason
            yield replace(step, action="skip", reason=reason)


def _lost_value(step: PlannedStep, skipped: Mapping[str, str]) -> str | None:
    """Why the step cannot run: every giver of a value is skipped; None where it can."""
    for take in step.takes:
        # At a join, one giver that runs is enough.
        if take.givers and skipped.keys() >= set(take.givers):
            return f"it needs `{take.name}` of step {take.givers[0]}, which is skipped"
    return None


def _lost_file(
    step: PlannedStep, planned: Mapping[str, PlannedStep], skipped: Collection[str]
) -> str | None:
    """Why the step cannot run: a file that a skipped step writes; None where there is none."""
    # Of several such steps, the last is named.
    for name in reversed(step.after):
        if name not in skipped:
            continue
        writer = planned[name]
        for out in writer.writes:
            if overlaps_any(out, step.deps):
                return f"it needs {out} of step {name}, which is skipped"
    return None


class Selection(Struct, frozen=True, kw_only=True):
    """What the user asked for; each holds names of steps, or of nodes for all their steps."""

    first: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.first or self.until or self.only)


def select(plan: Plan, selection: Selection) -> Plan:
    """The plan with `run` left only on the selected steps.

    What they need of other steps is to be reused.
    """
    if not selection:
        return plan
    before = plan.edges()
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

    # With --until alone, what the chosen steps need is chosen, too.
    needed = chosen
    if selection.only or selection.first:
        needed = reachable(chosen, before)
    steps = tuple(_with_action(step, chosen, needed) for step in plan.steps)
    selected = replace(plan, steps=steps)
    if not (plan.gates and selected.leaves_out):
        return selected

    warning = "the gates are not judged: the run leaves out steps that were not asked for"
    return replace(selected, warnings=(*plan.warnings, warning))


def with_time_limits(plan: Plan, run_seconds: float | None, cell_seconds: float | None) -> Plan:
    """The plan with tighter times for the whole run, and for every cell, where they are given."""
    # A limit that the command gives only tightens: what the pipeline declares is never exceeded.
    if run_seconds is not None:
        run_limit = min(run_seconds, plan.run_timeout_seconds or run_seconds)
        plan = replace(plan, run_timeout_seconds=run_limit)
    if cell_seconds is not None:
        steps = []
        for step in plan.steps:
            cell_limit = min(cell_seconds, step.cell_timeout_seconds or cell_seconds)
            steps.append(replace(step, cell_timeout_seconds=cell_limit))
        plan = replace(plan, steps=tuple(steps))
    return plan


def step_named(plan: Plan, name: str) -> PlannedStep:
    """The step of that name; UsageError that names the nearest when there is none."""
    if name not in plan.names:
        hint = spelling_hint(name, plan.names, f"its steps are {', '.join(plan.names)}")
        raise UsageError(f"the plan has no step {name!r}", hint=hint)
    return plan.step(name)


def named_steps(plan: Plan, asked: Iterable[str]) -> list[str]:
    """The steps of those names, or of the nodes of those names.

    UsageError that names the nearest where there is none.
    """
    known: dict[str, list[str]] = {}
    for step in plan.steps:
        known.setdefault(step.name, []).append(step.name)
        if step.node and step.node != step.name:
            known.setdefault(step.node, []).append(step.name)
    names: list[str] = []
    for name in asked:
        if name not in known:
            hint = spelling_hint(name, known, f"the steps are {', '.join(plan.names)}")
            raise UsageError(f"there is no step {name!r}", hint=hint)
        names += known[name]
    return names


def _with_action(step: PlannedStep, chosen: set[str], needed: set[str]) -> PlannedStep:
    # A step that its own condition rules out stays skipped for that reason.
    if step.name in chosen or step.action == "skip":
        return step
    if step.name in needed:
        return replace(step, action="reuse", reason="not asked for; taken from an earlier run")
    return replace(step, action="skip", reason=NOT_ASKED_FOR)
