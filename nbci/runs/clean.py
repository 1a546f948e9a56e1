"""Which old runs and results nobody needs, what removing them frees, and their removal."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.dot_nbci import REMOVED_FOLDER
from nbci.errors import IntegrityError, UsageError
from nbci.records.codec import from_json
from nbci.records.run_record import StepRecord
from nbci.runs.folder import DISPLACED, RunFolder, all_runs
from nbci.store.artifacts import read_listing
from nbci.store.cache import Cache
from nbci.store.environments import Environments
from nbci.store.file_index import FOLDER_SUFFIX
from nbci.store.files import disk_errors, lock_path, remove, try_lock

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.store.objects import Objects

YOUNGEST_SECONDS = 86400.0
"""What is younger is left alone: a run that goes on may have made it, and not yet said that it
needs it.
"""
_UNREADABLE = (IntegrityError, UsageError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRun:
    """What decides over a run.

    Whether it goes on or was promoted, and the run whose results stand for it.
    """

    run: str
    going_on: bool = False
    promoted: bool = False
    same_as: str | None = None


def unneeded_runs(runs: Sequence[KnownRun], keep: int) -> tuple[str, ...]:
    """Of the runs, the newest first, those beyond the `keep` newest that no kept one names.

    What goes on stays, and so does what was promoted.
    """
    kept = {
        known.run
        for number, known in enumerate(runs)
        if number < keep or known.going_on or known.promoted
    }
    for known in runs:  # a run names an older one only
        if known.run in kept and known.same_as is not None:
            kept.add(known.same_as)
    return tuple(known.run for known in runs if known.run not in kept)


def known_runs(project: Project, promoted: Container[str] = ()) -> tuple[KnownRun, ...]:
    """The runs of the project, the newest first; one that cannot be read names no other.

    `promoted` are ids of runs.
    """
    return tuple(
        KnownRun(
            run=folder.run,
            going_on=folder.is_going_on,
            promoted=folder.run in promoted,
            same_as=_same_as(folder),
        )
        for folder in all_runs(project)
    )


def _same_as(folder: RunFolder) -> str | None:
    try:
        named = json.loads((folder.path / "run.json").read_bytes()).get("same_as")
    except (OSError, ValueError, AttributeError):
        return None
    return named if isinstance(named, str) else None


def displaced_files(project: Project, run: str) -> tuple[str, ...]:
    """Files that were moved out of steps' way into the run's folder: the only copy of them."""
    folder = project.runs_folder / run / DISPLACED
    # A link to a folder is a file here: what it leads to is not in the run.
    there = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return tuple(sorted(path.relative_to(folder).as_posix() for path in there))


def never_begun(project: Project, before: float) -> tuple[str, ...]:
    """Folders in which no run ever began, last changed before that time.

    nbci was killed while it made them.
    """
    known = (
        entry for entry in _files(project.runs_folder, depth=0) if not (entry / "run.json").exists()
    )
    return tuple(
        entry.name
        for entry in known
        if _is_older(entry, before) and not RunFolder(entry).is_going_on
    )


def remove_runs(
    project: Project, runs: Iterable[str], *, displaced_too: bool = False
) -> tuple[str, ...]:
    """Remove these runs; the answer is those that were removed.

    A run that somebody resumes or names meanwhile stays, and so does one that holds displaced
    files, unless those are asked for. Each is renamed first, so that no other process can take half
    of it for a run.
    """
    lock = try_lock(lock_path(project.locks_folder, "clean"))
    if lock is None:
        raise UsageError(
            "another `nbci clean` is at work in this project", hint="wait until it has ended"
        )
    try:
        allowed = [run for run in runs if displaced_too or not displaced_files(project, run)]
        return _remove_runs(project, allowed, project.root / REMOVED_FOLDER)
    finally:
        os.close(lock)


def _remove_runs(project: Project, runs: Iterable[str], aside: Path) -> tuple[str, ...]:
    gone: list[str] = []
    for run in runs:
        folder = RunFolder(project.runs_folder / run)
        # Held while it is renamed: nobody resumes it in this moment.
        if not folder.hold():
            continue
        try:
            with disk_errors(aside):
                aside.mkdir(parents=True, exist_ok=True)
                os.rename(folder.path, aside / run)
            gone.append(run)
        finally:
            folder.release()
    # A run that began meanwhile may stand on one that is aside now: that one comes back.
    for known in known_runs(project):
        if known.same_as in gone:
            gone.remove(known.same_as)
            os.rename(aside / known.same_as, project.runs_folder / known.same_as)
    remove(aside)
    return tuple(gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """What may go from the cache: results, values, artifacts, environments.

    Each result counts with what was kept beside it. Notebooks are among the values.
    """

    results: tuple[Path, ...] = ()
    values: tuple[Path, ...] = ()
    artifacts: tuple[Path, ...] = ()
    environments: tuple[Path, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of it."""
        return (*self.results, *self.values, *self.artifacts, *self.environments)


def unneeded_results(
    cache: Cache, project: Project, kept_runs: Sequence[str], before: float
) -> Removable:
    """What was last used before that time, and is no part of a kept run or of a kept result.

    Builds of forks have caches of their own in the cache, which count, too.
    """
    every = [
        _unneeded_in(each, project, kept_runs, before) for each in (cache, *_caches_of_forks(cache))
    ]
    return Removable(
        results=tuple(path for found in every for path in found.results),
        values=tuple(path for found in every for path in found.values),
        artifacts=tuple(path for found in every for path in found.artifacts),
        environments=tuple(path for kept in _environments(cache) for path in kept.unused(before)),
    )


