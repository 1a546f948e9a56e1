"""Find out what DVC's remotes hold, and copy objects to and from them.

DVC takes care of credentials.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from nbci.config import dvc_folder
from nbci.data.repository import data_settings, dvc_config
from nbci.errors import InfrastructureError, Location, NbciError, UsageError, spelling_hint
from nbci.silence import without_logs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.config import Project

ARTIFACTS = "files/md5"
"""Where the objects of artifacts lie in a remote, as DVC has it."""
_LISTING = ".dir"
_CHUNK_BYTES = 4 << 20
_FEW = 50
"""So many objects are asked for one by one; for more, DVC's libraries choose how to look."""


class Remote(Struct, frozen=True):
    """A place that DVC can reach, in the layout of a DVC cache.

    `shown` is its address without credentials, for messages and records.
    """

    fs: Any
    root: str
    shown: str

    def place(self, *parts: str) -> str:
        """The address of what lies there."""
        joined: str = self.fs.join(self.root, *parts)
        return joined

    def under(self, prefix: str) -> Remote:
        """The same remote, with everything under a prefix."""
        return Remote(self.fs, self.place(prefix), f"{self.shown.rstrip('/')}/{prefix}")

    def present(self, folder: str, names: Iterable[str]) -> set[str]:
        """Those of the objects that are there."""
        wanted = sorted(set(names))
        if not wanted:
            return set()
        with self._remote_errors("ask"):
            # a listing of a large remote takes longer than a few single questions
            if self.fs.protocol == "local" or len(wanted) <= _FEW:
                found = self.fs.exists([self._object(folder, name) for name in wanted])
                return set(itertools.compress(wanted, found))
            from dvc_objects.db import ObjectDB

            return set(ObjectDB(self.fs, self.place(*folder.split("/"))).oids_exist(wanted))

    def send(self, folder: str, files: Mapping[str, Path]) -> None:
        """Copy objects to the remote, several at a time; after an error, those that arrived stay.

        The listing of a folder is sent last, so that wherever a listing is, its files are as well.
        """
        for are_listings in (False, True):
            part = {}
            for name, path in files.items():
                if name.endswith(_LISTING) is are_listings:
                    part[str(path)] = self._object(folder, name)
            self._copy(part, "write to", upload=True)

    def altered(self, folder: str, names: Iterable[str]) -> set[str]:
        """Read objects named by their MD5, all present, and return those with another content."""
        wanted = sorted(set(names))
        with self._remote_errors("read from"), ThreadPoolExecutor(max_workers=self.fs.jobs) as pool:
            digests = pool.map(lambda name: self._md5(folder, name), wanted)
            found = set()
            for name, digest in zip(wanted, digests, strict=True):
                # a listing is named by the MD5 of its text, too, and ends with `.dir`
                if digest != name.removesuffix(_LISTING):
                    found.add(name)
            return found

    def address(self, folder: str, name: str) -> str:
        """Where the object lies, for people."""
        return f"{self.shown.rstrip('/')}/{folder}/{name[:2]}/{name[2:]}"

    def take(self, folder: str, files: Mapping[str, Path]) -> list[str]:
        """Copy objects to these places; return the names of those that the remote lacks."""
        addresses = {}
        wanted = {}
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            address = self._object(folder, name)
            addresses[address] = name
            wanted[address] = str(path)
        gone = self._copy(wanted, "read from", upload=False)
        return [addresses[address] for address in gone]

    def names(self, folder: str) -> list[str]:
        """The files of a folder."""
        with self._remote_errors("ask"):
            # Without this method, a DVC filesystem still holds the fsspec one that has it.
            if hasattr(self.fs, "invalidate_cache"):
                self.fs.invalidate_cache()
            else:
                self.fs.fs.invalidate_cache()
            try:
                paths = self.fs.ls(self.place(*folder.split("/")), detail=False)
            except FileNotFoundError:
                return []
            return sorted(map(self.fs.name, paths))

    def send_file(self, path: Path, place: str) -> None:
        """Copy one file to the remote, at the given place."""
        self._copy({str(path): self.place(*place.split("/"))}, "write to", upload=True)

    def read(self, place: str) -> bytes:
        """What a file holds."""
        with self._remote_errors("read from"):
            data: bytes = self.fs.cat_file(self.place(*place.split("/")))
            return data

    def _md5(self, folder: str, name: str) -> str:
        digest = hashlib.md5(usedforsecurity=False)
        with self.fs.open(self._object(folder, name), "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def _object(self, folder: str, name: str) -> str:
        return self.place(*folder.split("/"), name[:2], name[2:])

    def _copy(self, files: Mapping[str, str], doing: str, *, upload: bool) -> list[str]:
        """Copy from and to these places; the sources that are not there."""
        if not files:
            return []
        gone: list[str] = []
        failed: list[BaseException] = []

        def note(source: str, target: str, error: BaseException) -> None:
            # when uploading, a missing source is an error of this machine, not an object that the
            # remote lacks
            if isinstance(error, FileNotFoundError) and not upload:
                gone.append(source)
            else:
                failed.append(error)

        with self._remote_errors(doing):
            from dvc_objects.fs import generic
            from dvc_objects.fs.local import localfs

            source_fs, target_fs = self.fs, localfs
            if upload:
                source_fs, target_fs = localfs, self.fs
            try:
                generic.copy(
                    source_fs,
                    list(files),
                    target_fs,
                    list(files.values()),
                    batch_size=min(self.fs.jobs, len(files)),
                    on_error=note,
                )
            except FileNotFoundError:
                # For a single file, generic.copy also raises for the copy that was not made.
                if not gone and not failed:
                    raise
            if failed:
                raise failed[0]
            if upload and self.fs.protocol == "local":
                _make_read_only(files.values())
        return gone

    @contextlib.contextmanager
    def _remote_errors(self, doing: str) -> Iterator[None]:
        """Turn every error of the remote's libraries, of whatever type, into one of ours."""
        try:
            with without_logs():  # they log what they raise
                yield
        except NbciError:
            raise
        except Exception as error:
            raise InfrastructureError(
                f"cannot {doing} the remote: {str(error) or type(error).__name__}",
                where=Location(self.shown),
                hint="nothing is lost: `nbci push` or `nbci pull` go on where this ended",
            ) from error


def _make_read_only(places: Iterable[str]) -> None:
    # as DVC keeps the objects of a local remote, since workspaces may link to them
    for place in places:
        os.chmod(place, 0o444)


def default_remote(project: Project) -> Remote:
    """The default remote of the project's DVC repository; UsageError when there is none."""
    settings = data_settings(project)
    hint = "dvc remote add --default storage URL, and commit .dvc/config"
    if settings is None:
        raise UsageError(
            "the project has no DVC repository, where models are kept", hint=f"dvc init; {hint}"
        )
    if settings.remote is None:
        raise UsageError("the project's DVC repository has no default remote", hint=hint)
    return open_remote(project, settings.remote)


def open_folder(path: Path) -> Remote:
    """A folder of this machine in the layout of a DVC cache, to read from."""
    from dvc_objects.fs.local import localfs

    return Remote(localfs, str(path), str(path))


def open_remote(project: Project, named: str) -> Remote:
    """Open the remote of that name in DVC's configuration, or at that URL or path.

    A path is relative to the project.
    """
    from dvc.config import Config
    from dvc.exceptions import DvcException
    from dvc.fs import get_cloud_fs
    from dvc_objects.fs.errors import RemoteMissingDepsError

    folder = dvc_folder(project.root)
    # without a repository, a URL still has the settings of the user and the system
    config = Config()
    if folder is not None:
        config = dvc_config(folder)
    remotes = config["remote"]
    # DVC keeps the names of remotes in lower case
    if named.lower() in remotes:
        wanted = {"name": named}
    elif "://" in named:
        wanted = {"url": named}
    elif "/" in named or os.sep in named:
        wanted = {"url": os.path.normpath(project.root / Path(named).expanduser())}
    else:
        raise UsageError(f"DVC knows no remote {named!r}", hint=_remote_hint(named, remotes))
    try:
        cls, settings, root = get_cloud_fs(config, **wanted)
        return Remote(
            cls(**settings), root, _without_credentials(str(cls(**settings).unstrip_protocol(root)))
        )
    except RemoteMissingDepsError as error:
        raise UsageError(
            f"the remote {named} needs a package: {error}", hint="pip install dvc-s3, or its like"
        ) from error
    except DvcException as error:
        raise UsageError(f"the remote {named} cannot be used: {error}") from error


def _remote_hint(named: str, remotes: Iterable[str]) -> str:
    known = list(remotes)
    if not known:
        return "make one: dvc remote add NAME URL"
    return spelling_hint(named, known, f"the remotes are {', '.join(known)}")


def _without_credentials(url: str) -> str:
    # a URL may hold USER:PASSWORD@, which must not get into messages and records
    parts = urlsplit(url)
    if parts.scheme in ("", "local", "file"):
        return parts.path or url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
