"""An answer to why a metric moved, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, number, signed
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.records.blames import Blame

_NEGLIGIBLE = 1e-12
"""The share of the values below which a difference is one of rounding."""


def answer_lines(blame: Blame) -> Iterator[str]:
    """The answer for the terminal."""
    yield headline(blame)
    rows = []
    for row in share_rows(blame):
        rows.append([one_line(text) for text in row])
    for line in table(rows, right=frozenset({1})):
        yield f"  {line}"
    together = interaction_text(blame)
    if together:
        yield f"  {one_line(together)}"
    for text in blame.untried:
        yield f"  not tried: {one_line(text)}"
    if blame.hybrids:
        yield f"  {words_taken(blame)}"


def share_rows(blame: Blame) -> list[tuple[str, str, str]]:
    """Each part with its share, and a word to it; in the end what remains."""
    rows = []
    for share in blame.shares:
        rows.append((share.name, _signed(blame, share.share), share.reason))
    unexplained = _signed(blame, blame.unexplained)
    if unexplained != signed(0):
        rows.append(("not explained", unexplained, _why_unexplained(blame)))
    return rows


def words_taken(blame: Blame) -> str:
    """What it took to find out."""
    hybrids, runs = len(blame.hybrids), blame.step_runs
    return f"{counted(hybrids, 'hybrid')}, {counted(runs, 'step run')}, the rest was kept"


def headline(blame: Blame) -> str:
    """What moved, from where to where."""
    before, after = number(blame.before_value), number(blame.after_value)
    if not blame.difference:
        return f"{blame.metric} is {after} in both runs: there is nothing to share out"
    return f"{blame.metric}: {before} → {after}, {signed(blame.difference)}"


def _signed(blame: Blame, change: float) -> str:
    """The change; 0 for what only rounding leaves."""
    largest = max(abs(blame.before_value), abs(blame.after_value))
    if abs(change) <= _NEGLIGIBLE * largest:
        return signed(0)
    return signed(change)


def _why_unexplained(blame: Blame) -> str:
    if blame.untried:
        return "it comes of what is not tried, or of chance"
    return "it comes of chance, or of what nbci does not see"


def interaction_text(blame: Blame) -> str:
    """What the parts do together; empty where they do not."""
    total = _signed(blame, blame.interactions or 0.0)
    if total == signed(0):
        return ""
    text = f"{total} of this is what changes do together, beyond each alone"
    if blame.strongest is not None:
        one, other = blame.strongest.parts
        text += f"; most: {one} with {other}, {_signed(blame, blame.strongest.change)}"
    return text
