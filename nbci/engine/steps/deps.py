"""The files that a step depends on, and the data that DVC tracks among them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nbci.data.tracked import tracked, tracking_file
from nbci.engine.steps.declared_files import stands
from nbci.errors import StepError
from nbci.records.run_record import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.records.run_record import FileRef
    from nbci.store.artifacts import Artifacts
    from nbci.store.file_index import FileIndex


def dep_refs(
    root: Path, paths: Iterable[str], index: FileIndex, made: Mapping[str, FileRef] | None = None
) -> Iterator[FileRef]:
    """Each dependency as it stands, or, where it is tracked data that is not there, as it will.

    A `.dvc` file stands for the data that it tracks. `made` are outs that stand in the workspace by
    then, by path.
    """
    for path in paths:
        if made and path in made:
            yield made[path]
            continue
        dvc_file = tracking_file(root, path)
        if dvc_file is not None:
            for ref in tracked(root, dvc_file):
                # What is not there is brought before the step runs, and is then what DVC says.
                if (root / ref.path).exists():
                    yield index.fingerprint(root, ref.path)
                else:
                    yield ref
        elif (root / path).exists():
            yield index.fingerprint(root, path)


def tracking_files(root: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """The `.dvc` files among the dependencies, or beside them."""
    found: list[str] = []
    for path in paths:
        dvc_file = tracking_file(root, path)
        if dvc_file is not None:
            found.append(dvc_file)
    return tuple(found)


def with_data(root: Path, paths: Iterable[str]) -> Iterator[str]:
    """The dependencies, with the data that `.dvc` files among them stand for."""
    for path in paths:
        yield path
        for ref, _ in _tracked_data(root, [path]):
            yield ref.path


def missing_data(root: Path, paths: Iterable[str]) -> tuple[FileRef, ...]:
    """The tracked data that is not in the workspace."""
    return tuple(ref for ref, _ in _tracked_data(root, paths) if not (root / ref.path).exists())


def _tracked_data(root: Path, paths: Iterable[str]) -> Iterator[tuple[FileRef, str]]:
    """All that the dependencies' `.dvc` files track, each with its `.dvc` file."""
    for dvc_file in tracking_files(root, paths):
        for ref in tracked(root, dvc_file):
            yield ref, dvc_file


def outdated_data(
    root: Path, paths: Iterable[str], index: FileIndex, artifacts: Artifacts
) -> tuple[FileRef, ...]:
    """The tracked data in whose place stands what an earlier commit tracked.

    That earlier data is kept, and can be put back.
    """
    found = []
    for ref, _ in _tracked_data(root, paths):
        if not (root / ref.path).exists() or stands(root, ref, index):
            continue
        # What cannot be read cannot be compared with what was tracked before.
        with contextlib.suppress(StepError):
            there = index.fingerprint(root, ref.path)
            if artifacts.has(there) and not artifacts.missing_objects(there.digest):
                found.append(ref)
    return tuple(found)


def altered_data(root: Path, paths: Iterable[str], index: FileIndex) -> Failure | None:
    """The failure of a step whose tracked data is not what its `.dvc` file says."""
    for ref, dvc_file in _tracked_data(root, paths):
        if (root / ref.path).exists() and not stands(root, ref, index):
            return Failure(
                kind="missing",
                message=f"{ref.path} is not what {dvc_file} says",
                hint=f"track it as it is with `dvc add {ref.path}`, "
                f"or go back with `dvc checkout {dvc_file}`",
            )
    return None
