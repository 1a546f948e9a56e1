"""Which runs of old sweeps' trials nobody needs, and their removal."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING

from nbci.app.sweeps.sweep_folder import SWEEP_FILE, SweepFolder
from nbci.errors import NbciError
from nbci.runs.clean_runs import hold_aside, put_aside
from nbci.runs.project_runs import all_runs, sweep_folders, sweep_trials
from nbci.store.files import remove
from nbci.sweeps.standing import front_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project


def unneeded_trials(
    project: Project, keep: int, promoted: Container[str], kept_runs: Container[str]
) -> dict[Path, tuple[str, ...]]:
    """By the folder of each sweep but the `keep` newest, those of its trials' runs that may go.

    The best one's stays, of several objectives those of the front, and so do runs that a release or
    a kept run names. A sweep that goes on keeps all, and so does one that cannot be read: nobody
    knows which of its trials is the best.
    """
    named = set(_named_by_runs(project, kept_runs))
    found = {}
    for path in islice(_sweeps(project), keep, None):
        folder = SweepFolder(path)
        if folder.is_going_on:
            continue
        with contextlib.suppress(NbciError, OSError):
            front = front_of(folder.read_record(), folder.read_trials())
            needed = named | {trial.run for trial in front}
            runs = []
            for run in sweep_trials(path):
                if run.run not in needed and run.run not in promoted and not run.is_going_on:
                    runs.append(run.run)
            if runs:
                found[path] = tuple(runs)
    return found


def _sweeps(project: Project) -> Iterator[Path]:
    """The folders of the sweeps that have begun, the newest first."""
    return (path for path in sweep_folders(project) if (path / SWEEP_FILE).exists())


def _named_by_runs(project: Project, kept_runs: Container[str]) -> Iterator[str]:
    """The runs of trials that kept runs are: what was chosen can be looked at."""
    for folder in all_runs(project):
        if folder.run not in kept_runs:
            continue
        with contextlib.suppress(NbciError, OSError):
            chosen = folder.read_header().chosen
            if chosen is not None and chosen.run is not None:
                yield chosen.run


def remove_trials(
    project: Project, trials: Mapping[Path, tuple[str, ...]]
) -> dict[Path, tuple[str, ...]]:
    """Remove these runs of trials; the answer is those that were removed.

    A sweep that somebody goes on with meanwhile stays as it is.
    """
    with hold_aside(project) as aside:
        removed = dict(_remove_trials(trials, aside))
        remove(aside)
    return removed


def _remove_trials(
    trials: Mapping[Path, tuple[str, ...]], aside: Path
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    for path, runs in trials.items():
        folder = SweepFolder(path)
        # Held meanwhile: nobody goes on with it.
        if not folder.hold():
            continue
        try:
            folders = [run for run in sweep_trials(path) if run.run in runs]
            yield path, tuple(run.run for run in folders if put_aside(run, aside))
        finally:
            folder.release()
