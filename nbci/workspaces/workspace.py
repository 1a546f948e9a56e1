"""A private workspace: a folder in which steps find the project's files, and which is no checkout.

What runs there has outs of its own, and nothing of it touches the user's files. Paths in records
and keys of steps are relative to the folder that a run is carried out in, so they are the same in a
workspace as outside.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.dot_nbci import NBCI_FOLDER, WORKSPACES_FOLDER
from nbci.errors import InfrastructureError
from nbci.pipeline.paths import is_in, is_of_tools
from nbci.store.files import disk_errors, remove, try_lock, write_atomic
from nbci.workspaces.commit_files import put_commit
from nbci.workspaces.copy_files import Copying
from nbci.workspaces.project_files import project_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from nbci.config import Project

_FILES = "files"
_CACHE = "cache"
_LOCK = ".lock"
_RUN = ".run"
"""Names the folder of the run that may be taken up again in the workspace."""
_OF_A_FOLDER = (0, 0)
"""Its own times change with what is in it, which is compared itself."""
_TRIES = 20
_BETWEEN_TRIES_SECONDS = 0.05


class Contents(Struct, frozen=True, kw_only=True):
    """Which files a workspace gets; all paths are relative to the project's root.

    Those that git tracks are as the `commit` has them, where one is given. `also` are files that
    git ignores and steps use all the same, `folders` those that have to be there, whatever is in
    them; `without` is what the steps are going to write. What is at the paths `as_now` stays as the
    checkout has it, whatever the commit has there.
    """

    commit: str | None = None
    also: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    as_now: tuple[str, ...] = ()


class Workspace(Struct, frozen=True, kw_only=True):
    """A workspace that is there; `project` has its root in it, `checkout` is the user's root.

    `cache` is a folder for results that only what runs here may use.
    """

    project: Project
    checkout: Path
    cache: Path


class Resumable(Struct, frozen=True, kw_only=True):
    """A run whose workspace is left as it is where the run has not come to its end.

    `folder` is the run's; with it goes what was left. `has_ended` is asked in the end.
    """

    folder: Path
    has_ended: Callable[[], bool]


@contextlib.contextmanager
def open_workspace(
    project: Project, name: str, contents: Contents, resumable: Resumable | None = None
) -> Iterator[Workspace]:
    """Make a workspace of a project, and remove it in the end, however that comes.

    It lies in the project's `.nbci`, on the same file system as the files that it clones. `name`
    tells it from others. One that was left for a `resumable` run is opened as it is.
    InfrastructureError where the disk is full or cannot be written.
    """
    remove_abandoned(project)
    folder = project.root / WORKSPACES_FOLDER / name
    lock = _hold(folder)
    try:
        root = folder / _FILES
        if not is_left(project, name):
            with disk_errors(root):
                root.mkdir()
            _fill(project.root, root, contents)
        if resumable is not None:
            write_atomic(folder / _RUN, str(resumable.folder))
        yield Workspace(
            project=replace(project, root=root), checkout=project.root, cache=folder / _CACHE
        )
    finally:
        if resumable is None or resumable.has_ended():
            _remove(folder)
        os.close(lock)


def is_left(project: Project, name: str) -> bool:
    """Whether the workspace of that name was left for a run that may be taken up again."""
    return _is_needed(project.root / WORKSPACES_FOLDER / name)


def _is_needed(folder: Path) -> bool:
    try:
        run = (folder / _RUN).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return False
    return os.path.isdir(run)


def _hold(folder: Path) -> int:
    """Make the folder, and take its lock; the descriptor."""
    for _ in range(_TRIES):
        lock = try_lock(folder / _LOCK)
        # Another process may take it for abandoned before it is locked, and remove it.
        if lock is not None and (folder / _LOCK).exists():
            return lock
        if lock is not None:
            os.close(lock)
        time.sleep(_BETWEEN_TRIES_SECONDS)
    raise InfrastructureError(f"the workspace {folder} is in use by another process")


def remove_abandoned(project: Project, *, resumable_too: bool = False) -> None:
    """Remove the workspaces of processes that were killed."""
    for folder in _folders(project):
        if resumable_too or not _is_needed(folder):
            _remove_unheld(folder)


def discard(project: Project, name: str) -> None:
    """Remove the workspace of that name, unless a process holds it."""
    _remove_unheld(project.root / WORKSPACES_FOLDER / name)


def _remove_unheld(folder: Path) -> None:
    lock = try_lock(folder / _LOCK)
    if lock is not None:
        _remove(folder)
        os.close(lock)


def _folders(project: Project) -> list[Path]:
    try:
        return sorted((project.root / WORKSPACES_FOLDER).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _fill(checkout: Path, root: Path, contents: Contents) -> None:
    def is_wanted(path: str) -> bool:
        # DVC's configuration is found where it is for the checkout: above the workspace.
        return not (is_of_tools(path) or is_in(path, contents.without))

    def is_the_commits(path: str) -> bool:
        return is_wanted(path) and not is_in(path, contents.as_now)

    copying = Copying(checkout, root, is_wanted)
    copying.bring(project_files(checkout))
    if contents.commit is not None:
        put_commit(checkout, contents.commit, root, is_the_commits)
    copying.bring(contents.also)
    for path in filter(is_wanted, contents.folders):
        # One that a link led to is there, or led out of the project.
        if (checkout / path).is_dir() and not os.path.lexists(root / path):
            with disk_errors(root / path):
                (root / path).mkdir(parents=True)


def _remove(folder: Path) -> None:
    # What a step wrote may resist removal, such as a folder without write permission: what came of
    # the run counts more, and the next one tries again.
    with contextlib.suppress(InfrastructureError):
        remove(folder)


class Originals:
    """The files of a workspace as they are now, before anything ran there.

    A step that is broken off tells nobody which files it wrote.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stamps = _stamps_below(root)

    def clear(self, kept: Collection[str]) -> tuple[str, ...]:
        """Remove what was not there before, but for the paths `kept`.

        The answer is what was there, and is gone or another file now.
        """
        now = _stamps_below(self._root)
        # Folders come before what is in them.
        for path in now:
            if path not in self._stamps and not is_in(path, kept):
                remove(self._root / path)
        return tuple(path for path, stamp in self._stamps.items() if now.get(path) != stamp)


def _stamps_below(root: Path) -> dict[str, tuple[int, int]]:
    """The time of change and the size of each file, by its path; folders are there, too."""
    found = {}
    for folder, folders, files in os.walk(root):
        if folder == str(root):
            # nbci's own, such as its index of the files.
            folders[:] = [name for name in folders if name != NBCI_FOLDER]
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            stamp = (status.st_mtime_ns, status.st_size)
            if name in folders:
                stamp = _OF_A_FOLDER
            found[os.path.relpath(path, root)] = stamp
    return found
