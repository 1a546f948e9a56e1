"""The Markdown cells of a plan's notebooks, which nothing runs and the report shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import multiline_string
from nbci.plan.model import MarkdownCell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.notebook.cells import Cell, Notebook
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import PlannedStep

# Every agent reads the whole plan: a pasted screenshot has some 100 kB, an album has no place here.
_MOST_ATTACHED = 5_000_000
# JupyterLab writes `attachment:a%20plot.png`: RFC 3986, section 2.1. urllib would take its network
# modules into planning, which knows none.
_QUOTED = re.compile("(?:%[0-9a-fA-F]{2})+")


def markdown_cells(
    notebooks: Mapping[str, TaggedNotebook], steps: Iterable[PlannedStep]
) -> dict[str, tuple[MarkdownCell, ...]]:
    """The Markdown cells of each notebook that the steps run, by its path; none where it has none.

    The plan has them because executed notebooks have code only: a reused step's text is that of
    this plan's notebook, and the report of a run can be made where the notebook is not.
    """
    found = {}
    # Not a set: the same pipeline gives the same plan.
    for path in dict.fromkeys(step.notebook for step in steps):
        cells = tuple(_cells_of(notebooks[path].notebook))
        if cells:
            found[path] = cells
    return found


def _cells_of(notebook: Notebook) -> Iterator[MarkdownCell]:
    room = _MOST_ATTACHED
    for cell in notebook.cells:
        if cell.kind != "markdown" or not cell.source.strip():
            continue
        attachments = {}
        for name, forms in _attached_pictures(notebook, cell).items():
            room -= sum(map(len, forms.values()))
            if room >= 0:
                attachments[name] = forms
        yield MarkdownCell(number=cell.number, source=cell.source, attachments=attachments or None)


def _attached_pictures(notebook: Notebook, cell: Cell) -> dict[str, dict[str, str]]:
    """The pictures pasted into the cell that its text shows: by name, each by media type."""
    attached: Any = notebook.document["cells"][cell.number - 1].get("attachments")
    if not isinstance(attached, dict):
        return {}
    # JupyterLab keeps the attachment when the line that shows it is deleted.
    shown = _QUOTED.sub(_unquoted, cell.source)
    pictures = {}
    for name, bundle in attached.items():
        if f"attachment:{name}" in shown and isinstance(bundle, dict):
            pictures[name] = dict(_picture_forms(bundle))
    return pictures


def _unquoted(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("%", "")).decode(errors="replace")


def _picture_forms(bundle: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for mime, value in bundle.items():
        data = multiline_string(value)
        if mime.startswith("image/") and data is not None:
            yield mime, data
