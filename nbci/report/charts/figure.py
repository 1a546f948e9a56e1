"""Hold a picture for the report: a file's bytes, its description, and its numbers as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The table that stands beside a picture and says the same."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture of one step (of the run, where `step` is None); `path` is the file's in the report.

    `width` and `height` are its natural size in pixels. Without `path` there is no picture, and
    `note` says why; with one, `note` is what should be known about it. `source` is where the
    numbers were found. One that `is_scrolled` keeps its letters readable on a phone.
    """

    name: str
    title: str
    alt: str = ""
    step: str | None = None
    source: str | None = None
    path: str | None = None
    content: bytes = b""
    width: int = 0
    height: int = 0
    numbers: Numbers | None = None
    note: str | None = None
    is_scrolled: bool = False


def figure_files(figures: Iterable[Figure]) -> dict[str, bytes]:
    """The files of those figures that have a picture, by their paths in the report."""
    return {figure.path: figure.content for figure in figures if figure.path}
