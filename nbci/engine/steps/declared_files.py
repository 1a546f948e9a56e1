"""The files that a step declares, before, during and after it.

Inputs are there before it runs, outs are cleared before each try, and are there when it has ended.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.errors import IntegrityError, Location, StepError
from nbci.records.run_record import Failure
from nbci.store.artifacts import is_folder
from nbci.store.files import disk_errors, remove

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from nbci.records.run_record import FileRef
    from nbci.store.artifacts import Artifacts
    from nbci.store.file_index import FileIndex


_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Files(Struct, frozen=True):
    """What is kept of files, and what is known of those in the workspace."""

    artifacts: Artifacts
    index: FileIndex


def missing_deps(root: Path, paths: Iterable[str]) -> Failure | None:
    """The failure of a step whose dependency is not there."""
    gone = _not_there(root, paths)
    if not gone:
        return None
    return Failure(
        kind="missing",
        message=f"a dependency is not there: {', '.join(gone)}",
        hint="make the file, or declare it as an out of the step that makes it",
    )


def missing_outs(root: Path, paths: Iterable[str]) -> Failure | None:
    """The failure of a step that ended without what it declared."""
    gone = _not_there(root, paths)
    if not gone:
        return None
    pronoun = "them"
    if len(gone) == 1:
        pronoun = "it"
    return Failure(
        kind="missing",
        message=f"the step declares {', '.join(gone)} but did not write {pronoun}",
        hint="paths in a notebook's tags are relative to where its cells run, "
        "in a pipeline file to the project",
    )


def _not_there(root: Path, paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not (root / path).exists()]


def make_folders(root: Path, paths: Iterable[str]) -> None:
    """Make the folders that the outs will lie in: a fresh checkout does not have them."""
    for path in paths:
        with disk_errors(root / path):
            (root / path).parent.mkdir(parents=True, exist_ok=True)


def clear_outs(
    root: Path, paths: Iterable[str], known: Container[tuple[str, str]], aside: Path, files: Files
) -> list[str]:
    """Remove what an earlier run left, so that a step starts clean.

    `known` holds (path, digest) of what nbci has recorded. Any other content that is kept nowhere
    was not made by a run: it is moved to the folder `aside` instead; the answer names those
    paths.
    """
    there = [path for path in paths if os.path.lexists(root / path)]
    # told of all before any is touched: one of them may be a link to another
    foreign = {path for path in there if not _is_ours(root, path, known, files)}
    moved = []
    for path in there:
        if path not in foreign:
            remove(root / path)
        # It may have gone with a folder that it lies in.
        elif os.path.lexists(root / path):
            _move_aside(root / path, aside / path)
            moved.append(path)
    return moved


def _is_ours(root: Path, path: str, known: Container[tuple[str, str]], files: Files) -> bool:
    """Whether what stands there, a link that leads nowhere included, is nbci's to clear."""
    place = root / path
    if place.exists():
        return _is_stored(root, path, known, files)
    return _leads_to_object(place)


def _move_aside(place: Path, kept: Path) -> None:
    with disk_errors(kept):
        target = _free_place(kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(place, target)


def _leads_to_object(link: Path) -> bool:
    """Whether a broken link led into a cache, that of nbci or that of DVC.

    DVC makes such links where `cache.type` is `symlink`.
    """
    # Between the two looks it may have been removed.
    if not link.is_symlink():
        return True
    target = Path(os.readlink(link))
    return _OBJECT.fullmatch(f"{target.parent.name}{target.name}") is not None


def _is_stored(root: Path, path: str, known: Container[tuple[str, str]], files: Files) -> bool:
    """Whether nbci may clear what stands there.

    It may if a run made it, or if it can be put back at any time.
    """
    try:
        ref = files.index.fingerprint(root, path)
    except StepError:
        # It cannot be read, or was removed: what it was is not known.
        return False
    if (path, ref.digest) in known:
        return True
    return files.artifacts.has(ref) and not files.artifacts.missing_objects(ref.digest)


def restore_artifacts(
    root: Path,
    refs: Iterable[FileRef],
    known: Container[tuple[str, str]],
    aside: Path,
    files: Files,
) -> list[str]:
    """Put artifacts back in their places, unless they stand there already.

    What is moved aside is named, as above.

    IntegrityError, before anything is touched, when one of their objects is gone or damaged.
    """
    # All objects are checked first: an error must not leave the workspace half restored.
    wanted = [ref for ref in refs if not stands(root, ref, files.index)]
    for ref in wanted:
        gone = files.artifacts.missing_objects(ref.digest)
        if gone:
            raise IntegrityError(
                f"{len(gone)} of the objects kept of it are gone or damaged, "
                f"{files.artifacts.objects.path(gone[0])}",
                where=Location(ref.path),
                hint="the step that made it has to run again",
            )
    displaced = []
    for ref in wanted:
        place = root / ref.path
        if os.path.lexists(place) and not _is_stored(root, ref.path, known, files):
            displaced += clear_outs(root, [ref.path], known, aside, files)
        files.artifacts.restore(root, ref, files.index)
    return displaced


def stands(root: Path, ref: FileRef, index: FileIndex) -> bool:
    """Whether the workspace has just this at its place."""
    place = root / ref.path
    if not place.exists() or place.is_dir() != is_folder(ref):
        return False
    try:
        return index.fingerprint(root, ref.path).digest == ref.digest
    except StepError:
        # Part of it cannot be read.
        return False


def _free_place(path: Path) -> Path:
    """The path, or the path with a number when something was kept there before.

    A second try must not replace what the first one moved aside.
    """
    place = path
    number = 2
    while os.path.lexists(place):
        place = path.with_name(f"{path.name}.{number}")
        number += 1
    return place
