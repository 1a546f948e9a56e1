"""Runs by what people call them: ids, beginnings of ids, `latest`, and sweeps for their trials."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.runs.project_runs import (
    all_runs,
    belonging_runs,
    find_among,
    sweep_folders,
    trial_runs,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.config import Project
    from nbci.runs.folder import RunFolder


class NamedRuns:
    """The runs and sweeps of a project, listed once for many names."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._own = {folder.run: folder for folder in all_runs(project)}

    @cached_property
    def _sweeps(self) -> dict[str, Path]:
        return {path.name: path for path in sweep_folders(self._project)}

    @cached_property
    def _all(self) -> dict[str, RunFolder]:
        # Listed only where a name is none of the project's own: there may be thousands of trials.
        folders = dict(self._own)
        for folder in self._own.values():
            folders.update({one.run: one for one in belonging_runs(folder)})
        folders.update({trial.run: trial for trial in trial_runs(self._project)})
        return folders

    def sweep(self, name: str) -> Path | None:
        """The folder of the sweep that the name stands for, None where it is no sweep's.

        UsageError for the beginning of a sweep's id that is also the beginning of a run's.
        """
        if name in self._sweeps:
            return self._sweeps[name]
        if name == "latest" or any(run.startswith(name) for run in self._own):
            return None
        sweeps = [sweep for sweep in self._sweeps if sweep.startswith(name)]
        if len(sweeps) != 1:
            return None
        # A sweep and its first trials begin in one second, and their ids alike.
        trials = [run for run in self._all if run.startswith(name)]
        if trials:
            raise UsageError(
                f"{name!r} is the beginning of a sweep and of a trial",
                hint=f"write more of it: {sweeps[0]} or {trials[0]}",
            )
        return self._sweeps[sweeps[0]]

    def find_one(self, name: str) -> RunFolder:
        """The run of that name; one that belongs to another where no other run is meant."""
        known = self._own
        if name != "latest" and not any(run.startswith(name) for run in self._own):
            known = self._all
        return find_among(self._project, known, name)


def find_any_run(project: Project, run: str) -> RunFolder:
    """The run of that name: of the project's own, or one that belongs to another or a sweep."""
    return NamedRuns(project).find_one(run)
