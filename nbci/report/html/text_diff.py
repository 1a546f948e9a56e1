"""Show the difference of two texts: removed and added lines, and the words that differ in them."""

from __future__ import annotations

import difflib
import re
from itertools import groupby
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_LINES = 400
_LONGEST = 2_000
# Each pair of lines is compared, so the time grows with the product of both counts.
_PAIRS = 400
_ALIKE = 0.5
_WORDS = re.compile(r"\w+|\s+|.", re.DOTALL)
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


def diff_block(lines: Sequence[str], *, label: str = "Difference") -> Markup:
    """Return a box with the lines of a unified diff, without its file names.

    Of a very long diff, only the beginning is shown.
    """
    shown = list(_blocks(lines[:_LINES]))
    if len(lines) > _LINES:
        shown.append(
            element("span", f"… {counted(len(lines) - _LINES, 'line')} more of this difference …\n")
        )
    return element(
        "pre", element("code", *shown), class_="diff", tabindex=0, role="region", aria_label=label
    )


def counts(lines: Iterable[str]) -> tuple[int, int]:
    """How many lines of a unified diff were added, and how many were removed."""
    signs = [line[:1] for line in lines]
    return signs.count("+"), signs.count("-")


def _blocks(lines: Sequence[str]) -> Iterator[Markup]:
    removed: list[str] = []
    for sign, group in groupby(lines, key=lambda line: line[:1]):
        block = list(group)
        # Only added lines directly behind removed ones count as their replacement.
        if sign != "+":
            yield from _compare_lines(removed, [])
            removed = []
        match sign:
            case "-":
                removed = block
            case "+":
                yield from _compare_lines(removed, block)
                removed = []
            case "@":
                yield from filter(None, map(_hunk, block))
            case _:
                yield fragment(*(f"{_shorten(line)}\n" for line in block))
    yield from _compare_lines(removed, [])


def _compare_lines(removed: Sequence[str], added: Sequence[str]) -> Iterator[Markup]:
    """Removed lines and the lines that replaced them.

    The words of lines that are alike are compared.
    """
    old, new = _without_signs(removed), _without_signs(added)
    pairs = _pairs_of_lines(old, new)
    yield from _marked_lines("del", "-", old, new, pairs)
    pairs_from_new = {after: before for before, after in pairs.items()}
    yield from _marked_lines("ins", "+", new, old, pairs_from_new)


def _without_signs(lines: Iterable[str]) -> list[str]:
    return [line[1:] for line in lines]


def _marked_lines(
    tag: str, sign: str, lines: Sequence[str], others: Sequence[str], pairs: Mapping[int, int]
) -> Iterator[Markup]:
    """The lines as elements; `pairs` has the index of the counterpart of a line among `others`."""
    for at, line in enumerate(lines):
        shown = _shorten(line)
        if at in pairs:
            shown = _with_words_marked(line, others[pairs[at]])
        yield element(tag, sign, shown, "\n")


def _pairs_of_lines(removed: Sequence[str], added: Sequence[str]) -> dict[int, int]:
    """Which line became which, by their indexes, in order."""
    if not removed or not added or len(removed) * len(added) > _PAIRS:
        return {}
    found: dict[int, int] = {}
    begin = 0
    for at, old in enumerate(removed):
        best, where = 0.0, 0
        for number in range(begin, len(added)):
            ratio = _ratio(old, added[number])
            # Of equally similar lines, the first.
            if ratio > best:
                best, where = ratio, number
        if best >= _ALIKE:
            found[at] = where
            # Later lines may only match behind this one, so that the pairs stay in order.
            begin = where + 1
    return found


def _ratio(old: str, new: str) -> float:
    if max(len(old), len(new)) > _LONGEST:
        return 0.0
    return difflib.SequenceMatcher(
        None, _WORDS.findall(old), _WORDS.findall(new), autojunk=False
    ).ratio()


def _hunk(line: str) -> Markup | None:
    """Where a later part of the text begins; nothing for a text's beginning."""
    found = _HUNK.match(line)
    if found is None or max(int(found[1]), int(found[3])) <= 1:
        return None
    return element("span", f"line {found[3]}\n", class_="hunk")


def _shorten(line: str) -> str:
    if len(line) <= _LONGEST:
        return line
    return f"{line[:_LONGEST]} … {len(line) - _LONGEST:,} characters more"


def _with_words_marked(mine: str, other: str) -> Markup:
    """A line with the words marked that its counterpart has not."""
    words, others = _WORDS.findall(mine), _WORDS.findall(other)
    # autojunk would ignore frequent words, such as spaces, in texts of 200 words or more.
    matcher = difflib.SequenceMatcher(None, words, others, autojunk=False)
    parts: list[str] = []
    for tag, begin, end, _, _ in matcher.get_opcodes():
        text = "".join(words[begin:end])
        if text and tag != "equal":
            text = element("mark", text)
        parts.append(text)
    return fragment(*parts)
