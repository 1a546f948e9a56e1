"""Compare tables in HTML cell by cell, whatever their styles and ids."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from msgspec import Struct, field

from nbci.formatting.numbers import counted
from nbci.formatting.text import short_line
from nbci.outputs.text import is_same_text, text_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

_CELLS = ("td", "th")
_UNSEEN = ("style", "script")
_SHOWN_CELLS = 10


class TableDifference(Struct, frozen=True, kw_only=True):
    """What differs, in a sentence and as lines of a diff."""

    message: str
    lines: tuple[str, ...] = ()


class _Page(Struct):
    """The rows of all tables of an HTML text, and the text around them."""

    rows: list[list[str]] = field(default_factory=list)
    around: list[str] = field(default_factory=list)


def has_table(html: object) -> bool:
    """Whether the value is HTML with a table in it."""
    return isinstance(html, str) and "<table" in html.lower()


def table_difference(before: str, now: str) -> TableDifference | None:
    """The first thing in which the tables differ; None where they say the same.

    Shape, then cells, then the text around.
    """
    old, new = _read(before), _read(now)
    shape = _shape_difference(old.rows, new.rows)
    if shape is not None:
        return TableDifference(message=shape)
    differing = list(_differing_cells(old.rows, new.rows))
    if differing:
        return _cells_differ(differing)
    text, other = "\n".join(old.around), "\n".join(new.around)
    if is_same_text(text, other):
        return None
    message = "the text around the table differs"
    return TableDifference(message=message, lines=text_difference(text, other))


def _shape_difference(old: list[list[str]], new: list[list[str]]) -> str | None:
    if len(old) != len(new):
        return f"the table has {counted(len(new), 'row')}, stored are {len(old)}"
    for number, (row, other) in enumerate(zip(old, new, strict=True), start=1):
        if len(row) != len(other):
            return (
                f"row {number} of the table has {counted(len(other), 'cell')}, "
                f"stored are {len(row)}"
            )
    return None


def _differing_cells(old: list[list[str]], new: list[list[str]]) -> Iterator[tuple[str, str, str]]:
    """The place, the stored text and the text now of each cell that differs."""
    for number, (row, other) in enumerate(zip(old, new, strict=True), start=1):
        for at, (text, other_text) in enumerate(zip(row, other, strict=True)):
            if not is_same_text(text, other_text):
                yield f"row {number}, {_column(old, at)}", text, other_text


def _column(rows: list[list[str]], at: int) -> str:
    """How the column is called: by the first row, where that says something."""
    if at < len(rows[0]) and rows[0][at]:
        return short_line(rows[0][at])
    return f"column {at + 1}"


def _cells_differ(differing: list[tuple[str, str, str]]) -> TableDifference:
    lines: list[str] = []
    for place, text, other in differing[:_SHOWN_CELLS]:
        lines += (f"-{place}: {short_line(text)}", f"+{place}: {short_line(other)}")
    verb = "differ"
    if len(differing) == 1:
        verb = "differs"
    message = f"{counted(len(differing), 'cell')} of the table {verb}"
    return TableDifference(message=message, lines=tuple(lines))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = _Page()
        self._into: list[str] = self.page.around
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.end_cell()
            self.page.rows.append([])
        elif tag in _CELLS:
            self.end_cell()
            self._into = []
        elif tag in _UNSEEN:
            self._unseen += 1
        elif tag == "img":
            # A picture in a cell is what the cell shows.
            self._into.append(str(dict(attrs).get("src")))

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in (*_CELLS, "tr", "table"):
            self.end_cell()

    def handle_data(self, data: str) -> None:
        # Styles hold random ids: those of pandas' Styler are another in each process.
        if not self._unseen and data.strip():
            self._into.append(" ".join(data.split()))

    def end_cell(self) -> None:
        """Take the text since the cell began for the cell's; nothing outside a cell."""
        if self._into is self.page.around:
            return
        # Cells may stand without a row in what people write by hand.
        if not self.page.rows:
            self.page.rows.append([])
        self.page.rows[-1].append(" ".join(self._into))
        self._into = self.page.around


def _read(html: str) -> _Page:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    # HTML lets the last end tags be left out.
    reader.end_cell()
    return reader.page
