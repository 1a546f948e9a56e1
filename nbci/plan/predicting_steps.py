"""Whose predictions a gate judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.errors import UsageError, spelling_hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.errors import Location
    from nbci.pipeline.rules import Gate
    from nbci.plan.model import PlannedStep


def with_steps(
    gates: Iterable[Gate], places: Sequence[Location], steps: Iterable[PlannedStep]
) -> tuple[Gate, ...]:
    """The gates, each that judges cases with the step that predicts them.

    UsageError where there is no such step, or several.
    """
    listed = tuple(steps)
    known = []
    for place, gate in enumerate(gates):
        step = gate.step
        if gate.judges_cases:
            step = _predicting_step(place, gate, places[place], listed)
        known.append(replace(gate, step=step))
    return tuple(known)


def _predicting_step(place: int, gate: Gate, where: Location, steps: Sequence[PlannedStep]) -> str:
    predicting = [step for step in steps if step.predictions is not None]
    names = [step.name for step in predicting]
    if gate.step is not None:
        _check_step(place, gate.step, where, steps)
        predicting = [step for step in predicting if gate.step in (step.name, step.node)]
    judges = f"gate {place + 1} judges predictions"
    if not predicting and gate.step is not None:
        raise UsageError(
            f"{judges}, and step {gate.step!r} declares none",
            hint=f"steps that declare predictions: {', '.join(names) or 'none'}",
            where=where,
        )
    if not predicting:
        raise UsageError(
            f"{judges}, and no step declares any",
            hint="give the step that writes them `predictions: PATH`, "
            "or its cell the tag `predictions:PATH`",
            where=where,
        )
    if len(predicting) > 1:
        several = ", ".join(step.name for step in predicting)
        raise UsageError(
            f"{judges}, which several steps declare",
            hint=f"add `step:` with one of {several}",
            where=where,
        )
    return predicting[0].name


def _check_step(place: int, name: str, where: Location, steps: Sequence[PlannedStep]) -> None:
    known: dict[str, None] = {}
    for step in steps:
        known[step.name] = None
        known[step.node] = None
    if name in known:
        return
    raise UsageError(
        f"gate {place + 1} judges the predictions of step {name!r}, and there is no such step",
        hint=spelling_hint(name, known, f"the steps are {', '.join(filter(None, known))}"),
        where=where,
    )
