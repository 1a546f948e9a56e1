"""Notebooks and cells as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nbci.errors import Location

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell of a notebook; `number` is its position among all cells, from 1, as a person counts them."""

    number: int
    kind: Literal["code", "markdown", "raw"]
    source: str
    tags: tuple[str, ...] = ()

    @property
    def first_line(self) -> str:
        """The first line that is not blank, to recognise the cell by."""
        return next((line.strip() for line in self.source.splitlines() if line.strip()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """A notebook as read: `path` as it is shown to people, `document` the nbformat 4 JSON (never mutated)."""

    path: str
    cells: tuple[Cell, ...]
    kernel_name: str | None
    language: str
    document: Mapping[str, Any] = field(repr=False, compare=False)

    def cell(self, number: int) -> Cell:
        """The cell with that number (from 1)."""
        return self.cells[number - 1]

    def where(self, cell: Cell, *, line: int | None = None) -> Location:
        """The place of a cell, for messages."""
        return Location(self.path, cell=cell.number, first_line=cell.first_line, line=line)
