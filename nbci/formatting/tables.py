"""Plain tables for terminals, whose columns are aligned with wide characters too."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NO_WIDTH = frozenset({"Cf", "Me", "Mn"})
_WIDE = frozenset({"W", "F"})
_BETWEEN = "  "


def width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in _NO_WIDTH:
        return 0
    # UAX #11: "wide" and "fullwidth" characters take two cells.
    if unicodedata.east_asian_width(character) in _WIDE:
        return 2
    return 1


def table(rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """The rows as aligned lines; the columns numbered in `right` are flush right."""
    all_rows = list(map(tuple, rows))
    widths = [max(map(width, column)) for column in zip(*all_rows, strict=True)]

    lines = []
    for row in all_rows:
        cells = [_pad(cell, widths[at], at in right) for at, cell in enumerate(row)]
        lines.append(_BETWEEN.join(cells).rstrip())
    return lines


def table_width(columns: Sequence[Sequence[str]]) -> int:
    """How many columns of a terminal a table of these columns takes."""
    widths = [max(map(width, column), default=0) for column in columns]
    return sum(widths) + len(_BETWEEN) * (len(widths) - 1)


def _pad(text: str, columns: int, flush_right: bool) -> str:
    # str.ljust counts characters, of which some take two columns or none.
    space = " " * (columns - width(text))
    if flush_right:
        return space + text
    return text + space
