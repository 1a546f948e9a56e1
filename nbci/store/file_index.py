"""Digests of files, remembered by what the file system says of them.

Unchanged files are not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from nbci.digests import file_digest
from nbci.errors import Location, StepError
from nbci.records.run_record import FileRef
from nbci.store.files import write_atomic
from nbci.store.seen import md5_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project

FOLDER_SUFFIX = ".dir"
"""How the digests of folders end."""
SETTLED_NS = 50_000_000
"""A file touched this shortly before it was read may change again without its times showing it."""
_COARSE_NS = 2_000_000_000
"""The same, where the file system counts whole seconds."""
# A file that changes in all of them is being written.
_TRIES = 3
_OF_THE_TOOLS = frozenset((".git", ".hg", ".dvc"))
"""What DVC never takes for data."""

_Entry = tuple[int, int, int, int, int, str]
"""Inode, size, time of change of the content, time of change of the inode, when it was read,
digest.
"""


def project_index(project: Project) -> FileIndex:
    """What is remembered of the files that a project uses."""
    return FileIndex(project.state_folder / "digests.json")


class _Table(msgspec.Struct):
    """What is remembered together.

    Digests of single files, or of one folder with the digest of its listing.
    """

    entries: dict[str, _Entry]
    listing: str | None = None


class FileIndex:
    """Remembered digests.

    Several processes may use one file: the last to save wins, and only time is lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tables: dict[Path, _Table] = {}
        self._changed: set[Path] = set()

    def digest(self, path: Path | str) -> tuple[str, int]:
        """The fast digest of the file (see `file_digest`), and its size in bytes."""
        table, name = self._table(self._path), str(path)
        for _ in range(_TRIES):
            before = _signature(os.stat(path))
            # Looked at before it is read and after: what is remembered belongs to one state of it.
            known = table.entries.get(name)
            if known is not None and _stands(known, before):
                return known[5], before[1]
            read_at = time.time_ns()
            digest, size = file_digest(path)
            if _signature(os.stat(path)) == before:
                self._learn(self._path, name, (*before, read_at, digest))
                return digest, size
        # It is being written all the time: this is what it was at some moment.
        return file_digest(path)

    def trust(self, path: Path, digest: str) -> None:
        """Remember the digest of a file that is named by it, and never changes.

        When somebody has removed it there is nothing to remember; its reader will see.
        """
        try:
            signature = _signature(path.stat())
        except FileNotFoundError:
            return
        self._learn(
            self._path, str(path), (*signature, max(signature[2:]) + _COARSE_NS + 1, digest)
        )

    def fingerprint(self, root: Path, path: str) -> FileRef:
        """The file or folder as DVC knows it: MD5 of its bytes, or of its listing.

        StepError if it cannot be read.
        """
        place = root / path
        try:
            if not place.is_dir():
                found = place.stat()
                digest = self._md5(self._path, f"md5:{place}", place, found)
                return FileRef(path=path, digest=digest, bytes=found.st_size)
            digest, files = self._folder(place)
        except OSError as error:
            shown = path
            if error.filename is not None:
                shown = os.path.relpath(error.filename, root)
            raise StepError(f"cannot be read: {error.strerror}", where=Location(shown)) from error
        return FileRef(
            path=path,
            digest=digest,
            bytes=sum(entry[1] for entry in files.values()),
            files=len(files),
        )

    def listing(self, folder: Path) -> dict[str, str]:
        """The MD5 of each file of a folder, by its path in it."""
        return {name: entry[5] for name, entry in self._folder(folder)[1].items()}

    def note_placed(self, place: Path, ref: FileRef, listing: Mapping[str, str] | None) -> None:
        """Remember an artifact just put into the workspace, which is what it should be."""
        if listing is None:
            self._learn(self._path, f"md5:{place}", _entry_of(place, ref.digest))
            return
        path = self._table_of(place)
        entries = {name: _entry_of(place / name, digest) for name, digest in listing.items()}
        self._tables[path] = _Table(entries, ref.digest)
        self._changed.add(path)

    def save(self) -> None:
        """Keep what was learnt for the next process."""
        for path in self._changed:
            # Files whose names are no UTF-8 are read again each time.
            with suppress(UnicodeEncodeError):
                write_atomic(path, msgspec.json.encode(self._tables[path]))
        self._changed.clear()

    def _folder(self, folder: Path) -> tuple[str, dict[str, _Entry]]:
        """The digest of a folder, and what is known of each file now.

        The files of links to folders are not in it.
        """
        path = self._table_of(folder)
        table = self._table(path)
        # Only what is there now: names of removed files do not pile up.
        now: dict[str, _Entry] = {}
        for name, place, found in _below(str(folder), ""):
            known = table.entries.get(name)
            if known is None or not _stands(known, _signature(found)):
                self._md5(path, name, place, found)
                known = table.entries[name]
                table.listing = None
            now[name] = known
        if len(now) != len(table.entries) or table.listing is None:
            table.entries = now
            table.listing = listing_digest({name: entry[5] for name, entry in now.items()})
            self._changed.add(path)
        return table.listing, now

    def _md5(self, table: Path, name: str, place: Path | str, found: os.stat_result) -> str:
        """The MD5 of a file; StepError when it is being written all the time."""
        if not stat.S_ISREG(found.st_mode):
            raise StepError("this is no file with bytes to read", where=Location(str(place)))
        for _ in range(_TRIES):
            before = _signature(found)
            known = self._table(table).entries.get(name)
            if known is not None and _stands(known, before):
                return known[5]
            read_at = time.time_ns()
            digest = md5_of(place)
            found = os.stat(place)
            if _signature(found) == before:
                self._learn(table, name, (*before, read_at, digest))
                return digest
        raise StepError(
            "the file changes while it is read",
            where=Location(str(place)),
            hint="wait until it is complete",
        )

    def _learn(self, table: Path, name: str, entry: _Entry) -> None:
        self._table(table).entries[name] = entry
        self._changed.add(table)

    def _table_of(self, folder: Path) -> Path:
        name = hashlib.blake2b(bytes(folder), digest_size=12).hexdigest()
        return self._path.with_suffix("") / f"{name}.json"

    def _table(self, path: Path) -> _Table:
        if path not in self._tables:
            try:
                self._tables[path] = msgspec.json.decode(path.read_bytes(), type=_Table)
            except (OSError, msgspec.MsgspecError):
                self._tables[path] = _Table({})
        return self._tables[path]


