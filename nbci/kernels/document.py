"""The executed notebook: built before the first cell runs, filled while cells run, valid whatever happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbci.kernels.outputs import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbformat import NotebookNode

    from nbci.kernels.job import KernelJob, ProgramCell
    from nbci.secrets import Mask


def new_document(job: KernelJob, display_name: str) -> NotebookNode:
    """A notebook of the program's cells, none of them run yet."""
    import nbformat

    cells = [_cell(cell, index) for index, cell in enumerate(job.cells)]
    metadata = {key: value for key, value in job.notebook_metadata.items() if key not in ("kernelspec", "widgets")}
    metadata["kernelspec"] = {"name": job.kernel_name, "display_name": display_name, "language": job.language}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    made: NotebookNode = nbformat.from_dict(document)
    return made


def finished_document(notebook: NotebookNode, mask: Mask) -> dict[str, Any]:
    """The notebook as plain JSON values, without secrets in sources and metadata (outputs are masked as they come)."""
    document: dict[str, Any] = json.loads(json.dumps(notebook))
    document["metadata"] = mask.json(document["metadata"])
    for cell in document["cells"]:
        cell["source"] = mask.text(clean(cell["source"]))
        cell["metadata"] = mask.json(cell["metadata"])
    return document


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
        return f"contains a lone surrogate (U+{ord(source[error.start]):04X}), which is no character"
    return None


def _cell(cell: ProgramCell, index: int) -> dict[str, Any]:
    metadata: dict[str, Any] = _plain(cell.metadata or {})
    metadata.pop("execution", None)
    tags = [tag for tag in dict.fromkeys(cell.tags) if "," not in tag]
    metadata.pop("tags", None)
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
