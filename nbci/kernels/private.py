"""Folders for sockets and counts: private, with short paths, and removed after a kill, too."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import stat
import tempfile
from pathlib import Path

from msgspec import Struct

from nbci.kernels.family import family, kill

PREFIX = "nbci-kernel-"
LONGEST = 70
"""Sockets lie up to two levels deeper, and 107 characters are all that a socket's path may have."""

MARKED = "marker"
NOBODY = -1
"""No process: only who bears the marker is looked for."""


class PrivateFolder(Struct, frozen=True, kw_only=True):
    """A folder that is this process's as long as it holds a lock on it.

    `is_short`: its path leaves room for the names of sockets. A child that inherits the descriptor
    `lock` holds the lock as well.
    """

    path: Path
    is_short: bool
    lock: int

    def mark(self, marker: str) -> None:
        """Note the marker whose bearers `sweep` is to end, in case this process is killed."""
        with contextlib.suppress(OSError):
            (self.path / MARKED).write_text(marker, encoding="ascii")

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def private_folder(prefix: str = PREFIX) -> PrivateFolder:
    """A new folder; what killed processes left of theirs is removed the first time."""
    place = tempfile.gettempdir()
    # macOS has temporary folders with long paths, and TMPDIR may name any.
    is_long = len(place) + len(prefix) + 9 > LONGEST
    if is_long and os.access("/tmp", os.W_OK):  # noqa: S108  # mkdtemp makes it private
        place = "/tmp"  # noqa: S108
    _sweep_once(place, prefix)
    # Again where another process swept the folder before it was locked.
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        lock = lock_folder(path)
        if lock is not None:
            return PrivateFolder(path=path, is_short=len(str(path)) <= LONGEST, lock=lock)


@functools.cache
def _sweep_once(place: str, prefix: str) -> None:
    """Sweep at this process's first folder only: the temporary folder may hold many thousands."""
    sweep(place, prefix)


def sweep(place: str, prefix: str = PREFIX) -> None:
    """Remove the folders there that killed processes of this user left, and end their kernels."""
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if not entry.name.startswith(prefix) or not _is_ours(entry):
                continue
            # Only one whose owner lives is locked.
            lock = lock_folder(Path(entry.path))
            if lock is not None:
                _end_marked(Path(entry.path))
                shutil.rmtree(entry.path, ignore_errors=True)
                os.close(lock)


def _end_marked(folder: Path) -> None:
    """End what a killed process's kernel started, also in other sessions."""
    with contextlib.suppress(OSError, ValueError):
        marker = (folder / MARKED).read_text(encoding="ascii")
        # An empty or cut marker would be borne by processes of others.
        if len(marker) == 32 and marker.isalnum():
            kill(family(NOBODY, marker))


def _is_ours(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder of this user's that nobody else can enter."""
    if not entry.is_dir(follow_symlinks=False):
        return False
    found = entry.stat(follow_symlinks=False)
    return found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077


def lock_folder(path: Path) -> int | None:
    """Lock a folder until the descriptor is closed, also by a kill.

    None when somebody else holds it, or it does not exist any more.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    except OSError:
        # It is locked, or was removed before it could be.
        pass
    os.close(descriptor)
    return None
