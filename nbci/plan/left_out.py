"""The code cells of a plan's notebooks that no step runs, each with the reason."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from nbci.notebook.tags import read_tags
from nbci.pipeline.tagged import BEFORE_ANY_STEP
from nbci.plan.model import TAGGED_SKIP, LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.notebook.cells import Cell
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import PlannedStep


def left_out(
    notebooks: Mapping[str, TaggedNotebook], steps: Iterable[PlannedStep]
) -> Iterator[LeftOut]:
    """Every code cell of the notebooks that is in none of the steps."""
    # By notebook: with a composition, cells of several have one number.
    run_cells: dict[str, set[int | None]] = defaultdict(set)
    for step in steps:
        for planned in step.cells:
            run_cells[step.notebook].add(planned.number)
    for path, tagged in notebooks.items():
        for cell in tagged.notebook.cells:
            if cell.kind == "code" and cell.number not in run_cells[path]:
                yield LeftOut(notebook=path, cell=cell.number, reason=_reason(tagged, cell))


def _reason(tagged: TaggedNotebook, cell: Cell) -> str:
    if read_tags(tagged.notebook, cell).role == "skip":
        return TAGGED_SKIP
    if cell.number in [reference.cell for reference in tagged.references]:
        return f"stands for {cell.notebook_path}"
    if tagged.references and cell.number in tagged.blocks.parameters:
        return "parameters of the notebooks that it refers to"
    if not cell.source.strip():
        return "empty"
    if cell.number in tagged.dropped:
        return BEFORE_ANY_STEP
    return "no step uses what it defines"
