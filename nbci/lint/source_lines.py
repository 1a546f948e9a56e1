"""Find the lines of a notebook's cells in the text of its file.

Tools such as Jenkins show files by their lines, not by cells.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.notebook.cells import Cell

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()

CellLines = tuple[int, ...]
"""For each line of a cell's source, the line of the file that holds it."""


def lines_of_cells(text: str, cells: Sequence[Cell], *, is_json: bool) -> tuple[CellLines, ...]:
    """Return the file's lines of each cell's source, in order.

    An entry is empty where the lines cannot be determined.
    """
    if not is_json:
        return tuple(_in_plain_text(text, cells))
    try:
        found = tuple(_in_json(text))
    # findings without lines are better than none: the notebook itself was read by another parser
    except (ValueError, IndexError, RecursionError):
        return ((),) * len(cells)
    if len(found) != len(cells):
        return ((),) * len(cells)
    return found


def _in_plain_text(text: str, cells: Sequence[Cell]) -> Iterator[CellLines]:
    position = 0
    for cell in cells:
        at = text.find(cell.source, position)
        # a blank source would be found anywhere
        if at < 0 or not cell.source.strip():
            yield ()
            continue
        first = text.count("\n", 0, at) + 1
        yield tuple(range(first, first + cell.source.count("\n") + 1))
        position = at + len(cell.source)


def _in_json(text: str) -> Iterator[CellLines]:
    counter = _LineCounter(text)
    cells = _member(text, 0, "cells")
    if cells is None:
        return
    for cell in _elements(text, cells):
        source = _member(text, cell, "source")
        if source is None:
            yield (counter.line(cell),)
        else:
            yield _source_lines(text, source, counter)


def _member(text: str, at: int, key: str) -> int | None:
    """The position of the value of this key in the JSON object that begins here."""
    # the first is taken, and the rest is not read: outputs may be long
    for found, position in _members(text, at):
        if found == key:
            return position
    return None


def _source_lines(text: str, at: int, counter: _LineCounter) -> CellLines:
    """Return the lines of the source that begins here.

    A source is one text, or a list with a text for each line, each of which Jupyter writes on a
    line.
    """
    # all lines of a text in JSON are on one line of the file
    if text[_skip(text, at)] != "[":
        source, _ = _value(text, at)
        return (counter.line(_skip(text, at)),) * (str(source).count("\n") + 1)
    lines: list[int] = []
    begins = True
    line = counter.line(at)
    for element in _elements(text, at):
        part = str(_value(text, element)[0])
        line = counter.line(element)
        ends = part.endswith("\n")
        # an element of the list may hold several lines, or only a part of one
        lines += [line] * (begins + part.count("\n") - ends)
        begins = ends
    # behind a last newline comes one more line, which is empty
    if begins:
        lines.append(line)
    return tuple(lines)


class _LineCounter:
    """The line of a position, asked for in rising order."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.number = 1

    def line(self, position: int) -> int:
        """The line, from 1."""
        # counted on from the position before: counting from the start each time would be quadratic
        self.number += self.text.count("\n", self.position, position)
        self.position = max(position, self.position)
        return self.number


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None, "the pattern matches nothing, too"
    return match.end()


def _value(text: str, at: int) -> tuple[object, int]:
    return _DECODER.raw_decode(text, _skip(text, at))


def _members(text: str, at: int) -> Iterator[tuple[object, int]]:
    """The keys of the JSON object that begins here, each with the position of its value."""
    at = _skip(text, at)
    if text[at] != "{":
        return
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _value(text, at)
        at = _skip(text, _skip(text, at) + 1)
        yield key, at
        at = _next_item(text, at)


def _elements(text: str, at: int) -> Iterator[int]:
    """The positions of the elements of the JSON array that begins here."""
    at = _skip(text, at)
    if text[at] != "[":
        return
    at = _skip(text, at + 1)
    while text[at] != "]":
        yield at
        at = _next_item(text, at)


def _next_item(text: str, at: int) -> int:
    """Where, behind the value that begins here, the next item begins or the container ends."""
    _, at = _value(text, at)
    at = _skip(text, at)
    if text[at] == ",":
        at = _skip(text, at + 1)
    return at
