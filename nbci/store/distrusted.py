"""Results that an audit found to be other than what their steps give now.

They stay in the cache for the runs that name them, and are not reused, wherever they come from: a
remote may bring them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.store.files import write_atomic
from nbci.store.objects import checked_name

if TYPE_CHECKING:
    from pathlib import Path

_UNSTEADY = "unsteady"
_ALL = "~"
"""Sorts after every time."""


def stamp(utc: str | None) -> str:
    """A time as the names of results begin with it; stamps sort by time.

    >>> stamp("2026-01-02T03:04:05.500Z")
    '20260102T030405500Z'
    """
    # Without separators, since a colon cannot be in a name on every file system.
    return "".join(filter(str.isalnum, utc or ""))


class Distrusted:
    """A folder with a file for each key whose results are no longer reused.

    The file says until when such results were made, and whether later ones may be reused.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Asked for each of a thousand reused steps, and for most users there is none.
        self._is_empty = not folder.is_dir()

    def add(self, key: str, until_utc: str, *, unsteady: bool = False) -> None:
        """Distrust the key's results that were made until then; `unsteady`: later ones, too.

        Where a later note is there, that one counts.
        """
        until = stamp(until_utc)
        if until < self.until(key) != _ALL:
            return
        words = [until]
        if unsteady:
            words.append(_UNSTEADY)
        write_atomic(self.folder / checked_name(key), " ".join(words) + "\n")
        self._is_empty = False

    def until(self, key: str) -> str:
        """The stamp until which results of the key are distrusted; empty where all are trusted."""
        words = self._words(key)
        if words is None:
            return ""
        # A file that was damaged still says that somebody found the results to be wrong.
        return words[0] if words else _ALL

    def is_unsteady(self, key: str) -> bool:
        """Whether the step with this key gave another result each time."""
        return _UNSTEADY in (self._words(key) or ())

    def _words(self, key: str) -> list[str] | None:
        if self._is_empty:
            return None
        try:
            with open(f"{self.folder}/{key}", encoding="utf-8", errors="replace") as file:
                return file.read().split()
        except FileNotFoundError:
            return None
