"""Paths in a project, relative to its root, with `/`."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.errors import Location

_NORMAL = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*")
"""Most paths: no part of them is empty or begins with a point."""
LONGEST_NAME_BYTES = 255
"""Of a file or folder, on the file systems of Linux and macOS."""
_LONGEST_PATH_BYTES = 3000
"""Of an out: what it lies in, up to the 4,096 that Linux takes, is not the pipeline's."""
TOOLS = (".git", ".nbci", ".dvc")
"""Folders of a project that belong to what looks after it, also where a file system does not tell
case.
"""


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies inside the other.

    >>> overlap("data", "data/train.csv"), overlap("data/train.csv", "data"), overlap("data", "database")
    (True, True, False)
    """
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def leaves_project(path: str) -> bool:
    """Whether a path from a project's root, as records have it, is none in the project that may be
    written to.

    >>> [leaves_project(path) for path in ("models/a.bin", "../a", "/etc/a", ".", "a/../..", ".git/config", ".nbci")]
    [False, True, True, True, True, True, True]
    """
    return is_outside(path) or posixpath.normpath(path).partition("/")[0].lower() in TOOLS


def is_outside(path: str) -> bool:
    """Whether a recorded path is none of something that lies below the folder it is relative to."""
    if _NORMAL.fullmatch(path):
        return False
    return not path or "\0" in path or posixpath.normpath(path).partition("/")[0] in ("", ".", "..")


def check_out(path: str, step: str, sources: Iterable[str], where: Location) -> None:
    """UsageError where a step declares as its out what is not its to replace; `sources` are the
    pipeline's files.
    """
    if _is_no_name(path):
        raise UsageError(
            f"step {step} declares an out whose name no file can have: {path[:60]!r}",
            hint=f"a name has at most {LONGEST_NAME_BYTES} bytes of UTF-8",
            where=where,
        )
    if not leaves_project(path):
        lost = next(
            (source for source in sources if source == path or source.startswith(f"{path}/")), None
        )
        if lost is None:
            return
        what = f"would make way for it: {lost}"
    elif path == ".":
        what = "is the whole project"
    else:
        what = "belongs to git, DVC or nbci itself"
    raise UsageError(
        f"step {step} declares {path} as its out, which {what}",
        hint="an out is a file or folder that only the step writes: it is removed before the step runs",
        where=where,
    )


def _is_no_name(path: str) -> bool:
    if len(path) <= LONGEST_NAME_BYTES and path.isascii():
        return False
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return True
    return (
        len(encoded) > _LONGEST_PATH_BYTES
        or max(map(len, encoded.split(b"/"))) > LONGEST_NAME_BYTES
    )


def project_path(path: str, folder: str, where: Location | None = None) -> str:
    """The path, given relative to `folder` (itself relative to the root), relative to the project's
    root.
    """
    if folder == "." and _NORMAL.fullmatch(path):
        return path
    joined = posixpath.normpath(posixpath.join(folder, path))
    if "\0" in path or posixpath.isabs(joined) or joined == ".." or joined.startswith("../"):
        raise UsageError(
            f"{path!r} lies outside the project",
            hint="steps read and write inside the project; pass another place as a parameter or a secret",
            where=where,
        )
    return joined
