"""Find the runs and results that nothing needs any more, and remove them."""

from __future__ import annotations

import os
import time
from itertools import filterfalse
from typing import TYPE_CHECKING, NamedTuple

from nbci.app.sweeps.clean_trials import remove_trials, unneeded_trials
from nbci.data.repository import project_cache
from nbci.registry.evidence import promoted_runs
from nbci.runs.clean_results import Removable, remove_results, unneeded_results
from nbci.runs.clean_runs import (
    displaced_files,
    known_runs,
    never_begun,
    remove_runs,
    unneeded_runs,
)
from nbci.runs.file_names import BELONGING
from nbci.runs.old_files import YOUNGEST_SECONDS, freed_bytes
from nbci.workspaces.workspace import remove_abandoned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.runs.clean_runs import KnownRun


class CleanRequest(NamedTuple):
    """One call of `nbci clean`; `keep` is None for the project's own number."""

    keep: int | None
    with_cache: bool
    older_seconds: float
    displaced_too: bool
    dry_run: bool


class Cleaned(NamedTuple):
    """What was removed, or with `dry_run` would be.

    `displaced` maps each run that holds files of a person, which it moved out of a step's way, to
    those files. `trials` are runs of trials, by the folder of their sweep. `results` are of the
    cache in `cache_folder`.
    """

    runs: Sequence[str]
    trials: Mapping[Path, Sequence[str]]
    results: Removable
    freed_bytes: int
    displaced: Mapping[str, Sequence[str]]
    cache_folder: Path


def clean_up(project: Project, request: CleanRequest) -> Cleaned:
    """Remove what no kept or promoted run needs; with `dry_run` only say what that is."""
    promoted = promoted_runs(project.root)
    known = known_runs(project, promoted)
    unneeded = _unneeded_runs(project, known, request)
    displaced = _displaced_files(project, unneeded)
    if not request.displaced_too:
        # These files are kept nowhere else: they go only where somebody says so.
        unneeded = list(filterfalse(displaced.__contains__, unneeded))

    cache = project_cache(project, os.environ)
    going = set(unneeded)
    kept = [each.run for each in known if each.run not in going]
    trials = unneeded_trials(project, request.keep or project.keep, promoted, kept)
    # Whatever is younger may belong to a run that goes on.
    before = time.time() - max(request.older_seconds, YOUNGEST_SECONDS)
    results = Removable()
    if request.with_cache:
        going_trials = {run for runs in trials.values() for run in runs}
        results = unneeded_results(cache, project, kept, before, going_trials)

    # Asked while the files are still there.
    folders = [project.runs_folder / run for run in unneeded]
    for sweep, runs in trials.items():
        folders += [sweep / BELONGING / run for run in runs]
    freed = freed_bytes([*folders, *results.paths])
    removed: Sequence[str] = unneeded
    removed_trials: Mapping[Path, Sequence[str]] = trials
    if not request.dry_run:
        remove_abandoned(project, resumable_too=True)
        removed = remove_runs(project, tuple(unneeded), displaced_too=request.displaced_too)
        removed_trials = remove_trials(project, trials)
    if not request.dry_run and request.with_cache:
        remove_results(cache, project, kept, before)
    return Cleaned(removed, removed_trials, results, freed, displaced, cache.root)


def _unneeded_runs(
    project: Project, known: Sequence[KnownRun], request: CleanRequest
) -> Sequence[str]:
    """Runs beyond those that stay, and folders of runs killed before their first record."""
    beyond = unneeded_runs(known, request.keep or project.keep)
    return [*beyond, *never_begun(project, time.time() - YOUNGEST_SECONDS)]


def _displaced_files(project: Project, runs: Sequence[str]) -> dict[str, Sequence[str]]:
    found: dict[str, Sequence[str]] = {}
    for run in runs:
        files = displaced_files(project, run)
        if files:
            found[run] = files
    return found
