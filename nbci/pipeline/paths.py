"""Paths in a project, relative to its root, with `/`."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from nbci.errors import UsageError

if TYPE_CHECKING:
    from nbci.errors import Location

_NORMAL = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*")
"""Most paths: no part of them is empty or begins with a point."""


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies inside the other.

    >>> overlap("data", "data/train.csv"), overlap("data/train.csv", "data"), overlap("data", "database")
    (True, True, False)
    """
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def project_path(path: str, folder: str, where: Location | None = None) -> str:
    """The path, given relative to `folder` (itself relative to the root), relative to the project's root."""
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
