"""How old files are that nothing may need any more, and what removing them frees."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from pathlib import Path

YOUNGEST_SECONDS = 86400.0
"""What is younger is left alone: a run that goes on may have made it, and not yet said that it
needs it.
"""


def entries(folder: Path, *, depth: int) -> list[Path]:
    """What lies in a folder, or so many levels deeper, in order."""
    return sorted(folder.glob("/".join(["*"] * (depth + 1))))


def is_older(path: Path, before: float) -> bool:
    """Whether the last change of its entry, which nothing can set back, was before that time."""
    try:
        return path.lstat().st_ctime < before
    except FileNotFoundError:
        return True


def freed_bytes(paths: Iterable[Path]) -> int:
    """The bytes that removing these frees: a file with further names elsewhere frees none."""
    # Hard links: the blocks are free when the last name goes.
    names_left: dict[tuple[int, int], int] = {}
    freed = 0
    for path in paths:
        for found in _stats(path):
            inode = (found.st_dev, found.st_ino)
            names_left[inode] = names_left.get(inode, found.st_nlink) - 1
            if names_left[inode] == 0:
                freed += found.st_size
    return freed


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