def _caches_of_forks(cache: Cache) -> list[Cache]:
    return [Cache(folder) for folder in sorted(cache.root.glob("pr/*")) if folder.is_dir()]


def _unneeded_in(
    cache: Cache, project: Project, kept_runs: Sequence[str], before: float
) -> Removable:
    """The same of one cache, without environments."""
    records = [
        record
        for run in kept_runs
        for record in RunFolder(project.runs_folder / run).step_records()
    ]
    # What kept runs took or made stays: their report shows it, and a resumed run goes on from it.
    of_runs = {cache.entry(record) for record in records if record.key is not None}
    results: list[Path] = []
    needed = {digest for record in records for digest in _digests(record)}
    # A result and what is kept beside it go together, and only where both are old.
    for path in _files(cache.root / "results", depth=2):
        entry = path.with_suffix(".json")
        if (
            entry not in of_runs
            and _is_older(path, before)
            and (entry == path or _is_older(entry, before))
        ):
            results.append(path)
        elif path.suffix == ".kept":
            needed.add(_notebook(path))
        elif (record := _read(path)) is not None:
            needed |= set(_digests(record))
    return Removable(
        results=tuple(sorted(results)),
        values=(*_unneeded(cache.values, needed, before), *_left_behind(cache, before)),
        artifacts=tuple(_unneeded(cache.own.root, needed | _in_folders(cache.own, needed), before)),
    )


def remove_results(cache: Cache, project: Project, kept_runs: Sequence[str], before: float) -> None:
    """Remove them: results first, then what no result names by then.

    Another process may use one meanwhile.
    """
    for path in unneeded_results(cache, project, kept_runs, before).results:
        _remove_older(path, before)
    # Asked again: a result that another process took meanwhile is young now.
    left = unneeded_results(cache, project, kept_runs, before)
    for path in (*left.values, *left.artifacts):
        _remove_older(path, before)
    for kept in _environments(cache):
        kept.remove_unused(before)


def _environments(cache: Cache) -> Iterator[Environments]:
    """Those of this cache, and those that builds of forks made for themselves."""
    for each in (cache, *_caches_of_forks(cache)):
        yield Environments(each.root / "environments")


def _remove_older(path: Path, before: float) -> None:
    if _is_older(path, before):
        remove(path)


def freed_bytes(paths: Iterable[Path]) -> int:
    """The bytes that removing these frees: a file with further names elsewhere frees none."""
    seen: dict[tuple[int, int], tuple[int, int, int]] = {}
    for path in paths:
        for found in _stats(path):
            _, _, names = seen.get((found.st_dev, found.st_ino), (0, 0, 0))
            seen[found.st_dev, found.st_ino] = (found.st_size, found.st_nlink, names + 1)
    # Hard links: the blocks are free when the last name goes.
    return sum(size for size, links, names in seen.values() if names >= links)


def _stats(path: Path) -> Iterator[os.stat_result]:
    # Another process may remove it meanwhile; then it frees nothing here.
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            yield found
            return
        for child in path.iterdir():
            yield from _stats(child)
    except FileNotFoundError:
        return


def _unneeded(folder: Path, needed: set[str], before: float) -> Iterator[Path]:
    for path in _files(folder, depth=1):
        if f"{path.parent.name}{path.name}" not in needed and _is_older(path, before):
            yield path


def _notebook(kept: Path) -> str:
    try:
        return str(json.loads(kept.read_bytes())["notebook"])
    except (OSError, ValueError, KeyError):
        return ""


def _in_folders(objects: Objects, needed: Iterable[str]) -> set[str]:
    """The files of those folders among the needed that are kept here."""
    found: set[str] = set()
    for name in needed:
        if name.endswith(FOLDER_SUFFIX):
            with contextlib.suppress(IntegrityError):
                found |= set(read_listing(objects.path(name)).values())
    return found


def _left_behind(cache: Cache, before: float) -> Iterator[Path]:
    """What was being written, or was on its way to or from a remote, at a process's death."""
    yield from (
        path for path in _files(cache.values, depth=0) if path.is_file() and _is_older(path, before)
    )
    for name in ("incoming", "outgoing"):
        yield from (path for path in _files(cache.root / name, depth=0) if _is_older(path, before))


def _files(folder: Path, *, depth: int) -> list[Path]:
    """What lies in a folder, or so many levels deeper."""
    return sorted(folder.glob("/".join(["*"] * (depth + 1))))


def _is_older(path: Path, before: float) -> bool:
    """By the time of the last change of its entry, which nothing can set back."""
    try:
        return path.lstat().st_ctime < before
    except FileNotFoundError:
        return True


def _read(path: Path) -> StepRecord | None:
    try:
        return from_json(path.read_bytes(), StepRecord, str(path))
    except _UNREADABLE:
        return None


def _digests(record: StepRecord) -> Iterator[str]:
    yield from (ref.object for ref in (*record.takes, *record.gives))
    yield from (ref.digest for ref in (*record.deps, *record.outs))
