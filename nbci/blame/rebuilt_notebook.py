"""A notebook as a run had it, put together from the run's plan and another version of it.

People run, edit and run again without a commit. The plan has the source of every cell that ran, but
neither tags nor the text between the cells: these are taken from the other version. Cells for
imports and functions are taken from there, too, since a plan has only what each step needs of them.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from nbci.blame.mixed_notebook import notebook_text
from nbci.errors import UsageError
from nbci.notebook.read import parse_notebook
from nbci.pipeline.tagged import understand
from nbci.plan.alignment import align

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.notebook.cells import Notebook
    from nbci.plan.model import Plan

_METRICS = "metrics"
_OF_STEPS = ("step", _METRICS)


def rebuild(path: str, template: bytes, plan: Plan) -> bytes | None:
    """The notebook at that path as the plan has it; None where it cannot be put together.

    Whoever plans it anew sees whether it is the same.
    """
    try:
        notebook = parse_notebook(template, path)
        there = _groups_of(notebook)
    except UsageError:
        return None
    wanted = _planned_groups(path, plan)
    # Steps have other names in pipelines, so they are known by their order.
    if len(wanted) != len(there):
        return None
    replaced: dict[int, list[str]] = {}
    for sources, numbers in zip(wanted, there, strict=True):
        replaced |= _replace(notebook, numbers, sources)
    return notebook_text({**notebook.document, "cells": _cells(notebook, replaced)}, path)


def _planned_groups(path: str, plan: Plan) -> list[list[str]]:
    """The sources of the cells of each step, and of those that name metrics, in their order."""
    found: dict[int, tuple[str, set[str]]] = {}
    for step in plan.steps:
        for cell in step.cells:
            if step.notebook != path or cell.role not in _OF_STEPS or cell.number is None:
                continue
            _, owners = found.setdefault(cell.number, (cell.source, set()))
            owners.add(cell.role if cell.role == _METRICS else step.name)
    groups: dict[frozenset[str], list[str]] = {}
    for _, (source, owners) in sorted(found.items()):
        groups.setdefault(frozenset(owners), []).append(source)
    return list(groups.values())


def _groups_of(notebook: Notebook) -> list[list[int]]:
    """The numbers of the cells of each step, and of those that name metrics, in their order."""
    tagged = understand(notebook)
    owners: dict[int, set[str]] = {number: {_METRICS} for number in tagged.blocks.metrics}
    for step in tagged.steps:
        for number in step.cells:
            owners.setdefault(number, set()).add(step.name)
    groups: dict[frozenset[str], list[int]] = {}
    for number, names in sorted(owners.items()):
        groups.setdefault(frozenset(names), []).append(number)
    return list(groups.values())


def _replace(notebook: Notebook, numbers: list[int], sources: list[str]) -> dict[int, list[str]]:
    """For each cell of a step, the sources that come in its place."""
    if len(numbers) == len(sources):
        return {number: [source] for number, source in zip(numbers, sources, strict=True)}
    # The first has the tags of the step.
    first, *rest = numbers
    replaced: dict[int, list[str]] = {number: [] for number in rest}
    replaced[first], last = [sources[0]], first
    others = [notebook.cell(number).source for number in rest]
    for at_old, at_new in align(sources[1:], others):
        if at_new is not None and at_old is not None:
            last = rest[at_new]
        if at_old is not None:
            replaced[last].append(sources[1 + at_old])
    return replaced


def _cells(notebook: Notebook, replaced: Mapping[int, list[str]]) -> list[Any]:
    cells = []
    for cell in notebook.cells:
        raw = notebook.document["cells"][cell.number - 1]
        if cell.number not in replaced:
            cells.append(raw)
            continue
        for place, source in enumerate(replaced[cell.number]):
            ours = deepcopy(raw)
            ours["source"] = source
            if place:
                ours["metadata"] = {}
                ours.pop("id", None)
            cells.append(ours)
    return cells
