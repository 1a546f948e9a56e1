"""Which objects were found to be what their names say.

Each is read once on a machine, then only looked at.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec

from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.store.objects import Objects

# Larger chunks are no faster, and a step may be near the limit of its memory.
_CHUNK_BYTES = 4 << 20


class Seen:
    """Inode, size and time of each object when it was read last.

    In as many files as the objects have folders, so that little is read for few objects. Several
    processes may use one folder: the last to save wins, and nothing is lost but time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, dict[str, tuple[int, int, int]]] = {}
        self._changed: set[Path] = set()

    def holds(self, objects: Objects, name: str) -> bool:
        """Whether the object is there, and is what its name says."""
        path = objects.path(name)
        try:
            found = os.stat(path)
        except OSError:
            return False
        now = (found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._of(objects, name)
        if known.get(name) == now:
            return True
        # The name of a folder's object ends in `.dir`.
        if md5_of(path) != name.partition(".")[0]:
            return False
        self._learn(objects, name, now)
        return True

    def trust(self, objects: Objects, name: str) -> None:
        """The object was digested while it was written."""
        found = os.stat(objects.path(name))
        self._learn(objects, name, (found.st_ino, found.st_size, found.st_mtime_ns))

    def save(self) -> None:
        """Keep what was learnt for the next process."""
        for path in self._changed:
            write_atomic(path, msgspec.json.encode(self._known[path]))
        self._changed.clear()

    def _learn(self, objects: Objects, name: str, now: tuple[int, int, int]) -> None:
        self._of(objects, name)[name] = now
        self._changed.add(self._file(objects, name))

    def _of(self, objects: Objects, name: str) -> dict[str, tuple[int, int, int]]:
        path = self._file(objects, name)
        if path not in self._known:
            try:
                self._known[path] = msgspec.json.decode(
                    path.read_bytes(), type=dict[str, tuple[int, int, int]]
                )
            # Cut, of another version or not there: the objects are read once more, that is all.
            except (OSError, msgspec.DecodeError, msgspec.ValidationError):
                self._known[path] = {}
        return self._known[path]

    def _file(self, objects: Objects, name: str) -> Path:
        return (
            self._folder
            / hashlib.blake2b(bytes(objects.root), digest_size=8).hexdigest()
            / f"{name[:2]}.json"
        )


def md5_of(path: Path | str) -> str:
    """The MD5 of a file's bytes, as DVC knows files."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
