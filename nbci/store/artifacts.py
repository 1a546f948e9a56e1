"""Files and folders of the workspace kept as objects, and put back."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dot_nbci import TEMPORARY_PREFIX
from nbci.errors import IntegrityError, Location, StepError
from nbci.store.file_index import FOLDER_SUFFIX, SETTLED_NS, listing_bytes
from nbci.store.files import disk_errors, remove
from nbci.store.objects import Altered, Objects
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nbci.records.run_record import FileRef
    from nbci.store.cache import Elsewhere
    from nbci.store.file_index import FileIndex
    from nbci.store.seen import Seen

# A file that changes in all of them is being written.
_TRIES = 3


class Artifacts(Struct, frozen=True):
    """The objects of a project's artifacts.

    In `others` may lie some, too, of other checkouts on this machine.
    """

    objects: Objects
    seen: Seen
    others: tuple[Objects, ...] = ()
    elsewhere: Elsewhere | None = None

    def keep(self, root: Path, path: str, index: FileIndex) -> FileRef:
        """Keep the file or folder as it stands; StepError when it goes on being written."""
        for _ in range(_TRIES):
            # A change within one tick of the clock leaves the times as they were.
            quiet_since = time.time_ns() - SETTLED_NS
            ref = index.fingerprint(root, path)
            with contextlib.suppress(Altered, FileNotFoundError):
                if not is_folder(ref):
                    self._keep_file(ref.digest, root / path, quiet_since)
                    listing = None
                else:
                    listing = index.listing(root / path)
                    _refuse_links(root / path, path)
                    for name, digest in listing.items():
                        self._keep_file(digest, root / path / name, quiet_since)
                    if not self.seen.holds(self.objects, ref.digest):
                        self.objects.add_bytes(ref.digest, listing_bytes(listing))
                        self.seen.trust(self.objects, ref.digest)
                # The files are links now, and so have other times than when they were digested.
                if self.objects.links[0] in ("hardlink", "symlink"):
                    index.note_placed(root / path, ref, listing)
                return ref
        raise StepError(
            "the file changes while it is read",
            where=Location(path),
            hint="wait until it is complete",
        )

    def has(self, ref: FileRef) -> bool:
        """Whether the artifact was kept, here or elsewhere.

        That it is whole is seen when it is used.
        """
        # Looked at only: a plan asks this of all steps, and reading models would take minutes.
        for objects in (self.objects, *self.others):
            if objects.path(ref.digest).is_file():
                return True
        return self.elsewhere is not None and self.elsewhere.offers("files/md5", [ref.digest])

    def listing(self, digest: str) -> dict[str, str] | None:
        """The files of a folder that was kept, each with its MD5; None for a file."""
        if not digest.endswith(FOLDER_SUFFIX):
            return None
        return read_listing(self.objects.path(digest))

    def missing_objects(self, digest: str) -> list[str]:
        """The objects of an artifact that are neither here nor to be had from elsewhere.

        Damaged ones are removed; those of other checkouts on this machine are taken over.
        """
        # The listing first, since without it nobody knows the files.
        missing = self._find_missing([digest])
        if missing:
            return missing
        listing = self.listing(digest)
        if listing is None:
            return []
        return self._find_missing(dict.fromkeys(listing.values()))

    def restore(self, root: Path, ref: FileRef, index: FileIndex) -> None:
        """Put an artifact whose objects are all here in its place.

        What differs there is replaced.
        """
        place = place_inside(root, ref.path)
        listing = self.listing(ref.digest)
        with disk_errors(place):
            # Writing through a link would change a file that somebody keeps elsewhere.
            if place.is_symlink() or (place.exists() and place.is_dir() != (listing is not None)):
                remove(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            if listing is None:
                self.objects.place(ref.digest, place)
            elif place.exists():
                self._update(place, listing, index.listing(place))
            else:
                self._fill(place, listing)
        index.note_placed(place, ref, listing)

    def _keep_file(self, digest: str, source: Path, quiet_since: int) -> None:
        if self.seen.holds(self.objects, digest):
            return
        # Copied without a digest (as a clone or link), it may have changed since it was digested.
        before = os.stat(source)
        is_sure = self.objects.add_file(digest, source)
        after = os.stat(source)
        same = (before.st_ino, before.st_size, before.st_mtime_ns) == (
            after.st_ino,
            after.st_size,
            after.st_mtime_ns,
        )
        if is_sure or (same and max(before.st_mtime_ns, before.st_ctime_ns) < quiet_since):
            self.seen.trust(self.objects, digest)
        elif not self.seen.holds(self.objects, digest):
            self.objects.remove(digest)
            raise Altered

    def _find_missing(self, digests: Iterable[str]) -> list[str]:
        missing = []
        for digest in digests:
            if not self.seen.holds(self.objects, digest) and not self._take_over(digest):
                missing.append(digest)
        # All at once: a remote answers many questions as quickly as one.
        if missing and self.elsewhere is not None:
            return self.elsewhere.take_artifacts(self.objects, missing)
        return missing

    def _take_over(self, digest: str) -> bool:
        """Whether one of the other checkouts of this machine had the object, which then is here."""
        # What is there under this name is damaged, or it would not be asked for.
        self.objects.remove(digest)
        for other in self.others:
            if self.seen.holds(other, digest):
                self.objects.adopt(digest, other.path(digest))
                if self.seen.holds(self.objects, digest):
                    return True
        return False

    def _fill(self, place: Path, listing: Mapping[str, str]) -> None:
        """Build the folder beside its place, so that it is there as a whole or not at all."""
        # Cut, since a name may have 255 bytes and the prefix adds to it.
        building = place.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{place.name[:50]}")
        remove(building)
        try:
            building.mkdir()
            for folder in sorted({PurePosixPath(name).parent.as_posix() for name in listing}):
                (building / folder).mkdir(parents=True, exist_ok=True)
            for name, digest in listing.items():
                self.objects.place(digest, building / name, fresh=True)
            building.rename(place)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def _update(self, place: Path, wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
        for name in found.keys() - wanted.keys():
            (place / name).unlink()
        for name, digest in wanted.items():
            if found.get(name) != digest:
                _unlink_folders(place, name)
                if (place / name).is_dir():
                    remove(place / name)
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                self.objects.place(digest, place / name)


def _unlink_folders(place: Path, name: str) -> None:
    """Let no folder on the way to a file be a link: what is written stays below the place."""
    for parent in list(PurePosixPath(name).parents)[-2::-1]:
        if (place / parent).is_symlink():
            remove(place / parent)


def read_listing(place: Path) -> dict[str, str]:
    """The files that a folder's object lists, each with its MD5.

    IntegrityError when it is no such list.
    """
    try:
        entries = json.loads(place.read_bytes())
        files = {str(entry["relpath"]): str(entry["md5"]) for entry in entries}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IntegrityError(
            f"this is no listing of a folder: {error}", where=Location(str(place))
        ) from error
    # A listing from a remote is somebody else's text, and its names become paths here.
    for name in files:
        if PurePosixPath(name).is_absolute() or not name or ".." in PurePosixPath(name).parts:
            raise IntegrityError(
                f"the listing names {name!r}, outside its folder", where=Location(str(place))
            )
    return files


def is_folder(ref: FileRef) -> bool:
    """Whether the artifact is a folder."""
    return ref.digest.endswith(FOLDER_SUFFIX)


def _refuse_links(folder: Path, shown: str) -> None:
    """A link to a folder could not be put back."""
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            if os.path.islink(os.path.join(parent, name)):
                where = os.path.relpath(os.path.join(parent, name), folder)
                raise StepError(
                    f"the out holds a link to a folder, {where}, which cannot be kept",
                    where=Location(shown),
                    hint="write files into the folder, or a copy of what the link leads to",
                )
