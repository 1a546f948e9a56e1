"""The executed notebooks of a run's steps, merged into the source's own cell order."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from nbci.runs.file_names import NOTEBOOKS_FOLDER
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan, PlannedStep
    from nbci.runs.folder import RunFolder


def write_merged(
    folder: RunFolder,
    plan: Plan,
    notebooks: Mapping[str, TaggedNotebook],
    executed: Mapping[str, Mapping[str, Any]],
    reused: frozenset[str],
) -> None:
    """Write `notebooks/NAME.ipynb` for each notebook that the plan runs.

    There is one for each value of a matrix.

    Not for one whose source is not among `notebooks`, nor for one with a `reused` step that is not
    among `executed`.
    """
    for name, steps in _groups(plan, notebooks).items():
        ran = {step.name: executed[step.name] for step in steps if step.name in executed}
        # Without the outputs of a reused step, its cells would look as if they gave none.
        lacking = reused.intersection(step.name for step in steps) - ran.keys()
        if not ran or lacking:
            continue
        merged = merge(notebooks[steps[0].notebook].notebook.document, ran)
        text = json.dumps(merged, indent=1, ensure_ascii=False) + "\n"
        write_atomic(folder.path / NOTEBOOKS_FOLDER / f"{name}.ipynb", text)


def merge(source: Mapping[str, Any], executed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The source with the outputs, times and steps of its executed cells.

    Injected cells stand where they ran.

    `executed` are the documents by step, in the order that the steps ran. A cell that several steps
    ran (imports) shows the first one's outputs.
    """
    merged = copy.deepcopy(dict(source))
    cells: list[dict[str, Any]] = merged["cells"]
    filled: set[int] = set()
    injected: dict[int, dict[str, Any]] = {}
    # Outputs and widgets of an earlier execution in the source would pass for those of this run.
    merged["metadata"].pop("widgets", None)
    for cell in cells:
        if cell.get("cell_type") == "code":
            cell |= {"outputs": [], "execution_count": None}
    for step, document in executed.items():
        _merge_widgets(merged["metadata"], document.get("metadata", {}))
        before = 0
        for cell in document["cells"]:
            number = cell["metadata"].get("nbci", {}).get("cell")
            if number is None:
                injected.setdefault(before, cell)
                continue
            before = number
            if number not in filled:
                filled.add(number)
                target = cells[number - 1]
                target |= {"outputs": cell["outputs"], "execution_count": cell["execution_count"]}
                target["metadata"] = {**target.get("metadata", {}), **cell["metadata"]}
                target["metadata"]["nbci"] = {"step": step, **cell["metadata"]["nbci"]}
    # Cells have ids since nbformat 4.5, and there they must.
    has_ids = (merged.get("nbformat"), merged.get("nbformat_minor", 0)) >= (4, 5)
    _insert_cells(cells, injected, has_ids=has_ids)
    return merged


def _insert_cells(
    cells: list[dict[str, Any]], injected: Mapping[int, dict[str, Any]], *, has_ids: bool
) -> None:
    """Put each cell behind the one of that number."""
    # From the end, since each insertion moves the cells behind it.
    for number in sorted(injected, reverse=True):
        cell = dict(injected[number])
        # Ids must differ within a notebook, and another step's document may have the same one.
        cell.pop("id", None)
        if has_ids:
            cell["id"] = f"nbci-after-{number}"
        cells.insert(number, cell)


def _merge_widgets(metadata: dict[str, Any], executed: Mapping[str, Any]) -> None:
    """Add the state of the widgets of one step to that of the steps before it."""
    for kind, kept in executed.get("widgets", {}).items():
        widgets = metadata.setdefault("widgets", {}).setdefault(kind, {**kept, "state": {}})
        widgets["state"].update(kept["state"])


def _groups(plan: Plan, notebooks: Mapping[str, TaggedNotebook]) -> dict[str, list[PlannedStep]]:
    groups: dict[str, list[PlannedStep]] = {}
    for step in plan.steps:
        if step.notebook not in notebooks:
            continue
        # A notebook without step tags is one step, else the step's name ends in that of its tag.
        name = step.name
        if not notebooks[step.notebook].whole:
            name = step.name.rpartition("/")[0] or plan.pipeline
        groups.setdefault(name.replace("/", "-"), []).append(step)
    return groups
