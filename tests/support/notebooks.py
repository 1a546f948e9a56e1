"""Notebooks written for a test, cell by cell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_OTHER_KINDS = {"markdown", "raw"}


def write_notebook(
    path: Path,
    cells: Iterable[str | tuple[str | Iterable[str], str]],
    *,
    kernel: str = "python3",
    language: str = "python",
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Write `cells` as nbformat 4.5 and return `path`; its folder is made.

    A cell is its source, or `(tags, source)` with the tags as a list or separated by spaces.
    `markdown` or `raw` among the tags makes it a cell of that kind.
    """
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": kernel, "display_name": kernel, "language": language},
            "language_info": {"name": language},
            **(metadata or {}),
        },
        "cells": [_cell(number, cell) for number, cell in enumerate(cells, start=1)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _cell(number: int, cell: str | tuple[str | Iterable[str], str]) -> dict[str, Any]:
    tags, source = ("", cell) if isinstance(cell, str) else cell
    names = tags.split() if isinstance(tags, str) else list(tags)
    kind = next((name for name in names if name in _OTHER_KINDS), "code")
    kept = [name for name in names if name not in _OTHER_KINDS]
    written: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {"tags": kept} if kept else {},
        "source": source.splitlines(keepends=True),
    }
    if kind == "code":
        written |= {"execution_count": None, "outputs": []}
    return written
