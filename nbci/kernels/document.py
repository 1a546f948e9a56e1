"""The executed notebook: built before the first cell runs, then filled; it is valid at any time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbci.kernels.explain import first_line
from nbci.kernels.outputs import clean
from nbci.records.journal import ExecutedNotebook
from nbci.records.run_record import CellRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.kernels.job import KernelJob, ProgramCell
    from nbci.secrets import Mask


def new_document(job: KernelJob, display_name: str) -> dict[str, Any]:
    """A notebook of the program's cells, none of them run yet, as plain JSON values."""
    metadata = dict(job.notebook_metadata)
    # The states of widgets are those of an earlier run.
    metadata.pop("widgets", None)
    metadata["kernelspec"] = {
        "name": job.kernel_name,
        "display_name": display_name,
        "language": job.language,
    }
    cells = [_cell(cell, index) for index, cell in enumerate(job.cells)]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def executed_notebook(document: Mapping[str, Any], job: KernelJob, mask: Mask) -> ExecutedNotebook:
    """What the notebook becomes while it runs: without secrets, no cell of it run yet."""
    cells = []
    for cell in document["cells"]:
        source = mask.text(clean(cell["source"]))
        metadata = mask.json(cell["metadata"])
        cells.append({**cell, "source": source, "metadata": metadata, "outputs": []})

    runs = []
    for each in job.cells:
        line = mask.text(first_line(each.source))
        run = CellRun(role=each.role, number=each.number, first_line=line, result="not run")
        runs.append(run)

    notebook = {**document, "metadata": mask.json(document["metadata"]), "cells": cells}
    return ExecutedNotebook(notebook, runs)


def runnable_source(source: str) -> str:
    """A cell's source with the line ends that kernels expect."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def unrunnable(source: str) -> str | None:
    """Why no kernel can be given this source, if so."""
    if "\0" in source:
        return "contains a NUL character"
    try:
        source.encode()
    except UnicodeEncodeError as error:
        code = ord(source[error.start])
        return f"contains a lone surrogate (U+{code:04X}), which is no character"
    return None


def _cell(cell: ProgramCell, index: int) -> dict[str, Any]:
    metadata: dict[str, Any] = _plain(cell.metadata or {})
    # Times of an earlier run.
    metadata.pop("execution", None)
    metadata.pop("tags", None)
    # nbformat's schema wants tags that differ, without commas.
    tags = [tag for tag in dict.fromkeys(cell.tags) if "," not in tag]
    if tags:
        metadata["tags"] = tags
    metadata["nbci"] = {"role": cell.role, "cell": cell.number}
    return {
        "cell_type": "code",
        "id": f"nbci-{index + 1}",
        "metadata": metadata,
        "source": runnable_source(cell.source),
        "execution_count": None,
        "outputs": [],
    }


def _plain(metadata: Mapping[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(dict(metadata)))
    return copied
