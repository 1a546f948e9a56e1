"""Which files of a project a private workspace gets, as the checkout has them now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.git.checkout import is_in_repository
from nbci.git.process import Git
from nbci.pipeline.paths import is_of_tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NOT_OURS = frozenset((".hg", ".ipynb_checkpoints", "__pycache__", "node_modules"))
"""Folders that tools make, and make again where they are not there."""
_ENVIRONMENT = "pyvenv.cfg"


def project_files(root: Path) -> Iterator[str]:
    """Paths of the project's files, relative to its root; a nested checkout is one path.

    In a git repository those that it tracks or does not ignore, else all.
    """
    if is_in_repository(root):
        yield from _known_to_git(root)
    else:
        yield from files_below(root)


def files_below(root: Path, prefix: str = "") -> Iterator[str]:
    """Paths of all files and links below a folder of the root, less what tools keep there."""
    with os.scandir(root / prefix) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = os.path.join(prefix, entry.name)
            if not entry.is_dir(follow_symlinks=False):
                yield path
            elif not (is_of_tools(entry.name) or _is_made_again(entry)):
                yield from files_below(root, path)


def _is_made_again(folder: os.DirEntry[str]) -> bool:
    """Whether it is a cache of a tool or a virtual environment.

    An environment's programs name its own path: a copy of them would not work.
    """
    return folder.name in _NOT_OURS or os.path.exists(os.path.join(folder.path, _ENVIRONMENT))


def _known_to_git(root: Path) -> Iterator[str]:
    """What git tracks, and what is there beside it and not ignored."""
    listed = Git(root).bytes("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    # A file in conflict is listed once for each side.
    for name in dict.fromkeys(listed.split(b"\0")):
        # A nested repository is listed as a folder, with a slash at its end.
        path = os.fsdecode(name).rstrip("/")
        if path:
            yield path
