"""Files, folders and absent names that a step looks at.

Python's audit events tell of opened files and listings. What has no event (`os.stat` and its like)
is noted by a function in its place.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

from .counted_paths import counts, full_path, is_in_project, real
from .notes import caller, is_own, quietly

if TYPE_CHECKING:
    from collections.abc import Callable

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
OPENED_TO_WRITE = frozenset("wax+")
"""The letters of `open`'s modes with which a file can be written."""
EVERYTHING = ("type", "size", "time", "mode", "links")
ASKED = {
    "getsize": ("size",),
    "getmtime": ("time",),
    "stat": EVERYTHING,
    "lstat": EVERYTHING,
    "access": ("mode",),
}

sights: dict[tuple[str, str], set[str]] = {}
"""By kind and path: what more was asked."""
stamps: dict[str, tuple[int, int, int, int]] = {}
written: set[str] = set()
asked_before: set[tuple[Any, ...]] = set()


def see(kind: str, path: str, more: tuple[str, ...] = ()) -> None:
    """Note something, unless it is there because the step itself put it there."""
    known = sights.get((kind, path))
    if known is None:
        if path in written:
            return
        known = sights[kind, path] = set()
    known.update(more)


def stamp(full: str, found: Any) -> None:
    """Keep what the file system says of a file when it is first read.

    nbci compares it at the step's end: what changed meanwhile is no observation.
    """
    stamps.setdefault(full, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


# ------------------------------------------------------------------------------------------------
# what audit events tell


def note_open(path: Any, mode: Any, flags: Any) -> None:
    if isinstance(path, int):
        return
    if isinstance(mode, str):
        reads = "r" in mode
        writes = not OPENED_TO_WRITE.isdisjoint(mode)
    else:
        reads = not flags & (os.O_WRONLY | os.O_TRUNC | os.O_EXCL)
        writes = bool(flags & WRITING)
    full = full_path(path)
    if reads:
        note_read(full)
    if writes:
        written.add(full)


def note_read(full: str) -> None:
    """A file that code opens to read, or would have."""
    if full in written or ("file", full) in sights:
        return
    if full.endswith(".pyc"):
        full = source_of(full)
    if not counts(full):
        return
    try:
        found = real["stat"](full)
    except OSError:
        see("absent", full)
        return
    if found.st_mode & 0o170000 == 0o100000:  # S_ISREG, without a call
        see("file", full)
        stamp(full, found)


def source_of(path: str) -> str:
    """The source that a `.pyc` was made from, where it is there."""
    try:
        source = importlib.util.source_from_cache(path)
    except ValueError:
        return path
    if os.path.isfile(source):
        return source
    return path


def note_listing(path: Any = None, *_: Any) -> None:
    # behind this function: `quietly`, the audit hook, and the code that lists
    if isinstance(path, int) or is_importing(sys._getframe(3).f_code.co_filename):
        return
    if path is None:
        path = "."
    full = full_path(path)
    if not counts(full):
        return
    if os.path.isdir(full):
        see("folder", full)
        stamp(full, real["stat"](full))
    else:
        see("absent", full)


def is_importing(file: str) -> bool:
    """Whether code looks for modules or distributions: what it finds is noted as an import."""
    return (
        file.startswith("<frozen importlib") or "/importlib/" in file or "/pkg_resources/" in file
    )


def note_made(path: Any, *_: Any) -> None:
    written.add(full_path(path))


def note_renamed(_old: Any, new: Any, *_: Any) -> None:
    written.add(full_path(new))


def note_folder_changed(*_: Any) -> None:
    asked_before.clear()  # relative paths are other ones now


# ------------------------------------------------------------------------------------------------
# what has no audit event


def note_questions() -> None:
    """Have the functions of `os` that have no audit event note what they are asked."""
    for name in NOTES:
        replace(name)


def replace(name: str) -> None:
    """Have a function of `os` note what it is asked."""
    original = real[name] = getattr(os, name)
    note = NOTES[name]

    @functools.wraps(original)
    def in_its_place(*arguments: Any, **named: Any) -> Any:
        quietly(note, name, *arguments, **named)
        return original(*arguments, **named)

    in_its_place.__module__ = "os"  # where it is found when it is pickled
    setattr(os, name, in_its_place)
    # code asks `os.stat in os.supports_fd`
    for abilities in (
        os.supports_fd,
        os.supports_dir_fd,
        os.supports_follow_symlinks,
        os.supports_effective_ids,
    ):
        if original in abilities:
            abilities.add(in_its_place)


def note_asked(name: str, path: Any, *_: Any, dir_fd: Any = None, **__: Any) -> None:
    """Note what code asks of a path: its type, and more where the step's own code asks for more."""
    if isinstance(path, int):
        return
    # The same question from the same place is asked in loops: a set look-up answers it. The frame
    # behind counts, too, since most code asks through `os.path`.
    frame = sys._getframe(3)
    behind = 0
    if frame.f_back is not None:
        behind = id(frame.f_back.f_code)
    by = (name, path, dir_fd, id(frame.f_code), behind)
    if by in asked_before:
        return
    asked_before.add(by)

    asked, code = caller()
    if asked == "realpath" or is_importing(code):
        return
    full = full_path(path, dir_fd)
    if not counts(full) or not (is_own(code) or is_in_project(full)):
        return
    if not os.path.lexists(full):
        see("absent", full)
        return
    more: tuple[str, ...] = ()
    if is_own(code):
        more = ASKED.get(asked or name, ())
    see("stat", full, (*more, "type"))


def note_link(_name: str, path: Any, *_: Any, dir_fd: Any = None) -> None:
    full = full_path(path, dir_fd)
    asked, code = caller()
    is_wanted = is_in_project(full) or (asked is None and is_own(code))
    if is_wanted and counts(full) and os.path.islink(full):
        see("link", full)


def note_folder_asked(_name: str) -> None:
    asked, code = caller()
    if asked in (None, "cwd") and is_own(code):
        see("place", "")


def note_umask(_name: str, *_: Any) -> None:
    if is_own(caller()[1]):
        see("umask", "")


def note_open_at(_name: str, path: Any, flags: int, *_: Any, dir_fd: Any = None, **__: Any) -> None:
    """What the audit event of `os.open` does not tell: the folder that a path is relative to."""
    if dir_fd is not None:
        note_open(full_path(path, dir_fd), None, flags)


NOTES: dict[str, Callable[..., None]] = {
    "stat": note_asked,
    "lstat": note_asked,
    "access": note_asked,
    "readlink": note_link,
    "getcwd": note_folder_asked,
    "umask": note_umask,
    "open": note_open_at,
}
"""What notes a call, by the function of `os`."""
