"""Which cell of a program became which of another."""

from __future__ import annotations

import difflib
import re
from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Pair = tuple[int | None, int | None]

_ALIKE = 0.4
"""The share of common words from which on one cell counts as an edit of the other."""
_WORDS = re.compile(r"\w+|[^\w\s]")
# Comparing every pair costs the product of the numbers and lengths: a rewritten notebook of long
# cells would take minutes.
_MOST_PAIRS = 400
_COMPARED_CHARACTERS = 1_000


def align(before: Sequence[str], after: Sequence[str]) -> tuple[Pair, ...]:
    """Pairs of indexes in reading order, None where a text came or went.

    Texts that are equal belong together, and between them those that are most alike, in order.

    >>> align(["import os", "fit(1)", "plot()"], ["import os", "load()", "fit(C=1)", "plot()"])
    ((0, 0), (None, 1), (1, 2), (2, 3))
    """
    pairs: list[Pair] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip(range(old_from, old_to), range(new_from, new_to), strict=True)
        else:
            pairs += _pair_replaced(before, after, range(old_from, old_to), range(new_from, new_to))
    return tuple(pairs)


def _pair_replaced(
    before: Sequence[str], after: Sequence[str], gone: range, come: range
) -> Iterator[Pair]:
    at_old, at_new = gone.start, come.start
    for old, new in [*_likely_pairs(before, after, gone, come), (gone.stop, come.stop)]:
        # What lies between two pairs stands on one side only.
        yield from zip(range(at_old, old), repeat(None))
        yield from zip(repeat(None), range(at_new, new))
        if old < gone.stop:
            yield old, new
        at_old, at_new = old + 1, new + 1


def _likely_pairs(
    before: Sequence[str], after: Sequence[str], gone: range, come: range
) -> list[tuple[int, int]]:
    """Of the cells that went and those that came, the pairs that together are most alike."""
    if len(gone) == len(come) == 1 or len(gone) * len(come) > _MOST_PAIRS:
        return list(zip(gone, come, strict=False))

    # best[i][j]: how alike the pairs among the first i that went and the first j that came can be,
    # as in the longest common subsequence, but with likeness in the place of equality
    best = [[0.0] * (len(come) + 1)]
    for i, old in enumerate(gone):
        row = [0.0]
        for j, new in enumerate(come):
            likeness = _likeness(before[old], after[new])
            paired = 0.0
            if likeness >= _ALIKE:
                paired = best[i][j] + likeness
            row.append(max(best[i][j + 1], row[j], paired))
        best.append(row)

    # From the end back: a step that loses nothing leaves a text without a partner.
    pairs: list[tuple[int, int]] = []
    i, j = len(gone), len(come)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((gone[i], come[j]))
    return pairs[::-1]


def _likeness(old: str, new: str) -> float:
    old_words = _WORDS.findall(old[:_COMPARED_CHARACTERS])
    new_words = _WORDS.findall(new[:_COMPARED_CHARACTERS])
    matcher = difflib.SequenceMatcher(None, old_words, new_words, autojunk=False)
    # The quick ratio is an upper bound, and spares most of the comparisons.
    if matcher.quick_ratio() < _ALIKE:
        return 0.0
    return matcher.ratio()
