"""Copy files of a project into another folder, so that nothing written there reaches the first."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from nbci.pipeline.paths import is_of_tools
from nbci.store.files import disk_errors
from nbci.store.objects import clone_or_copy
from nbci.workspaces.project_files import files_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Copying:
    """Copies paths of one folder into another; `is_wanted` says of which there are to be copies.

    Clones where the file systems share blocks, else copies. Never hard links, which DVC uses too:
    the owner of a read-only file, and root, can write through them.
    """

    def __init__(self, source: Path, target: Path, is_wanted: Callable[[str], bool]) -> None:
        self._source = source
        self._target = target
        self._is_wanted = is_wanted
        self._done: set[str] = set()

    def bring(self, paths: Iterable[str]) -> None:
        """Copy what is there of these files, folders and links, with times and modes."""
        for path in paths:
            with disk_errors(self._target / path):
                self._bring(self._up_to_link(path))

    def _up_to_link(self, path: str) -> str:
        """The path, or the first link on the way to it: below that, another folder is meant."""
        for above in reversed(PurePosixPath(path).parents):
            if (self._source / above).is_symlink():
                return above.as_posix()
        return path

    def _bring(self, path: str) -> None:
        if path in self._done or not self._is_wanted(path):
            return
        self._done.add(path)
        source, target = self._source / path, self._target / path
        # Whoever works in the checkout may remove files while they are listed and copied.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            mode = os.lstat(source).st_mode
            if stat.S_ISDIR(mode):
                self._bring_folder(path)
            elif stat.S_ISLNK(mode):
                self._bring_link(path)
            # Pipes and sockets belong to a process that has them open.
            elif stat.S_ISREG(mode):
                target.parent.mkdir(parents=True, exist_ok=True)
                clone_or_copy(source, target)
                shutil.copystat(source, target)

    def _bring_folder(self, path: str) -> None:
        (self._target / path).mkdir(parents=True, exist_ok=True)
        for file in files_below(self._source, path):
            self._bring(file)

    def _bring_link(self, path: str) -> None:
        """Make a link to the same: to the copy of what lies in the project, else to the original.

        DVC and people link data that is too large for a copy.
        """
        link = self._source / path
        leads_to = Path(os.path.normpath(link.parent / os.readlink(link)))
        inside = None
        if leads_to.is_relative_to(self._source):
            inside = leads_to.relative_to(self._source).as_posix()

        place = self._target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if inside is None or inside == "." or is_of_tools(inside):
            place.symlink_to(leads_to)
            return
        place.symlink_to(os.path.relpath(leads_to, link.parent))
        self._bring(self._up_to_link(inside))
