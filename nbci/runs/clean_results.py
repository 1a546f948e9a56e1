"""Which old results in the cache no kept run needs, and their removal."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError
from nbci.records.codec import from_json
from nbci.records.run_record import StepRecord
from nbci.runs.folder import RunFolder
from nbci.runs.old_files import entries, is_older
from nbci.runs.project_runs import trial_runs
from nbci.store.artifacts import read_listing
from nbci.store.cache import Cache
from nbci.store.environments import Environments
from nbci.store.file_index import FOLDER_SUFFIX
from nbci.store.files import remove
from nbci.store.in_the_making import IN_THE_MAKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.store.objects import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Removable:
    """Files that may be removed from the cache: results, values, artifacts, environments.

    Each result counts with what was kept beside it. Notebooks are among the values.
    """

    results: tuple[Path, ...] = ()
    values: tuple[Path, ...] = ()
    artifacts: tuple[Path, ...] = ()
    environments: tuple[Path, ...] = ()

    def __add__(self, other: Removable) -> Removable:
        return Removable(
            results=self.results + other.results,
            values=self.values + other.values,
            artifacts=self.artifacts + other.artifacts,
            environments=self.environments + other.environments,
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of the files."""
        return (*self.results, *self.values, *self.artifacts, *self.environments)


def unneeded_results(
    cache: Cache,
    project: Project,
    kept_runs: Sequence[str],
    before: float,
    removed_trials: Container[str] = (),
) -> Removable:
    """What was last used before that time, and is no part of a kept run or of a kept result.

    `removed_trials` are runs of trials that are not kept. Builds of forks have caches of their own
    in the cache, which count, too.
    """
    unneeded = Removable()
    for each in _with_caches_of_forks(cache):
        unneeded += _unneeded_in(each, project, _kept(project, kept_runs, removed_trials), before)
    return unneeded


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
    for each in _with_caches_of_forks(cache):
        _environments(each).remove_unused(before)


def _with_caches_of_forks(cache: Cache) -> Iterator[Cache]:
    yield cache
    for folder in sorted(cache.root.glob("pr/*")):
        if folder.is_dir():
            yield Cache(folder)


def _environments(cache: Cache) -> Environments:
    return Environments(cache.root / "environments")


def _kept(
    project: Project, kept_runs: Sequence[str], removed_trials: Container[str]
) -> Iterator[RunFolder]:
    """The runs that stay, those of trials too."""
    for run in kept_runs:
        yield RunFolder(project.runs_folder / run)
    for trial in trial_runs(project):
        if trial.run not in removed_trials:
            yield trial


def _unneeded_in(
    cache: Cache, project: Project, kept: Iterable[RunFolder], before: float
) -> Removable:
    """What is unneeded in one cache, without those of forks."""
    # What kept runs took or made stays: their report shows it, and a resumed run goes on from it.
    results_of_runs: set[Path] = set()
    needed: set[str] = set()
    for folder in kept:
        for record in folder.step_records():
            needed.update(_digests(record))
            if record.key is not None:
                results_of_runs.add(cache.entry(record))

    results = []
    for path in entries(cache.root / "results", depth=2):
        # A result and what is kept beside it go together, and only where both are old.
        entry = path.with_suffix(".json")
        is_old = is_older(path, before) and (entry == path or is_older(entry, before))
        if is_old and entry not in results_of_runs:
            results.append(path)
        else:
            needed.update(_digests_in(path))

    return Removable(
        results=tuple(results),
        values=(*_unneeded(cache.values, needed, before), *_left_behind(cache, before)),
        artifacts=tuple(_unneeded(cache.own.root, needed | _in_folders(cache.own, needed), before)),
        environments=_environments(cache).find_unused(before),
    )


def _digests_in(result: Path) -> list[str]:
    """The digests in a file of the results: a record, or the digest of its notebook (`.kept`)."""
    try:
        content = result.read_bytes()
        if result.suffix == ".kept":
            return [str(json.loads(content)["notebook"])]
        return [*_digests(from_json(content, StepRecord, str(result)))]
    # A damaged result is never taken again, so what it names may go.
    except (OSError, ValueError, KeyError, IntegrityError):
        return []


def _digests(record: StepRecord) -> Iterator[str]:
    """The digests of the values and files that a step took and gave."""
    for value in (*record.takes, *record.gives):
        yield value.object
    for file in (*record.deps, *record.outs):
        yield file.digest


def _in_folders(objects: Objects, needed: Iterable[str]) -> set[str]:
    """The files of those folders among the needed that are kept here."""
    found: set[str] = set()
    for name in needed:
        if name.endswith(FOLDER_SUFFIX):
            with contextlib.suppress(IntegrityError):
                found.update(read_listing(objects.path(name)).values())
    return found


def _unneeded(folder: Path, needed: set[str], before: float) -> Iterator[Path]:
    """The old objects of a folder, where the digest of each is in its path."""
    for path in entries(folder, depth=1):
        if f"{path.parent.name}{path.name}" not in needed and is_older(path, before):
            yield path


def _left_behind(cache: Cache, before: float) -> Iterator[Path]:
    """Files that a killed process was writing, or was sending to or fetching from a remote."""
    for path in entries(cache.values, depth=0):
        if path.is_file() and is_older(path, before):
            yield path
    for name in ("incoming", "outgoing", IN_THE_MAKING):
        for path in entries(cache.root / name, depth=0):
            if is_older(path, before):
                yield path


def _remove_older(path: Path, before: float) -> None:
    if is_older(path, before):
        remove(path)
