"""Share values, artifacts and results through a remote.

Only what is missing is copied, and everything that arrives is checked against its name.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
from typing import TYPE_CHECKING

from nbci.data.remotes import ARTIFACTS, Remote, open_folder, open_remote
from nbci.data.repository import prefix_of, project_cache
from nbci.digests import file_digest
from nbci.errors import InfrastructureError, IntegrityError, Location
from nbci.formatting.numbers import and_more
from nbci.records.codec import from_json
from nbci.records.run_record import StepRecord
from nbci.store.cache import VALUE_HASH, user_cache
from nbci.store.distrusted import stamp
from nbci.store.files import disk_errors, write_atomic
from nbci.store.objects import checked_name
from nbci.store.seen import md5_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.store.cache import Cache
    from nbci.store.objects import Objects

_WRONG = "distrusted"
_UNSTEADY = "unsteady"
"""Ends of names, after the time until which results for a key are known to be wrong."""
VALUES = f"files/{VALUE_HASH}"
_numbers = itertools.count()


class Sharing:
    """What the cache of this machine shares through a remote.

    It reads from all of the remotes, in this order, and writes to `target`, or nowhere where that
    is None. The first error is kept in `trouble`; after that, nothing more is asked for, so that a
    run goes on without sharing.
    """

    def __init__(self, cache: Cache, remotes: tuple[Remote, ...], target: Remote | None) -> None:
        self.cache = cache
        self.remotes = remotes
        self.target = target
        self.trouble: InfrastructureError | None = None
        self.taken = 0
        self._asked: set[str] = set()

    @property
    def shown(self) -> str:
        """Where it writes to, for people."""
        if self.target is None:
            return "nowhere"
        return self.target.shown

    def take_results(self, key: str) -> None:
        """Take the results of steps with this key from the remotes into the cache, once."""
        if key in self._asked or self.trouble is not None:
            return
        self._asked.add(key)
        try:
            for remote in self.remotes:
                self._take_results(remote, key)
        except InfrastructureError as error:
            self.trouble = error

    def ask_again(self, key: str) -> None:
        """Ask for results of the key once more, when somebody needs them."""
        self._asked.discard(key)

    def offers(self, folder: str, names: Iterable[str]) -> bool:
        """Return whether the remotes have all of the objects, none of them known to be altered."""
        missing = set(names)
        if self.trouble is not None:
            return not missing
        try:
            for remote in self.remotes:
                missing -= self._present_and_good(remote, folder, missing)
        except InfrastructureError as error:
            self.trouble = error
        return not missing

    def _present_and_good(self, remote: Remote, folder: str, names: Iterable[str]) -> set[str]:
        """Those of the objects that the remote has and that were not found altered there."""
        there = remote.present(folder, names)
        return {name for name in there if not self._altered_mark(folder, name).exists()}

    def take_values(self, names: Iterable[str]) -> list[str]:
        """Take values into the cache; return the names of those found nowhere.

        IntegrityError when one is altered.
        """

        def keep(name: str, file: Path) -> None:
            target = self.cache.value_path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            # several runs use the file of a value, so that none may write to it
            os.chmod(file, 0o444)
            os.replace(file, target)

        return self._take(VALUES, names, keep)

    def take_artifacts(self, objects: Objects, names: Iterable[str]) -> list[str]:
        """Take objects of artifacts into `objects`; otherwise like `take_values`."""

        def keep(name: str, file: Path) -> None:
            objects.adopt(name, file)
            self.cache.seen.trust(objects, name)

        return self._take(ARTIFACTS, names, keep)

    def send(self, record: StepRecord) -> int:
        """Send what a step gave, and its result; return how many objects the remote lacked."""
        if self.target is None:
            return 0
        artifacts = self.cache.artifacts_of(record)
        files: dict[str, Path] = {}
        for ref in record.outs:
            if artifacts.missing_objects(ref.digest):
                raise IntegrityError(
                    "it is not kept whole on this machine", where=Location(ref.path)
                )
            # only a folder has a listing
            for name in (artifacts.listing(ref.digest) or {}).values():
                files[name] = artifacts.objects.path(name)
            files[ref.digest] = artifacts.objects.path(ref.digest)
        values = {}
        for given in record.gives:
            values[given.object] = self.cache.value_path(given.object)
        notebook = self.cache.notebook_digest(record)
        if notebook is not None:
            values[notebook] = self.cache.value_path(notebook)
        sent = self._send(self.target, ARTIFACTS, files) + self._send(self.target, VALUES, values)
        # after the objects: a result on the remote promises them
        self._send_result(self.target, record)
        return sent

    def distrust(self, key: str, until_utc: str, *, unsteady: bool) -> None:
        """Leave a note beside the key's results that those made until then are wrong."""
        if self.target is None or self.trouble is not None:
            return
        note = f"{stamp(until_utc)}.{_UNSTEADY if unsteady else _WRONG}"
        try:
            with self._outgoing(note) as file:
                self.target.send_file(file, f"{_folder_of(key)}/{note}")
        except InfrastructureError as error:
            self.trouble = error

    def take(self, record: StepRecord) -> tuple[int, list[str]]:
        """Take what a step gave; return how many objects came, and the names that no remote has."""
        if record.key is not None:
            self.take_results(record.key)
        before = self.taken
        wanted = [ref.object for ref in record.gives]
        # the executed notebook lies among the values
        notebook = self.cache.notebook_digest(record)
        if notebook:
            wanted.append(notebook)
        missing = [name for name in wanted if not self.cache.value_path(name).is_file()]
        gone = self.take_values(missing)
        for ref in record.outs:
            gone += self.cache.artifacts_of(record).missing_objects(ref.digest)
        return self.taken - before, gone

    def _take_results(self, remote: Remote, key: str) -> None:
        folder = _folder_of(key)
        names = remote.names(folder)
        self._take_notes(key, names)
        for name in names:
            place = self.cache.root / folder / name
            beside = f"{name.removesuffix('.json')}.kept"
            # a name from the remote must not lead out of the folder of results
            if not name.endswith(".json") or "/" in name or place.exists():
                continue
            data = remote.read(f"{folder}/{name}")
            try:
                is_of_key = from_json(data, StepRecord, name).key == key
            except IntegrityError:
                continue  # as if it were not there: the step runs, and sends a new one
            if not is_of_key:
                continue
            if beside in names:
                write_atomic(place.with_suffix(".kept"), remote.read(f"{folder}/{beside}"))
            # last: a result in the cache must never lack the file beside it
            write_atomic(place, data)

    def _take_notes(self, key: str, names: Iterable[str]) -> None:
        """Learn of results for the key that others have found to be wrong."""
        for name in names:
            until, _, kind = name.partition(".")
            if kind in (_WRONG, _UNSTEADY) and until.isalnum():
                self.cache.distrusted.add(key, until, unsteady=kind == _UNSTEADY)

    def _take(
        self, folder: str, names: Iterable[str], keep: Callable[[str, Path], None]
    ) -> list[str]:
        if self.trouble is not None:
            raise self.trouble
        missing = list(map(checked_name, dict.fromkeys(names)))
        altered: list[str] = []
        # a folder for each call, in the cache, from where a value is renamed to its place
        incoming = self.cache.root / "incoming" / f"{os.getpid()}-{next(_numbers)}"
        try:
            for remote in self.remotes:
                there = remote.present(folder, missing)
                places = {name: incoming / name for name in there}
                # another machine may have cleaned the remote between the two questions
                there -= set(remote.take(folder, places))
                for name in there:
                    if not _has_content_of_name(folder, name, places[name]):
                        # remembered on disk, so that later processes do not ask for it again
                        write_atomic(self._altered_mark(folder, name), "")
                        altered.append(remote.address(folder, name))
                        continue
                    with disk_errors(incoming):
                        keep(name, places[name])
                    self._altered_mark(folder, name).unlink(missing_ok=True)
                    self.taken += 1
                missing = [name for name in missing if name not in there]
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        if altered:
            others = ""
            if len(altered) > 1:
                others = f",{and_more(len(altered), 1)}"
            raise IntegrityError(
                f"this object of the remote is not what its name says{others}",
                where=Location(altered[0]),
                hint="run again: the step that made it runs, and replaces it",
            )
        return missing

    def _send(self, remote: Remote, folder: str, files: Mapping[str, Path]) -> int:
        wanted = {name: path for name, path in files.items() if path.is_file()}
        there = self._present_and_good(remote, folder, wanted)
        missing = dict(wanted)
        for name in there:
            del missing[name]
        remote.send(folder, missing)
        for name in missing:
            self._altered_mark(folder, name).unlink(missing_ok=True)
        return len(missing)

    def _send_result(self, remote: Remote, record: StepRecord) -> None:
        entry = self.cache.entry(record)
        folder = entry.parent.relative_to(self.cache.root).as_posix()
        if record.key is None or not entry.exists() or entry.name in remote.names(folder):
            return
        # the remote does not need the paths of this machine, so they are left out
        kept = json.dumps({"notebook": self.cache.notebook_digest(record)})
        with self._outgoing(kept) as file:
            remote.send_file(file, f"{folder}/{entry.stem}.kept")
        # last: another machine that sees the result finds the file beside it
        remote.send_file(entry, f"{folder}/{entry.name}")

    @contextlib.contextmanager
    def _outgoing(self, text: str) -> Iterator[Path]:
        """A file with this text, to be sent."""
        outgoing = self.cache.root / "outgoing" / f"{os.getpid()}-{next(_numbers)}"
        try:
            write_atomic(outgoing, text)
            yield outgoing
        finally:
            outgoing.unlink(missing_ok=True)

    def _altered_mark(self, folder: str, name: str) -> Path:
        """Return the mark of an object that was found altered on the remote.

        A marked object is not asked for, and sending it again replaces the one on the remote.
        """
        return self.cache.root / "altered" / folder.replace("/", "-") / name