def listing_digest(files: Mapping[str, str]) -> str:
    """The digest of a folder with these files and their MD5s."""
    return hashlib.md5(listing_bytes(files), usedforsecurity=False).hexdigest() + FOLDER_SUFFIX


def listing_bytes(files: Mapping[str, str]) -> bytes:
    """A folder's listing to the byte as DVC writes it."""
    entries = [{"md5": files[name], "relpath": name} for name in sorted(files)]
    return json.dumps(entries).encode()


def _stands(known: _Entry, now: tuple[int, int, int, int]) -> bool:
    """Whether the file is as it was, and was read long enough after its last change.

    Two changes within one tick of the clock look alike: https://git-scm.com/docs/racy-git
    """
    if known[:4] != now:
        return False
    settled_ns = SETTLED_NS
    # HFS+, FAT and some network file systems have no fractions of seconds.
    if now[2] % 1_000_000_000 == 0:
        settled_ns = _COARSE_NS
    return max(now[2:]) + settled_ns < known[4]


def _signature(found: os.stat_result) -> tuple[int, int, int, int]:
    """The state of a file that nobody may write to: inode, size and time.

    Linking it elsewhere changes the other time.
    """
    # A read-only file with links (an object in a workspace) gets a new time with each further link,
    # and would be read again after every run.
    changed_ns = 0
    if found.st_mode & 0o222:
        changed_ns = found.st_ctime_ns
    return found.st_ino, found.st_size, found.st_mtime_ns, changed_ns


def _entry_of(place: Path, digest: str) -> _Entry:
    """The state of a file that nbci put there.

    When its own time is old enough, whatever is written to it later shows.
    """
    now, signature = time.time_ns(), _signature(place.stat())
    read_at = now
    if signature[2] + _COARSE_NS < now:
        read_at = max(signature[2:]) + _COARSE_NS + 1
    return (*signature, read_at, digest)


def _below(folder: str, prefix: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Every file in the folder: its path in it, its path, and what it is."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in _OF_THE_TOOLS:
                continue
            # Links to folders may lead in a circle.
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, f"{prefix}{entry.name}/")
            elif not entry.is_symlink():
                yield prefix + entry.name, entry.path, entry.stat()
            elif not entry.is_dir():
                yield prefix + entry.name, entry.path, os.stat(entry.path)
