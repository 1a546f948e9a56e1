"""The runs of a project: begin one, list them, find one by its id."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from nbci.dot_nbci import NBCI_FOLDER, SWEEPS_FOLDER
from nbci.errors import InfrastructureError, Location, UsageError, nearest
from nbci.runs.file_names import BELONGING, RUN_FILE
from nbci.runs.folder import RunFolder
from nbci.runs.run_file import new_run_id
from nbci.store.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project

_RUNS_SHOWN = 5


def new_run(project: Project, run: str | None = None) -> RunFolder:
    """Make the folder of a new run, held by this process; `run` is its id, if that is given."""
    ignore_own_files(project)
    return _make_run_folder(project.runs_folder, run)


def ignore_own_files(project: Project) -> None:
    """Have git ignore `.nbci`."""
    ignore = project.root / NBCI_FOLDER / ".gitignore"
    with disk_errors(ignore):
        ignore.parent.mkdir(parents=True, exist_ok=True)
        # Who runs a notebook in any repository should not have to know of `.nbci`.
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def _make_run_folder(runs: Path, run: str | None = None) -> RunFolder:
    """Make the folder of a new run among these, held by this process; ids sort by time."""
    while True:
        path = runs / (run or new_run_id(time.time()))
        run = None
        with disk_errors(path):
            runs.mkdir(parents=True, exist_ok=True)
            # Two runs may begin in one moment: the second takes another id.
            try:
                path.mkdir()
            except FileExistsError:
                continue
        folder = RunFolder(path)
        folder.hold()
        folder.make_reserve()
        return folder


def new_belonging_run(parent: RunFolder) -> RunFolder:
    """Make the folder of a new run that belongs to `parent`, held by this process."""
    return _make_run_folder(parent.path / BELONGING)


def new_trial(sweep: Path) -> RunFolder:
    """Make the folder of a new run in that of a sweep, held by this process."""
    return _make_run_folder(sweep / BELONGING)


def sweep_folders(project: Project) -> Iterator[Path]:
    """The folders of the project's sweeps, the newest first."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield from sorted((project.root / SWEEPS_FOLDER).iterdir(), reverse=True)


def trial_runs(project: Project) -> Iterator[RunFolder]:
    """The runs of all sweeps of the project."""
    for sweep in sweep_folders(project):
        yield from sweep_trials(sweep)


def sweep_trials(sweep: Path) -> Iterator[RunFolder]:
    """The runs in the folder of a sweep, the newest first."""
    yield from _runs_in(sweep / BELONGING)


def all_runs(project: Project) -> Iterator[RunFolder]:
    """The runs of the project, the newest first."""
    yield from _runs_in(project.runs_folder)


def _runs_in(runs: Path) -> Iterator[RunFolder]:
    try:
        with os.scandir(runs) as entries:
            names = sorted((entry.name for entry in entries if entry.is_dir()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InfrastructureError(
            f"cannot be read: {error.strerror}", where=Location(str(runs))
        ) from error

    for name in names:
        # A run that was killed before its first record is none.
        if (runs / name / RUN_FILE).exists():
            yield RunFolder(runs / name)


def find_run(project: Project, run: str) -> RunFolder:
    """The run of that id, of that unique beginning of an id, or the newest one for `latest`.

    Runs that belong to others are not found.
    """
    return find_among(project, {folder.run: folder for folder in all_runs(project)}, run)


def belonging_runs(parent: RunFolder) -> Iterator[RunFolder]:
    """The runs that belong to a run, the newest first.

    They lie in its folder: so they go away with it, and whoever looks through the runs of a project
    (for results to reuse, a baseline, a champion) does not come upon them.
    """
    yield from _runs_in(parent.path / BELONGING)


def find_among(project: Project, folders: Mapping[str, RunFolder], run: str) -> RunFolder:
    """The run of that id, or unique beginning of one, among some; `latest` is the first."""
    if run == "latest" and folders:
        return next(iter(folders.values()))
    # A whole id wins over a longer one that begins with it.
    if run in folders:
        return folders[run]

    matches = [known for known in folders if known.startswith(run)]
    if len(matches) == 1:
        return folders[matches[0]]
    where = Location(project.runs_folder.relative_to(project.root).as_posix())
    if matches:
        raise UsageError(
            f"{run!r} is the beginning of {len(matches)} runs",
            hint=_first_runs(matches),
            where=where,
        )
    hint = "start the first with: nbci run TARGET"
    close = nearest(run, [*folders])
    if close:
        hint = f"did you mean {close}?"
    elif folders:
        hint = _first_runs(folders)
    raise UsageError(f"there is no run {run!r}", hint=hint, where=where)


def _first_runs(runs: Iterable[str]) -> str:
    return f"runs: {', '.join([*runs][:_RUNS_SHOWN])}"