def _folder_of(key: str) -> str:
    """Where the results for a key lie on a remote."""
    return f"results/{key[:2]}/{key[2:]}"


def _has_content_of_name(folder: str, name: str, file: Path) -> bool:
    # artifacts are named as DVC names them, values by the digest of nbci
    if folder == ARTIFACTS:
        digest = md5_of(file)
    else:
        digest, _ = file_digest(file)
    return digest == name.partition(".")[0]


def shared_cache(project: Project, environ: Mapping[str, str]) -> Cache:
    """The project's cache, which takes from and sends to the shared remote, if one is named."""
    cache = project_cache(project, environ)
    share(project, cache, environ)
    return cache


def share(
    project: Project, cache: Cache, environ: Mapping[str, str], *, for_other_machines: bool = False
) -> Sharing | None:
    """Make the cache take from and send to the remote that the environment or the project names.

    None without one.

    The build of a fork writes under its prefix, which no other build reads. It also reads what
    trusted builds left there, and in this user's cache; but not the latter `for_other_machines`,
    which must find all that this one takes.
    """
    prefix = prefix_of(project, environ)
    target = None
    named = project.shared_remote(environ)
    if named is not None:
        target = open_remote(project, named)
    remotes: list[Remote] = []
    if target is not None:
        remotes.append(target)

    # what a fork sends must not reach trusted builds, which read without the prefix
    if prefix is not None:
        if target is not None:
            target = target.under(prefix)
            remotes.insert(0, target)
        if not for_other_machines:
            remotes.append(open_folder(user_cache(environ).root))
    if not remotes:
        return None
    sharing = Sharing(cache, tuple(remotes), target)
    cache.share(sharing)
    return sharing
