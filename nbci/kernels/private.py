"""Folders for kernels' sockets: nobody else can enter them, their paths are short, none outlives
its owner for long.
"""

from __future__ import annotations

import contextlib
import fcntl
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

_swept: set[str] = set()


class PrivateFolder(Struct, frozen=True, kw_only=True):
    """A folder that is this process's as long as it holds a lock on it; `is_short` is false where
    no path is.
    """

    path: Path
    is_short: bool
    _lock: int

    def mark(self, marker: str) -> None:
        """Have whoever sweeps the folder, after this process was killed, end the processes that
        bear this marker.
        """
        with contextlib.suppress(OSError):
            (self.path / MARKED).write_text(marker, encoding="ascii")

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def private_folder() -> PrivateFolder:
    """A new folder; what killed processes left of theirs is removed the first time."""
    place = tempfile.gettempdir()
    if len(place) + len(PREFIX) + 9 > LONGEST and os.access("/tmp", os.W_OK):  # noqa: S108  # mkdtemp makes it private
        place = "/tmp"  # noqa: S108
    if place not in _swept:
        _swept.add(place)
        sweep(place)
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        lock = lock_folder(path)
        if lock is not None:
            return PrivateFolder(path=path, is_short=len(str(path)) <= LONGEST, _lock=lock)


def sweep(place: str) -> None:
    """Remove the folders there that this user's processes left when they were killed, and end their
    kernels.
    """
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if (
                entry.name.startswith(PREFIX)
                and entry.is_dir(follow_symlinks=False)
                and _is_ours(entry)
            ):
                lock = lock_folder(Path(entry.path))
                if lock is not None:
                    _end_marked(Path(entry.path))
                    shutil.rmtree(entry.path, ignore_errors=True)
                    os.close(lock)


def _end_marked(folder: Path) -> None:
    """A killed process's kernel is dead, or dies now; what it started in other sessions may live
    on.
    """
    with contextlib.suppress(OSError, ValueError):
        marker = (folder / MARKED).read_text(encoding="ascii")
        if len(marker) == 32 and marker.isalnum():
            kill(family(NOBODY, marker))


def _is_ours(entry: os.DirEntry[str]) -> bool:
    found = entry.stat(follow_symlinks=False)
    return found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077


def lock_folder(path: Path) -> int | None:
    """Lock a folder until the descriptor is closed, by whatever end; None when it is somebody's, or
    gone.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    except OSError:  # it is locked, or was removed before it could be
        pass
    os.close(descriptor)
    return None
