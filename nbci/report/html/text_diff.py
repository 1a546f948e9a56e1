"""Show the difference of two texts: removed and added lines, and the words that differ in them."""

from __future__ import annotations

import difflib
import re
from itertools import groupby
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
    """How many lines came, and how many went."""
    signs = [line[:1] for line in lines]
    return signs.count("+"), signs.count("-")


def _blocks(lines: Sequence[str]) -> Iterator[Markup]:
    gone: list[str] = []
    for sign, group in groupby(lines, key=lambda line: line[:1]):
        block = list(group)
        # Only added lines directly behind removed ones count as their replacement.
        if sign != "+":
            yield from _changed(gone, [])
            gone = []
        match sign:
            case "-":
                gone = block
            case "+":
                yield from _changed(gone, block)
                gone = []
            case "@":
                yield from filter(None, map(_hunk, block))
            case _:
                yield fragment(*(f"{_cut(line)}\n" for line in block))
    yield from _changed(gone, [])


def _changed(gone: Sequence[str], come: Sequence[str]) -> Iterator[Markup]:
    """Removed lines and the lines that replaced them.

    The words of lines that are alike are compared.
    """
    pairs = _alike([line[1:] for line in gone], [line[1:] for line in come])
    back = {new: old for old, new in pairs.items()}
    for at, line in enumerate(gone):
        if at in pairs:
            yield _line("del", line, _with_words_marked(line[1:], come[pairs[at]][1:]))
        else:
            yield _line("del", line, _cut(line[1:]))
    for at, line in enumerate(come):
        if at in back:
            yield _line("ins", line, _with_words_marked(line[1:], gone[back[at]][1:]))
        else:
            yield _line("ins", line, _cut(line[1:]))


def _alike(gone: Sequence[str], come: Sequence[str]) -> dict[int, int]:
    """Which line became which, in order."""
    if not gone or not come or len(gone) * len(come) > _PAIRS:
        return {}
    found: dict[int, int] = {}
    begin = 0
    for at, old in enumerate(gone):
        # The negative number makes max() prefer the first of equally similar lines.
        ratios = [(_ratio(old, new), -number) for number, new in enumerate(come[begin:], begin)]
        best, where = max(ratios, default=(0.0, 0))
        if best >= _ALIKE:
            found[at] = -where
            # Later lines may only match behind this one, so that the pairs stay in order.
            begin = -where + 1
    return found


def _ratio(old: str, new: str) -> float:
    if max(len(old), len(new)) > _LONGEST:
        return 0.0
    return difflib.SequenceMatcher(
        None, _WORDS.findall(old), _WORDS.findall(new), autojunk=False
    ).ratio()


def _line(tag: str, line: str, content: str) -> Markup:
    return element(tag, line[:1], content, "\n")


def _hunk(line: str) -> Markup | None:
    """Where a later part of the text begins; nothing for a text's beginning."""
    found = _HUNK.match(line)
    if found is None or max(int(found[1]), int(found[3])) <= 1:
        return None
    return element("span", f"line {found[3]}\n", class_="hunk")


def _cut(line: str) -> str:
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
