"""Bring together the steps that a matrix made of one: each is a combination of its axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import as_json, file_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.plan.model import PlannedStep
    from nbci.report.data.view import ShownStep


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixSteps:
    """The steps of all combinations; `anchor` is the id of their table on the run's page."""

    title: str
    anchor: str
    axes: tuple[str, ...]
    steps: tuple[ShownStep, ...]


def matrices_of(steps: Iterable[ShownStep]) -> tuple[MatrixSteps, ...]:
    """The matrices of two combinations or more, in the order of their first steps."""
    members: dict[str, list[ShownStep]] = {}
    for step in steps:
        if step.planned is not None and step.planned.matrix:
            members.setdefault(_title(step.planned), []).append(step)

    anchors = file_names(members)
    found = []
    for title, its_steps in members.items():
        if len(its_steps) > 1:
            matrix = MatrixSteps(
                title=title,
                anchor=f"matrix-{anchors[title]}",
                axes=_axes(its_steps),
                steps=tuple(its_steps),
            )
            found.append(matrix)
    return tuple(found)


def axis_values(step: ShownStep, axes: Iterable[str]) -> list[str]:
    """The step's value on each axis, as text."""
    chosen: Mapping[str, Any] = {}
    if step.planned is not None:
        chosen = step.planned.matrix or {}
    return [_text(chosen.get(axis, "")) for axis in axes]


def _title(step: PlannedStep) -> str:
    """The node's name, with that of the step in its notebook, where this has several.

    A combination's steps are called NODE/COMBINATION and NODE/COMBINATION/STEP.
    """
    inner = step.name.removeprefix(f"{step.node}/").partition("/")[2]
    if not inner:
        return step.node
    return f"{step.node}/*/{inner}"


def _axes(steps: Sequence[ShownStep]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for step in steps:
        if step.planned is not None:
            names.update(dict.fromkeys(step.planned.matrix or ()))
    return tuple(names)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return as_json(value)
