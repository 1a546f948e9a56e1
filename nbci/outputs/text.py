"""Compare texts: words as they are, numbers within a tolerance."""

from __future__ import annotations

import difflib
import math
import re
from functools import partial
from typing import TYPE_CHECKING

from nbci.closeness import are_close

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Not within a word: digests and names are no numbers. Without giving back (`++`), a million digits
# with a letter behind them are read once, not once for each digit.
_NUMBER = re.compile(
    r"(?<!\w)([-+]?(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][-+]?\d++)?+)(?!\w)", re.ASCII
)
_WHOLE = re.compile(r"[-+]?\d+\.?", re.ASCII)
# CPython's default repr, `<Model object at 0x7f3a…>`: another address in each process.
_ADDRESS = re.compile(r"(?<= at )0x[0-9a-fA-F]+")
_CONTEXT = 3
_SHOWN_LINES = 40
_LONGEST_LINE = 500


def is_same_text(before: str, now: str) -> bool:
    """Whether both say the same: equal words, equal whole numbers, numbers that are close.

    >>> is_same_text("loss 0.5000000001", "loss 0.5"), is_same_text("3 rows", "4 rows")
    (True, False)
    """
    if before == now:
        return True
    lines, others = before.splitlines(), now.splitlines()
    if len(lines) != len(others):
        return False
    return all(map(_line_comparer(lines, others), lines, others))


def text_difference(before: str, now: str) -> tuple[str, ...]:
    """A unified diff around the first lines that differ, without file names."""
    lines, others = before.splitlines(), now.splitlines()
    is_same_line = _line_comparer(lines, others)
    first = 0
    for line, other in zip(lines, others, strict=False):
        if not is_same_line(line, other):
            break
        first += 1
    start = max(0, first - _CONTEXT)
    lines, others = lines[start : first + _SHOWN_LINES], others[start : first + _SHOWN_LINES]
    # A number that differs within the tolerance would stand there as a difference.
    for at, (line, other) in enumerate(zip(lines, others, strict=False)):
        if is_same_line(line, other):
            others[at] = line
    shown = difflib.unified_diff(lines, others, n=_CONTEXT, lineterm="")
    # The first two lines are the names of files.
    return tuple(line[:_LONGEST_LINE] for line in list(shown)[2:])


def _line_comparer(lines: Sequence[str], others: Sequence[str]) -> Callable[[str, str], bool]:
    """What compares a line with its counterpart: with its blanks, or without.

    Columns are as wide as their longest number: where any number is written otherwise, the blanks
    of all lines may be others.
    """
    for line, other in zip(lines, others, strict=False):
        if line != other and _split(line)[1::2] != _split(other)[1::2]:
            return partial(_is_same_line, pads=False)
    return partial(_is_same_line, pads=True)


def _is_same_line(line: str, other: str, *, pads: bool) -> bool:
    if line == other:
        return True
    parts, others = _split(line), _split(other)
    if len(parts) != len(others):
        return False
    words, other_words = parts[::2], others[::2]
    if not pads:
        words, other_words = _without_padding(words), _without_padding(other_words)
    return words == other_words and all(map(_is_close, parts[1::2], others[1::2]))


def _split(line: str) -> list[str]:
    """Words and numbers in turn, a word first."""
    return _NUMBER.split(_ADDRESS.sub("0x…", line))


def _without_padding(words: Sequence[str]) -> list[str]:
    return [" ".join(word.split()) for word in words]


def _is_close(number: str, other: str) -> bool:
    if number == other:
        return True
    # Whole numbers count things: 1000000 rows are not 1000001.
    if _WHOLE.fullmatch(number) and _WHOLE.fullmatch(other):
        return False
    value, other_value = float(number), float(other)
    # `1e400` is infinite, and as text no other's equal.
    if math.isinf(value) or math.isinf(other_value):
        return False
    return are_close(value, other_value)
