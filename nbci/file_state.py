"""What the file system says of a file, to see without reading it whether it was changed.

It is quick to import: git's state and a run with nothing to do are looked up by it.
"""

from __future__ import annotations

import os


def file_signature(path: str | os.PathLike[str]) -> list[int] | None:
    """Inode, size and times of a file or folder, in nanoseconds; None where it is not there.

    It is a list, since it is remembered as JSON.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    # The inode, since a file may be replaced by one of the same size within a tick of the clock.
    # The time of the inode's last change, since programs can set the other one back.
    return [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def is_touched(path: str | os.PathLike[str], since_ns: int) -> bool:
    """Whether a file or folder was changed, renamed or linked since then, or is not there."""
    signature = file_signature(path)
    return signature is None or max(signature[2:]) > since_ns
