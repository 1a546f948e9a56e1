"""What this user's runs on this machine have made: values and artifacts by digest, step records by key."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError
from nbci.records.codec import from_json, to_json
from nbci.records.model import StepRecord
from nbci.store.files import disk_errors, link_or_copy, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.records.model import FileRef
    from nbci.store.index import FileIndex

_ENTRIES_TRIED = 20


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder shared by all projects and runs of a user; content never changes under its name."""

    root: Path

    @property
    def values(self) -> Path:
        """Values handed from step to step, by digest."""
        return self.root / "values"

    def value_path(self, digest: str) -> Path:
        """The file of a value."""
        return self.values / digest[:2] / digest[2:]

    def artifact_path(self, digest: str) -> Path:
        """The file or folder of an artifact."""
        return self.root / "artifacts" / digest[:2] / digest[2:]

    def records(self, key: str) -> Iterator[StepRecord]:
        """What steps with that key came to, the newest first."""
        folder = self._folder(key)
        try:
            names = sorted((name for name in os.listdir(folder) if name.endswith(".json")), reverse=True)
        except FileNotFoundError:
            return
        for name in names[:_ENTRIES_TRIED]:
            try:
                yield from_json((folder / name).read_bytes(), StepRecord, str(folder / name))
            except (IntegrityError, FileNotFoundError):
                continue

    def keep(self, record: StepRecord, notebook: Path, index: FileIndex) -> None:
        """Remember what a step came to, by its key, with its executed notebook."""
        digest, _ = index.digest(notebook)
        link_or_copy(notebook, self.artifact_path(digest))
        place = self.entry(record)
        write_atomic(place.with_suffix(".notebook"), digest)
        write_atomic(place, to_json(record))

    def mark_used(self, record: StepRecord) -> None:
        """Note that the result was used just now: what was not used for long is removed one day."""
        with contextlib.suppress(OSError):
            os.utime(self.entry(record))

    def notebook_of(self, record: StepRecord) -> Path | None:
        """The executed notebook of a record that was kept."""
        try:
            path = self.artifact_path(self.entry(record).with_suffix(".notebook").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        return path if path.exists() else None

    def put_artifact(self, root: Path, ref: FileRef) -> None:
        """Copy a file or folder of the project into the cache."""
        target = self.artifact_path(ref.digest)
        if target.exists():
            return
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{os.getpid()}")
            source = root / ref.path
            if source.is_dir():
                shutil.copytree(source, temporary, symlinks=True)
            else:
                shutil.copyfile(source, temporary)
            try:
                temporary.rename(target)
            except OSError:  # another process put the same folder there in between
                shutil.rmtree(temporary, ignore_errors=True)

    def entry(self, record: StepRecord) -> Path:
        """The file of a record; names sort by time."""
        stamp = "".join(character for character in record.ended_utc or "" if character.isalnum())
        return self._folder(record.key or "") / f"{stamp}-{record.run}.json"

    def _folder(self, key: str) -> Path:
        return self.root / "results" / key[:2] / key[2:]


def user_cache(environ: Mapping[str, str]) -> Cache:
    """The cache of this user: `NBCI_CACHE`, else in the XDG cache folder."""
    named = environ.get("NBCI_CACHE")
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Cache(Path(named) if named else Path(base) / "nbci")
