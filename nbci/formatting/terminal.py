"""How numbers, durations and foreign text look to people; plain tables that stand straight with
wide characters too.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING

from nbci.formatting.plain import is_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)"  # OSC and its like: window titles, links
    r"|[ -/]*[0-OQ-WYZ\\`-~])"
)
_BREAKS = re.compile("[\x0b\x0c\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x07\x0e-\x1f\x7f-\x9f]")
_NO_TEXT = bytes({*range(0x20), 0x7F} - {*b"\t\n\r\b"})


def without_controls(text: str) -> str:
    r"""The text without ANSI codes and control characters; `\n`, `\r`, `\b` and tabs stay."""
    if is_plain(text, _NO_TEXT):
        return text
    return _CONTROLS.sub("", _BREAKS.sub(" ", ESCAPE.sub("", text)))


def one_line(text: str) -> str:
    """Foreign text as one clean line."""
    return " ".join(re.sub("[\b]", "", without_controls(text)).split())


def duration(seconds: float) -> str:
    """A time span for people: `3.2 s`, `90 s`, `12 min 05 s`, `3 h 07 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def number(value: float) -> str:
    """A metric for people: five significant digits at most, whole numbers whole."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.5g}"


def counted(count: int, word: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def width(text: str) -> int:
    """How many terminal columns the text takes."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Me", "Mn"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def table(rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """The rows as aligned lines; the columns numbered in `right` are flush right."""
    kept = [tuple(row) for row in rows]
    columns = [max(width(cell) for cell in column) for column in zip(*kept, strict=True)]
    return [
        "  ".join(_padded(cell, columns[i], i in right) for i, cell in enumerate(row)).rstrip()
        for row in kept
    ]


def _padded(text: str, columns: int, right: bool) -> str:
    space = " " * (columns - width(text))
    return space + text if right else text + space
