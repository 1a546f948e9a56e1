"""What runs left behind: executed notebooks and outs, read when a page asks for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.behaviour.of_runs import MeasuredAgain, RunFiles
from nbci.errors import NbciError
from nbci.graph import by_name
from nbci.runs.file_names import NOTEBOOK
from nbci.runs.folder import RunFolder, parse_executed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbci.plan.compare import Compared
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.store.cache import Cache
    from nbci.store.file_index import FileIndex

_LIMIT_BYTES = 32_000_000
# A run's results may be pruned or damaged at any time after it: that must not stop a report.
_GONE = (NbciError, OSError, ValueError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultStore:
    """Where the things lie that runs of a project made; no cache where it cannot be used."""

    root: Path
    cache: Cache | None
    index: FileIndex

    def listing(self, ref: FileRef) -> dict[str, str] | None:
        """Return the files of a folder, each with its digest.

        None for a file that is no folder, and where the folder's files are no longer known.
        """
        if self.cache is None:
            return None
        try:
            return self.cache.artifacts.listing(ref.digest)
        except _GONE:
            return None

    def files_of(self, run: Compared) -> RunFiles:
        """The run with the places of its outs."""
        return RunFiles(run, StoredFiles(self, run.record.outs).place)

    def measured_again(self, record: RunRecord, identity: str | None) -> dict[str, MeasuredAgain]:
        """What steps of the run gave with the files of the baseline of that identity, by steps."""
        found = {}
        for again in record.remeasured:
            if again.identity == identity and again.reason is None:
                outs = {ref.path: ref for ref in again.outs}
                place_of = StoredFiles(self, outs).place
                found[again.step] = MeasuredAgain(again.run or record.run, place_of)
        return found


class StoredNotebooks(Mapping[str, Mapping[str, Any]]):
    """The executed notebooks of a run, also of steps that it reused.

    One that is gone or damaged is not there.
    """

    def __init__(self, store: ResultStore, folder: RunFolder, record: RunRecord) -> None:
        self._store, self._folder = store, folder
        self._records = by_name(record.steps)
        self._found: dict[str, Mapping[str, Any] | None] = {}

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        if name not in self._records:
            raise KeyError(name)
        # Several pages ask for the same notebook, and parsing one with figures is slow; that it is
        # lost is remembered too.
        if name not in self._found:
            self._found[name] = self._read(name)
        found = self._found[name]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return filter(self.__contains__, self._records)

    def __len__(self) -> int:
        # Not by list(self), which asks for the length first.
        return sum(map(self.__contains__, self._records))

    def _read(self, name: str) -> Mapping[str, Any] | None:
        try:
            return self._folder.read_executed(name) or self._of_reused(name)
        except _GONE:
            return None

    def _of_reused(self, name: str) -> Mapping[str, Any] | None:
        record, cache = self._records[name], self._store.cache
        if record.result != "reused" or not record.run:
            return None
        # The folder of the run that executed the step may have been pruned: the cache has a copy.
        executed = self._folder.beside(record.run).step(name) / NOTEBOOK
        if executed.is_file():
            return parse_executed(executed.read_bytes())
        if cache is None:
            return None
        copy = cache.notebook_of(record, self._store.index)
        if copy is None:
            return None
        return parse_executed(copy.read_bytes())


class StoredFiles:
    """The content of a run's outs by path, as the run recorded them.

    Very large files are not read.
    """

    def __init__(self, store: ResultStore, outs: Mapping[str, FileRef]) -> None:
        self._store = store
        self._refs = outs
        self._listings: dict[str, dict[str, str]] = {}

    def __call__(self, path: str) -> bytes | None:
        """Return the file's bytes, None where they are no longer available.

        `folder/file` names a file of a folder that is an out.
        """
        ref = self._refs.get(path)
        if ref is None:
            digest = self._digest_in_folder(path)
        elif ref.bytes > _LIMIT_BYTES:
            return None
        else:
            digest = ref.digest
        if digest is None:
            return None
        return self._read_stored(digest) or self._read_in_project(path, digest)

    def place(self, path: str) -> Path | None:
        """Where a file that is an out lies, however large; None where it is no longer available."""
        ref = self._refs.get(path)
        if ref is None:
            return None
        for stored in self._stored_places(ref.digest):
            if stored.is_file():
                return stored
        # What is not kept, of a step without cache, may still stand where the step wrote it.
        root = self._store.root
        try:
            found = self._store.index.fingerprint(root, path)
        except _GONE:
            return None
        if found.digest == ref.digest:
            return root / path
        return None

    def within(self, folder: str) -> tuple[str, ...]:
        """The files of a folder that is an out, by their paths in it."""
        if folder not in self._refs:
            return ()
        return tuple(self._listing(folder))

    def _digest_in_folder(self, path: str) -> str | None:
        for folder in self._refs:
            if not path.startswith(f"{folder}/"):
                continue
            digest = self._listing(folder).get(path.removeprefix(f"{folder}/"))
            if digest is not None:
                return digest
        return None

    def _listing(self, folder: str) -> dict[str, str]:
        # A page asks for files one by one, and the listing of 100,000 takes a while to be read.
        if folder not in self._listings:
            self._listings[folder] = self._store.listing(self._refs[folder]) or {}
        return self._listings[folder]

    def _read_stored(self, digest: str) -> bytes | None:
        for stored in self._stored_places(digest):
            content = _read(stored, digest)
            if content is not None:
                return content
        return None

    def _stored_places(self, digest: str) -> Iterator[Path]:
        """Where an object of that digest may be kept."""
        if self._store.cache is None:
            return
        artifacts = self._store.cache.artifacts
        # Digests name the content, so any store that has it will do.
        for objects in (artifacts.objects, *artifacts.others):
            yield objects.path(digest)

    def _read_in_project(self, path: str, digest: str) -> bytes | None:
        """What is not stored, of a step without cache, may still stand where the step wrote it."""
        return _read(self._store.root / path, digest)


def _read(place: Path, digest: str) -> bytes | None:
    try:
        if place.stat().st_size > _LIMIT_BYTES:
            return None
        content = place.read_bytes()
    except OSError:
        return None
    # A later run may have written the file since: its content is not what this run recorded.
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != digest:
        return None
    return content
