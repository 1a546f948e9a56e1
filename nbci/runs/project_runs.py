"""The runs of a project: begin one, list them, find one by its id."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from nbci.dot_nbci import NBCI_FOLDER
from nbci.errors import InfrastructureError, Location, UsageError, nearest
from nbci.runs.file_names import RUN_FILE
from nbci.runs.folder import RunFolder
from nbci.runs.run_file import new_run_id
from nbci.store.files import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.config import Project

_RUNS_SHOWN = 5


def new_run(project: Project) -> RunFolder:
    """Make the folder of a new run, held by this process; ids sort by time."""
    while True:
        path = project.runs_folder / new_run_id(time.time())
        with disk_errors(path):
            project.runs_folder.mkdir(parents=True, exist_ok=True)
            ignore = project.root / NBCI_FOLDER / ".gitignore"
            # Who runs a notebook in any repository should not have to know of `.nbci`.
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            # Two runs may begin in one moment: the second takes another id.
            try:
                path.mkdir()
            except FileExistsError:
                continue
        folder = RunFolder(path)
        folder.hold()
        folder.make_reserve()
        return folder


def all_runs(project: Project) -> Iterator[RunFolder]:
    """The runs of the project, the newest first."""
    try:
        with os.scandir(project.runs_folder) as entries:
            names = sorted((entry.name for entry in entries if entry.is_dir()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InfrastructureError(
            f"cannot be read: {error.strerror}", where=Location(str(project.runs_folder))
        ) from error

    for name in names:
        # A run that was killed before its first record is none.
        if (project.runs_folder / name / RUN_FILE).exists():
            yield RunFolder(project.runs_folder / name)


def find_run(project: Project, run: str) -> RunFolder:
    """The run of that id, of that unique beginning of an id, or the newest one for `latest`."""
    folders = {folder.run: folder for folder in all_runs(project)}
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
