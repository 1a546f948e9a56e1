"""Rules about the outputs and execution counts that are committed with a notebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbci.formatting.sizes import size
from nbci.lint.finding import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.lint.notebook_facts import NotebookFacts

CELL_BYTES = 1_000_000
NOTEBOOK_BYTES = 5_000_000


def large_outputs(facts: NotebookFacts) -> Iterator[Hit]:
    """Outputs too large to commit, in one cell or all together."""
    total, named = 0, False
    for number, raw in enumerate(facts.notebook.document.get("cells", ()), start=1):
        taken = 0
        outputs = raw.get("outputs")
        if outputs:
            taken = len(json.dumps(outputs))
        total += taken
        if taken > CELL_BYTES:
            named = True
            yield Hit(
                message=f"the cell's outputs take {size(taken)}; the limit is {size(CELL_BYTES)}",
                hint="clear them before you commit: a run's own record keeps its outputs",
                cell=number,
            )
    # with a cell reported above, the total would be a second finding about the same bytes
    if total > NOTEBOOK_BYTES and not named:
        yield Hit(
            message=f"the notebook's outputs take {size(total)}; "
            f"the limit is {size(NOTEBOOK_BYTES)}",
            hint="clear them before you commit: a run's own record keeps its outputs",
        )


def cells_out_of_order(facts: NotebookFacts) -> Iterator[Hit]:
    """Yield the first cell that ran before the cell above it.

    The outputs shown may then differ from those of a run from top to bottom.
    """
    highest, above = 0, 0
    for number, raw in enumerate(facts.notebook.document.get("cells", ()), start=1):
        count = _count(raw)
        if count is None:
            continue
        if count <= highest:
            yield Hit(
                message=f"the cell ran as number {count}, "
                f"after cell {above} above it had run as number {highest}",
                hint="restart the kernel and run all cells, or clear the outputs",
                cell=number,
            )
            # every later cell may be out of order for the same reason, so one hit is enough
            return
        highest, above = count, number


def _count(raw: Any) -> int | None:
    if raw.get("cell_type") != "code":
        return None
    count = raw.get("execution_count")
    # bool is a subclass of int in Python, and JSON may hold true here
    if isinstance(count, int) and not isinstance(count, bool):
        return count
    return None
