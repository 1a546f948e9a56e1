"""Which old runs nobody needs, and their removal."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.dot_nbci import REMOVED_FOLDER
from nbci.errors import UsageError
from nbci.runs.file_names import DISPLACED, RUN_FILE
from nbci.runs.folder import RunFolder
from nbci.runs.old_files import entries, is_older
from nbci.runs.project_runs import all_runs
from nbci.store.files import disk_errors, lock_path, remove, try_lock

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from nbci.config import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """What decides whether a run is removed; `same_as` is the run whose results it reuses."""

    run: str
    going_on: bool = False
    promoted: bool = False
    same_as: str | None = None


def known_runs(project: Project, promoted: Container[str] = ()) -> tuple[KnownRun, ...]:
    """The runs of the project, the newest first; one that cannot be read names no other.

    `promoted` are ids of runs.
    """
    runs = []
    for folder in all_runs(project):
        known = KnownRun(
            run=folder.run,
            going_on=folder.is_going_on,
            promoted=folder.run in promoted,
            same_as=_same_as(folder),
        )
        runs.append(known)
    return tuple(runs)


def _same_as(folder: RunFolder) -> str | None:
    # Not as a record: a damaged one, or one in another format, must not stop the others' removal.
    try:
        named = json.loads((folder.path / RUN_FILE).read_bytes()).get("same_as")
    except (OSError, ValueError, AttributeError):
        return None
    if not isinstance(named, str):
        return None
    return named


def unneeded_runs(runs: Sequence[KnownRun], keep: int) -> tuple[str, ...]:
    """The runs to remove: all but the `keep` newest, those that go on, and promoted ones.

    `runs` has the newest first. A run that a kept run names stays too.
    """
    kept = set()
    for number, known in enumerate(runs):
        if number < keep or known.going_on or known.promoted:
            kept.add(known.run)
    # A run names an older one, which may name one that is older still.
    for known in runs:
        if known.run in kept and known.same_as is not None:
            kept.add(known.same_as)
    return tuple(known.run for known in runs if known.run not in kept)


def never_begun(project: Project, before: float) -> tuple[str, ...]:
    """Folders in which no run ever began, last changed before that time.

    nbci was killed while it made them.
    """
    names = []
    for entry in entries(project.runs_folder, depth=0):
        has_begun = (entry / RUN_FILE).exists()
        if not has_begun and is_older(entry, before) and not RunFolder(entry).is_going_on:
            names.append(entry.name)
    return tuple(names)


def displaced_files(project: Project, run: str) -> tuple[str, ...]:
    """The user's files that were moved out of steps' way into the run's folder: the only copy."""
    folder = project.runs_folder / run / DISPLACED
    files = []
    for path in folder.rglob("*"):
        # A link to a folder is a file here: what it leads to is not in the run.
        if path.is_symlink() or not path.is_dir():
            files.append(path.relative_to(folder).as_posix())
    return tuple(sorted(files))


def remove_runs(
    project: Project, runs: Iterable[str], *, displaced_too: bool = False
) -> tuple[str, ...]:
    """Remove these runs; the answer is those that were removed.

    A run that somebody resumes or names meanwhile stays, and so does one that holds displaced
    files, unless those are asked for. Each is renamed first, so that no other process can take half
    of it for a run.
    """
    with hold_aside(project) as aside:
        allowed = [run for run in runs if displaced_too or not displaced_files(project, run)]
        return _remove_runs(project, allowed, aside)


@contextlib.contextmanager
def hold_aside(project: Project) -> Iterator[Path]:
    """The folder for what is going to be removed, for this process alone.

    UsageError while another process has it.
    """
    lock = try_lock(lock_path(project.locks_folder, "clean"))
    if lock is None:
        raise UsageError(
            "another `nbci clean` is at work in this project", hint="wait until it has ended"
        )
    try:
        yield project.root / REMOVED_FOLDER
    finally:
        os.close(lock)


def _remove_runs(project: Project, runs: Sequence[str], aside: Path) -> tuple[str, ...]:
    removed = [run for run in runs if put_aside(RunFolder(project.runs_folder / run), aside)]

    # A run that began meanwhile may stand on one that is aside now: that one comes back.
    for known in known_runs(project):
        if known.same_as in removed:
            removed.remove(known.same_as)
            os.rename(aside / known.same_as, project.runs_folder / known.same_as)
    remove(aside)
    return tuple(removed)


def put_aside(folder: RunFolder, aside: Path) -> bool:
    """Move the folder of a run into `aside`; False when somebody resumes the run."""
    # Held while it is renamed: nobody resumes it in this moment.
    if not folder.hold():
        return False
    try:
        with disk_errors(aside):
            aside.mkdir(parents=True, exist_ok=True)
            os.rename(folder.path, aside / folder.run)
    finally:
        folder.release()
    return True
