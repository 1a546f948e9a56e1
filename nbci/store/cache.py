"""What this user's runs on this machine have made.

Values and artifacts are known by digest, records of steps by key.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from nbci.errors import IntegrityError, Location, UsageError
from nbci.home import private_folder
from nbci.records.codec import from_json, to_json_line
from nbci.records.run_record import StepRecord
from nbci.store.artifacts import Artifacts
from nbci.store.distrusted import Distrusted, stamp
from nbci.store.files import link_or_copy, write_atomic
from nbci.store.objects import Objects, checked_name
from nbci.store.safe_paths import checked_run
from nbci.store.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.errors import InfrastructureError
    from nbci.store.file_index import FileIndex

VALUE_HASH = "blake3"
"""The digest that names values (see nbci.digests)."""
# Results of one key differ only in what their steps were seen to use: after so many that do not
# fit, running the step is likely to be quicker than looking on.
_ENTRIES_TRIED = 20
MARKED_AGAIN_SECONDS = 3600.0
"""A result that was marked as used so shortly ago is not marked again."""


class Elsewhere(Protocol):
    """Another place that has results and objects, such as a remote.

    `trouble` is why it is asked no more.
    """

    trouble: InfrastructureError | None

    def take_results(self, key: str) -> None:
        """Bring the results for a key into the cache."""

    def ask_again(self, key: str) -> None:
        """Look anew for results for the key when it is asked for them next."""

    def offers(self, folder: str, names: Iterable[str]) -> bool:
        """Whether it has all these objects of a folder such as `files/md5`."""

    def take_values(self, names: Iterable[str]) -> list[str]:
        """Bring values into the cache; those that it does not have."""

    def take_artifacts(self, objects: Objects, names: Iterable[str]) -> list[str]:
        """Bring objects of artifacts; those that it does not have."""

    def distrust(self, key: str, until_utc: str, *, unsteady: bool) -> None:
        """Note there that results for the key which were made until then are wrong."""

    def send(self, record: StepRecord) -> int:
        """Put there what a step gave; the number of objects that were missing."""


class Cache:
    """A folder shared by all projects and runs of a user; content never changes under its name.

    `objects` are where artifacts lie, when that is not in this folder: in a project's DVC cache;
    `others` are more places on this machine to take them from.
    """

    def __init__(
        self, root: Path, objects: Objects | None = None, others: tuple[Objects, ...] = ()
    ) -> None:
        self.root = root
        self.values = root / "files" / VALUE_HASH
        """Values handed from step to step, and notebooks, by digest."""
        self._results = root / "results"
        # What the last run took from here: a run with nothing to do then reads one file, not one
        # for each step.
        self._recent: dict[str, tuple[StepRecord, bytes]] = {}
        self._recent_ns = 0
        self.seen = Seen(root / "seen")
        self.distrusted = Distrusted(root / "distrusted")
        self.elsewhere: Elsewhere | None = None
        self.own = Objects(root / "files" / "md5")
        if objects is None:
            self.artifacts = Artifacts(self.own, self.seen, others)
        else:
            self.artifacts = Artifacts(objects, self.seen, (self.own, *others))

    @property
    def object_folders(self) -> tuple[Path, ...]:
        """Where the objects of artifacts lie on this machine."""
        return tuple(objects.root for objects in (self.artifacts.objects, *self.artifacts.others))

    def share(self, elsewhere: Elsewhere) -> None:
        """Take from there what is not here."""
        self.elsewhere = elsewhere
        self.artifacts = replace(self.artifacts, elsewhere=elsewhere)

    def value_path(self, digest: str) -> Path:
        """The file of a value, or of another object known by that digest."""
        return Path(self.value_file(digest))

    def value_file(self, digest: str) -> str:
        """The same, for where there are many."""
        return f"{self.values}/{checked_name(digest)[:2]}/{digest[2:]}"

    def artifacts_of(self, record: StepRecord) -> Artifacts:
        """Where the outs of a record lie: here, or where the checkout that made them keeps them."""
        made = self._read_kept(record).get("objects")
        if made is None or Path(made) == self.artifacts.objects.root:
            return self.artifacts
        return replace(self.artifacts, others=(*self.artifacts.others, Objects(Path(made))))

    def records(self, key: str) -> Iterator[tuple[StepRecord, bytes]]:
        """What steps with that key came to, the newest first: the records and their text.

        Those that an audit found to be wrong are left out.
        """
        # Another process may have added a newer result since: then the folder is newer, too.
        recent = self._recent.get(key)
        if recent is not None and self._is_settled(key) and self._is_trusted(recent[0]):
            yield recent
        tried = set()
        for name in self._entries(key):
            tried.add(name)
            yield from self._read_entry(key, name)
        # A remote is asked last: what is here costs no time.
        if self.elsewhere is not None:
            self.elsewhere.take_results(key)
            for name in self._entries(key):
                if name not in tried:
                    yield from self._read_entry(key, name)

    def distrust(self, key: str, until_utc: str, *, unsteady: bool = False) -> None:
        """Let nobody take the key's results that were made until then; `unsteady`: later ones, too.

        Where they are shared, others learn of it.
        """
        self.distrusted.add(key, until_utc, unsteady=unsteady)
        if self.elsewhere is not None:
            self.elsewhere.distrust(key, until_utc, unsteady=unsteady)

    def _is_trusted(self, record: StepRecord) -> bool:
        until = self.distrusted.until(record.key or "")
        return not until or stamp(record.ended_utc) > until

    def recall(self, results: Iterable[tuple[StepRecord, bytes]], taken_ns: int) -> None:
        """Know what a run took from here at that time, so that it need not be looked up.

        What has changed since is seen.
        """
        self._recent = {}
        for record, text in results:
            if record.key is not None:
                self._recent[record.key] = record, text
        self._recent_ns = taken_ns

    def _is_settled(self, key: str) -> bool:
        """Whether the results for a key are those that the recalled run had before it."""
        try:
            return os.stat(self._folder(key)).st_mtime_ns < self._recent_ns
        except OSError:
            return False

    def ask_again(self, key: str) -> None:
        """Look anew for what others have of the key: one of them may have made it meanwhile."""
        if self.elsewhere is not None:
            self.elsewhere.ask_again(key)

    def has_results(self, key: str) -> bool:
        """Whether any result for a key is here, whatever it depends on beside the key."""
        return bool(self._entries(key))

    def _entries(self, key: str) -> list[str]:
        try:
            names = [name for name in os.listdir(self._folder(key)) if name.endswith(".json")]
        except FileNotFoundError:
            return []
        until = self.distrusted.until(key)
        if until:
            names = [name for name in names if name.partition("-")[0] > until]
        # Their names begin with the time.
        return sorted(names, reverse=True)[:_ENTRIES_TRIED]

    def _read_entry(self, key: str, name: str) -> Iterator[tuple[StepRecord, bytes]]:
        path = f"{self._folder(key)}/{name}"
        # A record that was cut by a full disk, or removed by `nbci clean` meanwhile, is no result.
        with contextlib.suppress(IntegrityError, FileNotFoundError):
            with open(path, "rb") as file:
                text = file.read()
            yield from_json(text, StepRecord, path), text

    def offers_value(self, digest: str) -> bool:
        """Whether a value that is not here can be had when it is needed."""
        return self.elsewhere is not None and self.elsewhere.offers(f"files/{VALUE_HASH}", [digest])

    def bring_values(self, digests: Iterable[str]) -> None:
        """Have values here that lie elsewhere; IntegrityError when one is not what it should be."""
        missing = [digest for digest in digests if not self.value_path(digest).is_file()]
        if missing and self.elsewhere is not None:
            self.elsewhere.take_values(missing)

    def take_value(self, known: Cache, digest: str) -> bool:
        """Have a value of another cache here, too; whether that has it."""
        known.bring_values([digest])
        place = known.value_path(digest)
        if not place.is_file():
            return False
        link_or_copy(place, self.value_path(digest))
        return True

    def keep(self, record: StepRecord, notebook: Path, index: FileIndex) -> None:
        """Keep a step's record by its key, with its executed notebook and where its outs lie."""
        digest, _ = index.digest(notebook)
        link_or_copy(notebook, self.value_path(digest))
        place = self.entry(record)
        kept = {"notebook": digest, "objects": str(self.artifacts.objects.root)}
        # The record comes last, so that what belongs to it is there once it is found.
        write_atomic(place.with_suffix(".kept"), json.dumps(kept))
        write_atomic(place, to_json_line(record))

    def mark_used(self, record: StepRecord) -> None:
        """Note that the result was used in this hour; what is unused for many days is removed."""
        with contextlib.suppress(OSError):
            entry = self._entry(record)
            if time.time() - os.stat(entry).st_ctime > MARKED_AGAIN_SECONDS:
                os.utime(entry)

    def notebook_digest(self, record: StepRecord) -> str | None:
        """The digest of the executed notebook of a record that was kept."""
        return self._read_kept(record).get("notebook")

    def notebook_of(self, record: StepRecord, index: FileIndex) -> Path | None:
        """The executed notebook of a record that was kept, as it was then."""
        # The record does not name it: its bytes must be the same as those of the run that made it.
        digest = self.notebook_digest(record)
        if digest is None:
            return None
        self.bring_values([digest])
        path = self.value_path(digest)
        if not path.is_file():
            return None
        found, _ = index.digest(path)
        if found != digest:
            return None
        return path

    def entry(self, record: StepRecord) -> Path:
        """The file of a record; names sort by time."""
        return Path(self._entry(record))

    def _entry(self, record: StepRecord) -> str:
        made = f"{stamp(record.ended_utc)}-{checked_run(str(record.run))}"
        return f"{self._folder(record.key or '')}/{made}.json"

    def save(self) -> None:
        """Keep what was learnt of the objects for the next process."""
        self.seen.save()

    def _read_kept(self, record: StepRecord) -> dict[str, str]:
        try:
            kept: dict[str, str] = json.loads(self.entry(record).with_suffix(".kept").read_bytes())
        except (OSError, ValueError):
            return {}
        return kept

    def _folder(self, key: str) -> str:
        if key:
            checked_name(key)
        return f"{self._results}/{key[:2]}/{key[2:]}"


def cache_folder(environ: Mapping[str, str]) -> Path:
    """The cache of this user: `$NBCI_CACHE`, or in the XDG cache folder.

    Without a home that can be written to, in a private folder for temporary files.
    """
    named = environ.get("NBCI_CACHE")
    if named:
        return Path(named)
    base = environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "nbci"
    home = Path(os.path.expanduser("~"))
    folder = home / ".cache" / "nbci"
    # In containers the home is often `/`, or a folder that the user cannot write to.
    if home.is_absolute() and (folder.is_dir() or os.access(home, os.W_OK)):
        return folder
    return private_folder() / "cache"


def user_cache(environ: Mapping[str, str], objects: Objects | None = None) -> Cache:
    """The user's cache: `NBCI_CACHE`, else in the XDG cache folder; `objects` as in `Cache`."""
    folder = cache_folder(environ)
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            "the cache is no folder", where=Location(str(folder)), hint="NBCI_CACHE names a folder"
        )
    return Cache(folder, objects)
