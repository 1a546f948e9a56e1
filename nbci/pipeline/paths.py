"""Paths in a project, relative to its root, with `/`."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from nbci.dot_nbci import NBCI_FOLDER
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
TOOLS = (".git", NBCI_FOLDER, ".dvc")
"""Folders that belong to the tools that look after a project, wherever in it they are.

They are compared in lower case, as the file systems of macOS and Windows do.
"""


def overlap(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies inside the other.

    >>> overlap("data", "data/train.csv"), overlap("data/train.csv", "data")
    (True, True)
    >>> overlap("data", "database")
    False
    """
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def overlaps_any(path: str, others: Iterable[str]) -> bool:
    """Whether the path overlaps one of the others."""
    return any(overlap(path, other) for other in others)


def is_in(path: str, places: Iterable[str]) -> bool:
    """Whether a path is one of the places, or lies below one.

    >>> is_in("data/train.csv", ["data"]), is_in("database", ["data"])
    (True, False)
    """
    return any(path == place or path.startswith(f"{place}/") for place in places)


def leaves_project(path: str) -> bool:
    """Whether a path from a project's root, as records have it, may not be written to.

    >>> leaves_project("models/a.bin")
    False
    >>> outside = ("../a", "/etc/a", ".", "a/../..", ".git/config", "libs/x/.git/hooks", ".nbci")
    >>> all(leaves_project(path) for path in outside)
    True
    """
    if _NORMAL.fullmatch(path):
        return False
    return is_outside(path) or is_of_tools(posixpath.normpath(path))


def is_of_tools(path: str) -> bool:
    """Whether a normal path is, or lies in, a folder of git, DVC or nbci itself."""
    # Submodules and nested checkouts have a `.git` of their own, whose hooks git runs as well.
    return not set(path.lower().split("/")).isdisjoint(TOOLS)


def is_outside(path: str) -> bool:
    """Whether a recorded path is none of something that lies below the folder it is relative to."""
    # Plans may have 10,000 paths: most are seen to be inside without taking them apart.
    if _NORMAL.fullmatch(path):
        return False
    return not path or "\0" in path or _first_part(path) in ("", ".", "..")


def _first_part(path: str) -> str:
    first, _, _ = posixpath.normpath(path).partition("/")
    return first


def check_out(path: str, step: str, sources: Iterable[str], where: Location) -> None:
    """UsageError where a step declares as its out what is not its to replace.

    `sources` are the pipeline's own files.
    """
    if _is_no_name(path):
        raise UsageError(
            f"step {step} declares an out whose name no file can have: {path[:60]!r}",
            hint=f"a name has at most {LONGEST_NAME_BYTES} bytes of UTF-8",
            where=where,
        )
    reason = _no_out_reason(path, sources)
    if reason is not None:
        raise UsageError(
            f"step {step} declares {path} as its out, which {reason}",
            hint="an out is a file or folder that only the step writes: "
            "it is removed before the step runs",
            where=where,
        )


def _no_out_reason(path: str, sources: Iterable[str]) -> str | None:
    # An out is removed before each try of its step.
    if path == ".":
        return "is the whole project"
    if leaves_project(path):
        return "belongs to git, DVC or nbci itself"
    for source in sources:
        if source == path or source.startswith(f"{path}/"):
            return f"would make way for it: {source}"
    return None


def _is_no_name(path: str) -> bool:
    if len(path) <= LONGEST_NAME_BYTES and path.isascii():
        return False
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return True
    longest_bytes = max(map(len, encoded.split(b"/")))
    return len(encoded) > _LONGEST_PATH_BYTES or longest_bytes > LONGEST_NAME_BYTES


def project_path(path: str, folder: str, where: Location | None = None) -> str:
    """The path, which is relative to `folder`, made relative to the project's root.

    `folder` is itself relative to the root. UsageError for a path that leads out of the project.
    """
    # A shortcut: a node of 10,000 combinations has each of its paths looked at as often.
    if folder == "." and _NORMAL.fullmatch(path):
        return path
    # Links are not followed: where they lead is a matter of the machine that runs the step.
    joined = posixpath.normpath(posixpath.join(folder, path))
    if "\0" in path or posixpath.isabs(joined) or joined == ".." or joined.startswith("../"):
        raise UsageError(
            f"{path!r} lies outside the project",
            hint="steps read and write inside the project; "
            "pass another place as a parameter or a secret",
            where=where,
        )
    return joined
