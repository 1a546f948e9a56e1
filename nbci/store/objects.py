"""Objects named by the digest of their content, in the layout of DVC's cache.

DVC and nbci can use what the other made.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import shutil
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dot_nbci import TEMPORARY_PREFIX
from nbci.errors import IntegrityError, UsageError
from nbci.store.files import disk_errors
from nbci.umask import current_umask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OBJECT_MODE = 0o444
LINKS = ("reflink", "hardlink", "symlink", "copy")
# Read once: each chunk is digested and written before the next one.
_CHUNK_BYTES = 4 << 20
_CLONE = 0x40049409
"""Linux's FICLONE: the copy shares the blocks of the original until one of them is written to."""
_numbers = itertools.count()
_without_clones: set[tuple[int, int]] = set()
"""Pairs of file systems that were found to share no blocks: to try costs as much as a small file.
"""


class Altered(Exception):
    """A file is no longer what it was when its digest was taken."""


def checked_name(name: str) -> str:
    """A digest as it is; IntegrityError for what is none.

    Records and remotes say what objects are called, so names are checked before they are paths.

    >>> checked_name("d41d8cd98f00b204e9800998ecf8427e.dir")
    'd41d8cd98f00b204e9800998ecf8427e.dir'
    """
    if name.removesuffix(".dir").isalnum() and name.isascii():
        return name
    hint = "what names it was altered, or nbci did not write it"
    raise IntegrityError(f"{name!r} is no name of an object", hint=hint)


class Objects(Struct, frozen=True):
    """A folder of objects `ab/cdef…`, known by MD5, read-only and always whole.

    `links` are the ways in which a workspace gets them, the best first, as in DVC's `cache.type`;
    `shared`: the members of a group all write here, as with DVC's `cache.shared`.
    """

    root: Path
    links: tuple[str, ...] = ("reflink", "copy")
    shared: bool = False

    def path(self, name: str) -> Path:
        """Where the object of that name lies; IntegrityError when it is no name of one."""
        return self.root / checked_name(name)[:2] / name[2:]

    def add_bytes(self, name: str, data: bytes) -> None:
        """Keep these bytes, whose digest the caller knows."""
        with self._new_object(name) as temporary:
            temporary.write_bytes(data)

    def add_file(self, name: str, source: Path) -> bool:
        """Keep a file that had this digest; `Altered` when it has another by now.

        The answer is whether it was digested on the way.

        Where workspaces are linked to the objects, the file itself becomes the object, and stays in
        place as a link.
        """
        # A link to a link would depend on the file that the first leads to.
        wanted = self.links[0]
        if source.is_symlink():
            wanted = "copy"
        with self._new_object(name) as temporary:
            # For symlinks, too: the file itself becomes the object, without a copy of its bytes.
            linked = wanted in ("hardlink", "symlink") and _try_link(os.link, source, temporary)
            copied = not linked and not (
                wanted == "reflink" and _try_link(_clone, source, temporary)
            )
            if copied:
                _copy(source, temporary, name)
        if wanted == "symlink":
            with disk_errors(source):
                _replace(source, lambda place: os.symlink(self.path(name), place))
        return copied

    def adopt(self, name: str, source: Path) -> None:
        """Keep the file of another such folder."""
        with self._new_object(name) as temporary:
            # Its bytes may be large, and the other checkout keeps them read-only.
            if not (_try_link(_clone, source, temporary) or _try_link(os.link, source, temporary)):
                shutil.copyfile(source, temporary)

    def place(self, name: str, target: Path, *, fresh: bool = False) -> None:
        """Let the object stand in a workspace, in the best way that the file systems allow.

        `fresh`: nothing is there.

        A copy gets the time of the object, so that whatever is written to it later shows.
        """
        source = self.path(name)
        with disk_errors(target):
            if fresh:
                self._link(source, target)
            else:
                _replace(target, lambda place: self._link(source, place))

    def remove(self, name: str) -> None:
        """Forget an object."""
        with disk_errors(self.path(name)):
            self.path(name).unlink(missing_ok=True)

    def _link(self, source: Path, place: Path) -> None:
        for kind in self.links:
            if kind != "copy" and not _try_link(_MAKE[kind], source, place):
                continue
            if kind == "copy":
                shutil.copyfile(source, place)
            if kind in ("copy", "reflink"):
                # Objects are read-only, and a workspace is for writing.
                found = os.stat(source)
                os.chmod(place, 0o666 & ~current_umask())
                os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))
            return
        raise UsageError(
            f"{source} cannot be linked to {place.parent} by {' or '.join(self.links)}",
            hint="allow `copy`, too: dvc config cache.type hardlink,copy",
        )

    @contextlib.contextmanager
    def _new_object(self, name: str) -> Iterator[Path]:
        """A place to write an object to.

        It gets its name when that went well, and else leaves nothing.
        """
        target = self.path(name)
        temporary = _beside(target)
        with disk_errors(target):
            if not target.parent.is_dir():
                self._make_folder(target.parent)
            try:
                yield temporary
                # Of another user's file, linked: it is whole all the same.
                with contextlib.suppress(PermissionError):
                    os.chmod(temporary, OBJECT_MODE)
                os.replace(temporary, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise

    def _make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if self.shared:
            with contextlib.suppress(PermissionError):
                folder.chmod(0o2775)


def _try_link(link: Callable[[Path, Path], None], source: Path, place: Path) -> bool:
    """Whether the file systems let one be made; a full disk is no such answer."""
    try:
        link(source, place)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place)
        return False
    return True


def clone_or_copy(source: Path, place: Path) -> None:
    """Let a file of the same content stand at a place where nothing is.

    The two share their blocks until one is written to, where the file systems allow that.
    """
    if not _try_link(_clone, source, place):
        shutil.copyfile(source, place)


def _clone(source: Path, place: Path) -> None:
    import fcntl

    # Asking the kernel costs as much as copying a small file, and a folder may have thousands.
    devices = os.stat(source).st_dev, os.stat(place.parent).st_dev
    if devices in _without_clones:
        raise OSError(errno.EOPNOTSUPP, "no clones between these file systems")
    with source.open("rb") as read, place.open("xb") as written:
        try:
            fcntl.ioctl(written.fileno(), _CLONE, read.fileno())
        except OSError as error:
            # These say that it never works between the two; ENOSPC, for one, says that it does.
            if error.errno in (
                errno.EOPNOTSUPP,
                errno.ENOTTY,
                errno.EXDEV,
                errno.ENOSYS,
                errno.EINVAL,
            ):
                _without_clones.add(devices)
            raise


def _copy(source: Path, place: Path, name: str) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with source.open("rb") as read, place.open("xb") as written:
        while chunk := read.read(_CHUNK_BYTES):
            digest.update(chunk)
            written.write(chunk)
    if digest.hexdigest() != name:
        raise Altered


def _replace(target: Path, make: Callable[[Path], None]) -> None:
    """Replace what stands at a place as a whole, with what `make` makes beside it."""
    temporary = _beside(target)
    try:
        make(temporary)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _beside(target: Path) -> Path:
    return target.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{next(_numbers)}")


_MAKE: dict[str, Callable[[Path, Path], None]] = {
    "reflink": _clone,
    "hardlink": os.link,
    "symlink": os.symlink,
}
