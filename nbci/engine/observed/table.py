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
    message: str


LIMITS = (
    Limit(
        what="the clock",
        why="most steps read it somewhere, and few depend on it",
        message="nothing: `cache: disabled` for a step that does",
    ),
    Limit(
        what="random numbers that nobody seeded",
        why="they are others each time, and whoever seeds them wants them kept",
        message="a warning at the step that draws from `random`, `numpy.random` or torch",
    ),
    Limit(
        what="comments, layout and line numbers that code reads of itself",
        why="cells count as Python reads them",
        message="nothing",
    ),
    Limit(
        what="files outside the project that libraries open below Python, or workers of "
        "`multiprocessing` and joblib open, by paths that stand in none of the step's cells and "
        "parameters",
        why="Linux tells what is opened only in folders that were named before",
        message="nothing: `deps`, or a path in the step's code",
    ),
    Limit(
        what="that libraries below Python or child processes looked for a file in vain, "
        "or asked for its size",
        why="the system tells only of what was opened",
        message="nothing: `deps`",
    ),
    Limit(
        what="the size and the time that code asks of an entry of a listing "
        "(`os.scandir`, `DirEntry.stat`)",
        why="Python does not tell of it, and listings count by names, "
        "and by which of them are folders",
        message="nothing: `deps`; `os.stat`, `os.path.getsize` and `Path.stat` count",
    ),
    Limit(
        what="which of several steps at once opened a file below Python",
        why="the system does not tell the process",
        message="nothing: the file counts for all that may have, "
        "so they may run once more than they must",
    ),
    Limit(
        what="other variables that C code and installed packages read",
        why="hundreds are read, and nearly all are settings of the packages",
        message="nothing: name it in the step's `env`",
    ),
    Limit(
        what="connections that libraries make below Python (`libpq`, gRPC, `curl`), "
        "or worker processes",
        why="Python tells only of its own sockets, in the step's own process",
        message="nothing: `cache: disabled` for a step that asks a server",
    ),
    Limit(
        what="variables that worker processes read",
        why="nbci looks at variables in the step's own process",
        message="nothing: name it in the step's `env`",
    ),
    Limit(
        what="the run's id, where code reads all variables at once (`dict(os.environ)`)",
        why="mostly they are passed on to another program",
        message="nothing: `cache: disabled` for a step whose result has them",
    ),
    Limit(
        what="values of secrets",
        why="a secret opens the way to data, and is not data; not even its digest is written down",
        message="nothing: a parameter for what decides the result",
    ),
    Limit(
        what="absolute paths that code makes from relative ones (`abspath`, `__file__`)",
        why="nearly always they only lead to files, which count by themselves",
        message="nothing; `os.getcwd()` and `Path.cwd()` count",
    ),
    Limit(
        what="everything that is not declared, in kernels of other languages",
        why="nbci looks at it from within Python",
        message="nothing: `deps`",
    ),
)


def kinds_table() -> str:
    """What is noted at a step, in Markdown."""
    rows = [(kind.noted, kind.same) for kind in KINDS]
    return _table(("noted", "what must be the same"), rows)


def limits_table() -> str:
    """What is not seen, in Markdown."""
    rows = [(limit.what, limit.why, limit.message) for limit in LIMITS]
    return _table(("not seen", "why", "what nbci says"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    ruler = ("---",) * len(head)
    lines = []
    for cells in (head, ruler, *rows):
        line = " | ".join(cells)
        lines.append(f"| {line} |")
    return "\n".join(lines)
