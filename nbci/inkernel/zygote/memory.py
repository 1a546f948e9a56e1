"""Keeps what a zygote and its kernels hold in common, and lets go of what it needs no more."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from typing import Any

MADV_DONTNEED = 4


def before_fork() -> None:
    """Leave nothing about that a kernel would write to only to be rid of it: a page that is written
    to is copied.
    """
    gc.freeze()
    if sys.version_info < (3, 12):  # it holds names, which are counted there
        sys._clear_type_cache()


def side_by_side(names: Any) -> dict[str, str]:
    """A copy of each name, all of them close together: a kernel that uses them all copies few
    pages.
    """
    copies = {name: name[:1] + name[1:] for name in names}
    for copy in copies.values():
        hash(copy)  # which is noted in it
    return copies


def let_go_of_files() -> None:
    """Unmap the pages of libraries that were read while they were imported; the system's cache
    still has them.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    with contextlib.suppress(OSError), open("/proc/self/smaps", "rb") as smaps:
        for start, end in unwritten(smaps.read().decode(errors="replace").splitlines()):
            madvise(start, end - start, MADV_DONTNEED)


def unwritten(smaps: list[str]) -> list[tuple[int, int]]:
    """Where files are mapped that may only be read, and of whose pages none was ever changed, as
    relocations do.
    """
    found: list[tuple[int, int]] = []
    place: tuple[int, int] | None = None
    changed = 0
    for line in smaps:
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            place, changed = read_only_file(name, rest.split(None, 4)), 0
        elif name in ("Anonymous:", "Swap:"):
            changed += int(rest.split()[0])
        elif name == "VmFlags:" and place is not None and not changed:  # the last line of each
            found.append(place)
    return found


def read_only_file(addresses: str, fields: list[str]) -> tuple[int, int] | None:
    """The first and last address of a mapping, where it is a private one of a file that cannot be
    written to.
    """
    path = fields[4] if len(fields) == 5 else ""
    if (
        not path.startswith("/")
        or path.startswith("/dev/")
        or "w" in fields[0]
        or not fields[0].endswith("p")
    ):
        return None
    start, _, end = addresses.partition("-")
    return int(start, 16), int(end, 16)
