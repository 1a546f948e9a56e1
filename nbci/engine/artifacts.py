"""The files that a step declares: there before it runs, cleared before each try, and there when it has ended."""

from __future__ import annotations

import itertools
import os
import shutil
from typing import TYPE_CHECKING

from nbci.records.model import Failure
from nbci.store.files import disk_errors, remove

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nbci.records.model import FileRef
    from nbci.store.cache import Cache
    from nbci.store.index import FileIndex


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


def clear_outs(
    root: Path, paths: Iterable[str], known: frozenset[tuple[str, str]], aside: Path, index: FileIndex
) -> list[str]:
    """Remove what an earlier run left, so that a step starts clean.

    `known` holds (path, digest) of what nbci has recorded. Any other content was made by somebody else and is stored
    nowhere: it is moved to the folder `aside` instead; the answer names those paths.
    """
    kept = []
    for path in paths:
        place = root / path
        if not place.exists() and not place.is_symlink():
            continue
        if place.exists() and (path, index.fingerprint(root, path).digest) not in known:
            with disk_errors(aside):
                target = _free_place(aside / path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(place, target)
            kept.append(path)
        else:
            remove(place)
    return kept


def restore_artifact(root: Path, ref: FileRef, cache: Cache, index: FileIndex) -> None:
    """Put an artifact back where it belongs, unless it stands there already."""
    place = root / ref.path
    if place.exists() and index.fingerprint(root, ref.path).digest == ref.digest:
        return
    source = cache.artifact_path(ref.digest)
    with disk_errors(place):
        remove(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, symlinks=True)
        else:
            shutil.copyfile(source, place)


def _free_place(path: Path) -> Path:
    """The path, or with a number when something was kept there before: a second try must not replace it."""
    places = (path.with_name(f"{path.name}.{number}") for number in itertools.count(2))
    return path if not os.path.lexists(path) else next(place for place in places if not os.path.lexists(place))
