"""Results that a process of this machine is making just now: a lock file for each, by its key.

The lock ends with its holder, however that ends; the file is removed when the result has been made.
So whoever finds it free knows which of the two it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from nbci.store.objects import checked_name

if TYPE_CHECKING:
    from pathlib import Path

IN_THE_MAKING = "making"
"""The folder of the cache with these files."""
_NEVER_KEPT = b"never kept\n"


class InTheMaking:
    """One result, as a process that wants to make it sees it; `close` ends a lock that it has.

    Where a file system has no locks, or none can be written, nobody else is seen.
    """

    def __init__(self, cache: Path, key: str) -> None:
        self._path = cache / IN_THE_MAKING / f"{checked_name(key)}.lock"
        self._descriptor: int | None = None
        self._is_held = False
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self) -> bool:
        """Be the one who makes it; False while another process does."""
        if self._descriptor is None:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._is_held = True
        return True

    @property
    def has_been_made(self) -> bool:
        """Whether another process has come to an end with it since this one began to wait."""
        if self._descriptor is None:
            return False
        # The file is kept open, so that no new one can have its number.
        try:
            return not os.path.samestat(os.fstat(self._descriptor), os.stat(self._path))
        except OSError:
            return True

    @property
    def is_never_kept(self) -> bool:
        """Whether it was found, by whoever made it, to be one that nobody else may take."""
        if self._descriptor is None:
            return False
        with contextlib.suppress(OSError):
            return bool(os.pread(self._descriptor, 1, 0))
        return False

    def end(self, *, is_never_kept: bool) -> None:
        """It has been made, or cannot be; who waits goes on.

        Where it is never kept, nobody waits for it again.
        """
        if self._descriptor is None or not self._is_held:
            return
        with contextlib.suppress(OSError):
            if is_never_kept:
                os.pwrite(self._descriptor, _NEVER_KEPT, 0)
                return
            self._path.unlink()

    def close(self) -> None:
        """Let others make it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
