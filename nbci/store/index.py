"""Digests of files, remembered by what the file system says of them, so that unchanged files are not read again."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path

from nbci.records.model import FileRef
from nbci.store.files import file_digest, write_atomic

_SETTLED_NS = 50_000_000
"""A file touched this shortly before it was read may change again without its times showing it."""
_TRIES = 3


class FileIndex:
    """Remembered digests. Several processes may use one file: the last to save wins, and nothing is lost but time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        self._known: dict[str, list[int | str]] = {}
        try:
            self._known = json.loads(path.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def digest(self, path: Path) -> tuple[str, int]:
        """The digest of the file (see `file_digest`), and its size in bytes."""
        for _ in range(_TRIES):
            before = _signature(path.stat())
            known = self._known.get(str(path))
            if known is not None and known[:4] == before and max(before[2], before[3]) + _SETTLED_NS < int(known[4]):
                return str(known[5]), before[1]
            read_at = time.time_ns()
            digest, size = file_digest(path)
            if _signature(path.stat()) == before:
                self._known[str(path)] = [*before, read_at, digest]
                self._changed = True
                return digest, size
        return file_digest(path)  # it is being written all the time: this is what it was at some moment

    def trust(self, path: Path, digest: str) -> None:
        """Remember the digest of a file that was written under its digest as its name, and never changes."""
        signature = _signature(path.stat())
        self._known[str(path)] = [*signature, max(signature[2], signature[3]) + _SETTLED_NS + 1, digest]
        self._changed = True

    def fingerprint(self, root: Path, path: str) -> FileRef:
        """The file or folder as it stands. A folder's digest is that of its listing: relative paths and digests."""
        place = root / path
        if not place.is_dir():
            digest, size = self.digest(place)
            return FileRef(path=path, digest=digest, bytes=size)
        listing = hashlib.blake2b(digest_size=32)
        total = count = 0
        for file in _below(place):
            digest, size = self.digest(file) if file.is_file() else _special_digest(file)
            listing.update(f"{digest} {file.relative_to(place).as_posix()}\n".encode(errors="surrogateescape"))
            total, count = total + size, count + 1
        return FileRef(path=path, digest=listing.hexdigest(), bytes=total, files=count)

    def save(self) -> None:
        """Keep what was learnt for the next process."""
        if self._changed:
            write_atomic(self._path, json.dumps(self._known))
            self._changed = False


def _signature(found: os.stat_result) -> list[int]:
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _below(folder: Path) -> list[Path]:
    """Everything in the folder but folders themselves; links to folders are not followed."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=False):
        place = Path(parent)
        found += [place / name for name in (*names, *folders) if name in names or (place / name).is_symlink()]
    return sorted(found)


def _special_digest(path: Path) -> tuple[str, int]:
    """For what is no file with bytes to read: a link is where it leads to, a pipe or socket its kind."""
    what = os.readlink(path) if path.is_symlink() else f"mode {stat.S_IFMT(path.lstat().st_mode)}"
    return hashlib.blake2b(os.fsencode(what), digest_size=32).hexdigest(), 0
