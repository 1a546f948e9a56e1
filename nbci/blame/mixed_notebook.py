"""A notebook of which some cells are those of an earlier version, and the others of a later one."""

from __future__ import annotations

import ast
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.light_imports import lean_import
from nbci.notebook.read import parse_notebook
from nbci.plan.alignment import align

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from nbci.notebook.cells import Cell, Notebook


class CellPair(Struct, frozen=True):
    """What became of a cell: as it was, and as it is; None where it came or went."""

    old: Cell | None
    new: Cell | None

    @property
    def is_code(self) -> bool:
        """Whether code comes, goes or changes, and not only text between it."""
        return any(cell is not None and cell.kind == "code" for cell in (self.old, self.new))

    @property
    def differs(self) -> bool:
        """Whether a run can tell the one from the other."""
        if self.old is None or self.new is None:
            return True
        return _essence(self.old) != _essence(self.new)


def _essence(cell: Cell) -> tuple[object, ...]:
    return cell.source, cell.tags, cell.notebook_path


class MixedNotebook(Struct, frozen=True, kw_only=True):
    """Both versions of a notebook, with their cells in pairs."""

    path: str
    old_text: bytes
    new_text: bytes
    old: Notebook
    new: Notebook
    pairs: tuple[CellPair, ...]

    @property
    def changed(self) -> list[int]:
        """The pairs of code cells that differ."""
        numbers = []
        for number, pair in enumerate(self.pairs):
            if pair.is_code and pair.differs:
                numbers.append(number)
        return numbers

    @property
    def changes_kernel(self) -> bool:
        """Whether the versions name kernels or languages that are not the same."""
        old, new = self.old, self.new
        return (old.kernel_name, old.language) != (new.kernel_name, new.language)

    def text(self, chosen: Collection[int]) -> bytes:
        """The notebook in which these pairs of the changed ones are new."""
        # To the byte as they were: another program may have written them in another form.
        if len(chosen) == len(self.changed):
            return self.new_text
        if not chosen:
            return self.old_text
        document = {**self.new.document, "cells": list(self._cells(chosen))}
        return notebook_text(document, self.path)

    def _cells(self, chosen: Collection[int]) -> Iterator[Any]:
        for number, pair in enumerate(self.pairs):
            cell, notebook = pair.new, self.new
            if pair.is_code and pair.differs and number not in chosen:
                cell, notebook = pair.old, self.old
            if cell is not None:
                yield notebook.document["cells"][cell.number - 1]


def mix(path: str, old_text: bytes, new_text: bytes) -> MixedNotebook:
    """Pair the cells of two versions of a notebook; UsageError where one cannot be read."""
    old, new = parse_notebook(old_text, path), parse_notebook(new_text, path)
    pairs = tuple(_pairs(old, new))
    return MixedNotebook(
        path=path, old_text=old_text, new_text=new_text, old=old, new=new, pairs=pairs
    )


def _pairs(old: Notebook, new: Notebook) -> Iterator[CellPair]:
    before_sources = [cell.source for cell in old.cells]
    after_sources = [cell.source for cell in new.cells]
    for at_old, at_new in align(before_sources, after_sources):
        before = after = None
        if at_old is not None:
            before = old.cells[at_old]
        if at_new is not None:
            after = new.cells[at_new]
        if before is None or after is None or before.kind == after.kind:
            yield CellPair(before, after)
        else:
            yield CellPair(before, None)
            yield CellPair(None, after)


def notebook_text(document: dict[str, Any], path: str) -> bytes:
    """A notebook, as nbformat 4 describes it, in the form that the path's suffix names."""
    suffix = PurePosixPath(path).suffix
    if suffix == ".ipynb":
        return json.dumps(document, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
    nbformat, jupytext = lean_import("nbformat"), lean_import("jupytext")
    text: str = jupytext.writes(nbformat.from_dict(document), fmt=suffix.removeprefix("."))
    return text.encode()


def changed_values(old: str, new: str, names: Collection[str]) -> set[str] | None:
    """Those of the names that two versions of a parameters cell give other values.

    None where the versions differ in more than that.

    >>> changed_values("C = 1  # cost", "C = 2", {"C"})
    {'C'}
    """
    try:
        before, after = ast.parse(old).body, ast.parse(new).body
    except (SyntaxError, ValueError):
        return None
    if len(before) != len(after):
        return None
    changed = set()
    for one, other in zip(before, after, strict=True):
        if ast.dump(one) == ast.dump(other):
            continue
        name = _assigned(one)
        if name not in names or _assigned(other) != name or _type(one) != _type(other):
            return None
        changed.add(name)
    return changed


def _assigned(statement: ast.stmt) -> str:
    """The one name that the statement gives a value; empty where it does anything else."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return ""


def _type(statement: ast.stmt) -> str | None:
    """The type that is declared for the name."""
    if isinstance(statement, ast.AnnAssign):
        return ast.dump(statement.annotation)
    return None
