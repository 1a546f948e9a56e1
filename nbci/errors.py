"""The errors that nbci raises, grouped by who must act.

The command line turns them into output and an exit code.
"""

from __future__ import annotations

import difflib
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class ExitCode(IntEnum):
    """The exit code of a command.

    `schemas/exit-codes.json` holds the same table for other programs.
    """

    SUCCESS = 0
    STEP_FAILED = 1
    USAGE = 2
    GATE_REFUSED = 3
    INFRASTRUCTURE = 4
    INTEGRITY = 5
    BUG = 70
    INTERRUPTED = 130


class Location:
    """Where in the user's files something is: path, cell, line; whatever is known of it."""

    __slots__ = ("_find", "_mark", "cell", "first_line", "path")

    def __init__(
        self,
        path: str,
        *,
        cell: int | None = None,
        first_line: str | None = None,
        line: int | None = None,
        column: int | None = None,
        find: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        """Note the place; `cell`, `line` and `column` count from 1.

        `first_line` is the cell's first line, by which people recognise the cell. `find` gives
        line and column, and is called only when one of them is read.
        """
        self.path = path
        self.cell = cell
        self.first_line = first_line
        self._mark: tuple[int | None, int | None] = (line, column)
        self._find = find

    @property
    def line(self) -> int | None:
        """The line in the file or cell."""
        return self._line_and_column()[0]

    @property
    def column(self) -> int | None:
        """The column in that line."""
        return self._line_and_column()[1]

    def _line_and_column(self) -> tuple[int | None, int | None]:
        # To find them may mean to parse the file again: once, and only for messages that are shown.
        if self._find is not None:
            self._mark, self._find = self._find(), None
        return self._mark

    def __str__(self) -> str:
        parts = [self.path]
        if self.cell is not None:
            parts.append(f"cell {self.cell}")
        if self.cell is not None and self.first_line:
            # Numbers of cells are not shown in JupyterLab: people know a cell by how it begins.
            parts[-1] += f" ({self.first_line[:60]!r})"
        if self.line is not None:
            parts.append(f"line {self.line}")
        if self.line is not None and self.column is not None:
            parts.append(f"column {self.column}")
        return ", ".join(parts)


class NbciError(Exception):
    """The base class of nbci's errors: what happened, where, and what to do about it.

    `message` is one sentence without a final full stop; `hint` says what to do, `where` names the
    place.
    """

    exit_code = ExitCode.BUG

    def __init__(
        self, message: str, *, hint: str | None = None, where: Location | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        if self.where is None:
            return self.message
        return f"{self.where}: {self.message}"


class UsageError(NbciError):
    """The user's command, notebook, pipeline or configuration is wrong; nothing has run."""

    exit_code = ExitCode.USAGE


class StepError(NbciError):
    """One of the user's steps failed."""

    exit_code = ExitCode.STEP_FAILED


class InfrastructureError(NbciError):
    """The machine, not the user's code, failed; trying again may help."""

    exit_code = ExitCode.INFRASTRUCTURE


class IntegrityError(NbciError):
    """Something stored is not what its name or digest says."""

    exit_code = ExitCode.INTEGRITY


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` was probably meant to be, or None when nothing is close.

    Upper and lower case count as the same.
    """
    folded: dict[str, str] = {}
    for candidate in candidates:
        folded.setdefault(candidate.casefold(), candidate)
    # difflib's own cutoff; with a higher one, two slips in a short name are too many.
    matches = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    if not matches:
        return None
    return folded[matches[0]]


def spelling_hint(name: str, known: Iterable[str], otherwise: str) -> str:
    """The hint for an unknown name: the known one that is close to it, else `otherwise`."""
    close = nearest(name, known)
    if close is None:
        return otherwise
    return f"did you mean {close!r}?"


def spelling_suffix(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: ` (did you mean 'NAME'?)`, or nothing."""
    close = nearest(name, known)
    if close is None:
        return ""
    return f" (did you mean {close!r}?)"
