"""Metrics that are asked for from outside, such as a sweep's objective, and that no cell names.

A notebook without a metrics cell has them in variables: they are read at the end of a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.dataflow.prelude import split_cell
from nbci.errors import UsageError
from nbci.formatting.numbers import listed
from nbci.pipeline.metric_names import is_pattern, meant_by, short_name, step_of
from nbci.plan.model import Probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.plan.model import Plan, PlannedCell, PlannedStep

_SHOWN = 8


def with_asked_metrics(plan: Plan, asked: Iterable[str]) -> Plan:
    """The plan in which steps are asked for these metrics, as far as nothing measures them anyway.

    They are named in full or in short. UsageError where nothing can measure one of them.
    """
    for metric in asked:
        # A pattern is for what steps measure by themselves.
        if not is_pattern(metric):
            plan = _with_asked(plan, metric)
    return plan


def may_have_other_metrics(step: PlannedStep) -> bool:
    """Whether files and scraps of the step can hold metrics that nothing in a plan names."""
    if step.metrics or step.language != "python":
        return True
    # scrapbook's `sb.glue(name, value)` records a scrap.
    return any("glue" in cell.source for cell in step.cells)


def _with_asked(plan: Plan, metric: str) -> Plan:
    steps = [step for step in plan.steps if step.action != "skip" and _is_meant(step, metric)]
    known = [f"{step.name}:{probe.name}" for step in steps for probe in step.probes]
    if meant_by(metric, known) or any(map(may_have_other_metrics, steps)):
        return plan
    name = short_name(metric)
    # The last step that makes it has the value that the whole notebook would end with.
    for step in reversed(steps):
        for cell in reversed(step.cells):
            if cell.number is not None and name in _bound(cell):
                return _with_probe(plan, step, Probe(name=name, expression=name, cell=cell.number))
    raise _nothing_measures(plan, steps, metric)


def _is_meant(step: PlannedStep, metric: str) -> bool:
    name = step_of(metric)
    return name is None or name in (step.name, step.node)


def _bound(cell: PlannedCell) -> dict[str, None]:
    """The names that the cell binds at its top level, in order; none where nbci put it in."""
    if cell.role != "step" or cell.number is None:
        return {}
    names: dict[str, None] = {}
    for statement in split_cell(cell.number, cell.source):
        names |= dict.fromkeys(sorted(statement.names.binds))
    return names


def _with_probe(plan: Plan, asked: PlannedStep, probe: Probe) -> Plan:
    changed = replace(asked, asked=(*asked.asked, probe))
    steps = [changed if step.name == asked.name else step for step in plan.steps]
    return replace(plan, steps=tuple(steps))


def _nothing_measures(plan: Plan, steps: Iterable[PlannedStep], metric: str) -> UsageError:
    measured = list(dict.fromkeys(_measured(plan)))
    made: dict[str, None] = {}
    for step in steps:
        for cell in step.cells:
            made |= _bound(cell)
    name = short_name(metric)
    hint = f"print({name}) in a cell tagged `metrics`, or name a variable that is a number"
    if measured:
        hint += f"; metrics: {listed(measured, _SHOWN)}"
    if made:
        hint += f"; variables: {listed(list(made), _SHOWN)}"
    return UsageError(f"nothing in {plan.target} measures {metric}", hint=hint)


def _measured(plan: Plan) -> Iterator[str]:
    for step in plan.steps:
        for probe in step.probes:
            yield f"{step.name}:{probe.name}"
