"""The files that a step declares: there before it runs, cleared before each try, and there when it has ended."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
from typing import TYPE_CHECKING

from nbci.records.model import Failure, FileRef
from nbci.store.files import disk_errors, file_digest, remove

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def fingerprint(root: Path, path: str) -> FileRef:
    """The file or folder as it stands. A folder's digest is that of its listing: relative paths and digests."""
    place = root / path
    if not place.is_dir():
        digest, size = file_digest(place)
        return FileRef(path=path, digest=digest, bytes=size)
    listing = hashlib.blake2b(digest_size=32)
    total = count = 0
    for file in _files_below(place):
        digest, size = file_digest(file) if file.is_file() else _special_digest(file)
        name = file.relative_to(place).as_posix()
        listing.update(f"{digest} {name}\n".encode(errors="surrogateescape"))
        total, count = total + size, count + 1
    return FileRef(path=path, digest=listing.hexdigest(), bytes=total, files=count)


def missing_deps(root: Path, paths: Iterable[str]) -> Failure | None:
    """The failure of a step whose dependency is not there."""
    gone = [path for path in paths if not (root / path).exists()]
    if not gone:
        return None
    return Failure(
        kind="missing",
        message=f"a dependency is not there: {', '.join(gone)}",
        hint="make the file, or declare it as an out of the step that makes it",
    )


def missing_outs(root: Path, paths: Iterable[str]) -> Failure | None:
    """The failure of a step that ended without what it declared."""
    gone = [path for path in paths if not (root / path).exists()]
    if not gone:
        return None
    return Failure(
        kind="missing",
        message=f"the step declares {', '.join(gone)} but did not write {'it' if len(gone) == 1 else 'them'}",
        hint="paths in a notebook's tags are relative to where its cells run, in a pipeline file to the project",
    )


def make_ready(root: Path, paths: Iterable[str]) -> None:
    """Make the folders that the outs will lie in: a fresh checkout does not have them."""
    for path in paths:
        with disk_errors(root / path):
            (root / path).parent.mkdir(parents=True, exist_ok=True)


def clear_outs(root: Path, paths: Iterable[str], known: frozenset[tuple[str, str]], aside: Path) -> list[str]:
    """Remove what an earlier run left, so that a step starts clean.

    `known` holds (path, digest) of what nbci has recorded. Any other content was made by somebody else and is stored
    nowhere: it is moved to the folder `aside` instead; the answer names those paths.
    """
    kept = []
    for path in paths:
        place = root / path
        if not place.exists() and not place.is_symlink():
            continue
        if place.exists() and (path, fingerprint(root, path).digest) not in known:
            with disk_errors(aside):
                target = _free_place(aside / path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(place, target)
            kept.append(path)
        else:
            remove(place)
    return kept


def store_artifact(root: Path, ref: FileRef, objects: Path) -> None:
    """Copy an artifact into a folder of objects, by its digest, to be carried elsewhere."""
    target = objects / ref.digest
    if target.exists():
        return
    with disk_errors(target):
        objects.mkdir(parents=True, exist_ok=True)
        temporary = objects / f".{ref.digest}.{os.getpid()}"
        _copy(root / ref.path, temporary)
        temporary.rename(target)


def restore_artifact(root: Path, ref: FileRef, objects: Path) -> None:
    """Put an artifact back where it belongs, unless it stands there already."""
    place = root / ref.path
    if place.exists() and fingerprint(root, ref.path).digest == ref.digest:
        return
    with disk_errors(place):
        remove(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        _copy(objects / ref.digest, place)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copyfile(source, target)


def _free_place(path: Path) -> Path:
    """The path, or with a number when something was kept there before: a second try must not replace it."""
    places = (path.with_name(f"{path.name}.{number}") for number in itertools.count(2))
    return path if not os.path.lexists(path) else next(place for place in places if not os.path.lexists(place))


def _files_below(folder: Path) -> list[Path]:
    """Everything in the folder but folders themselves; links to folders are not followed."""
    found = []
    for parent, folders, names in os.walk(folder, followlinks=False):
        place = folder.__class__(parent)
        found += [place / name for name in (*names, *folders) if name in names or (place / name).is_symlink()]
    return sorted(found)


def _special_digest(path: Path) -> tuple[str, int]:
    """For what is no file with bytes to read: a link is where it leads to, a pipe or socket its kind."""
    what = os.readlink(path) if path.is_symlink() else f"mode {stat.S_IFMT(path.lstat().st_mode)}"
    return hashlib.blake2b(os.fsencode(what), digest_size=32).hexdigest(), 0
