"""Notebooks and cells as frozen values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from nbci.errors import Location

if TYPE_CHECKING:
    from collections.abc import Mapping


class Cell(Struct, frozen=True, kw_only=True):
    """One cell of a notebook.

    `number` is its position among all cells, from 1, as a person counts them. `notebook_path` is
    the notebook that Kale's metadata lets it refer to.
    """

    number: int
    kind: Literal["code", "markdown", "raw"]
    source: str
    tags: tuple[str, ...] = ()
    notebook_path: str | None = None

    @property
    def first_line(self) -> str:
        """The first line that is not blank, to recognise the cell by."""
        # JupyterLab shows no numbers of cells: people find one by how it begins.
        for line in self.source.splitlines():
            if line.strip():
                return line.strip()
        return ""


class Notebook(Struct, frozen=True, kw_only=True):
    """A notebook as read.

    `path` is as it is shown to people, `document` the JSON of nbformat 4, which nobody may change.
    """

    path: str
    cells: tuple[Cell, ...]
    kernel_name: str | None
    language: str
    document: Mapping[str, Any]

    def cell(self, number: int) -> Cell:
        """The cell with that number (from 1)."""
        return self.cells[number - 1]

    def where(self, cell: Cell, *, line: int | None = None) -> Location:
        """The place of a cell, for messages."""
        return Location(self.path, cell=cell.number, first_line=cell.first_line, line=line)
