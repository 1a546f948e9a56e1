"""The tables of docs/reuse.md: what is noted, and what cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.engine.observed.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable


class Limit(Struct, frozen=True, kw_only=True):
    """What nbci does not see, why, and what it says when it meets it."""

    what: str
    why: str
    said: str


LIMITS = (
    Limit(
        what="the clock",
        why="most steps read it somewhere, and few depend on it",
        said="nothing: `cache: disabled` for a step that does",
    ),
    Limit(
        what="random numbers that nobody seeded",
        why="they are others each time, and whoever seeds them wants them kept",
        said="a warning at the step that draws from `random`, `numpy.random` or torch",
    ),
    Limit(
        what="comments, layout and line numbers that code reads of itself",
        why="cells count as Python reads them",
        said="nothing",
    ),
    Limit(
        what="variables that C code and installed packages read",
        why="hundreds are read, and nearly all are settings of the packages",
        said="nothing: name it in the step's `env`",
    ),
    Limit(
        what="values of secrets",
        why="a secret opens the way to data, and is not data; not even its digest is written down",
        said="nothing: a parameter for what decides the result",
    ),
    Limit(
        what="absolute paths that code makes from relative ones (`abspath`, `__file__`)",
        why="nearly always they only lead to files, which count by themselves",
        said="nothing; `os.getcwd()` and `Path.cwd()` count",
    ),
    Limit(
        what="everything that is not declared, in kernels of other languages",
        why="nbci looks at it from within Python",
        said="nothing: `deps`",
    ),
)


def kinds_table() -> str:
    """What is noted at a step, in Markdown."""
    return _table(("noted", "what must be the same"), ((kind.noted, kind.same) for kind in KINDS))


def limits_table() -> str:
    """What is not seen, in Markdown."""
    return _table(("not seen", "why", "what nbci says"), ((limit.what, limit.why, limit.said) for limit in LIMITS))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("-" * 3 for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
