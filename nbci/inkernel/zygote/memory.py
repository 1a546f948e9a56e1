"""Keeps what a zygote and its kernels hold in common, and lets go of what it needs no more."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from typing import Any

MADV_DONTNEED = 4


def before_fork() -> None:
    """Prepare the heap for a fork, in which each page that is written to is copied."""
    # moves all objects out of the collector's reach: a collection writes to each one's header
    gc.freeze()
    if sys.version_info < (3, 12):  # it holds names, which are counted there
        sys._clear_type_cache()


def adjacent_copies(names: Any) -> dict[str, str]:
    """A copy of each name, all of them close together in memory.

    A kernel that uses them all changes their reference counts, and so copies few pages.
    """
    copies = {name: name[:1] + name[1:] for name in names}
    for copy in copies.values():
        hash(copy)  # a string keeps its hash: computed here, it is not written in a kernel
    return copies


def release_file_pages() -> None:
    """Unmap the pages of libraries that were read while they were imported.

    They count as this process's memory, and as each fork's; the system's page cache still has them.
    """
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    with contextlib.suppress(OSError), open("/proc/self/smaps", "rb") as smaps:
        for start, end in unmodified_mappings(smaps.read().decode(errors="replace").splitlines()):
            madvise(start, end - start, MADV_DONTNEED)


def unmodified_mappings(smaps: list[str]) -> list[tuple[int, int]]:
    """First and last addresses of the mappings of files that can be read from their files again.

    `smaps` is `/proc/PID/smaps`, proc(5). A mapping that cannot be written to may still have
    changed pages: the dynamic linker relocates before it protects them.
    """
    found: list[tuple[int, int]] = []
    place: tuple[int, int] | None = None
    changed = 0
    for line in smaps:
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            place, changed = read_only_mapping(name, rest.split(None, 4)), 0
        elif name in ("Anonymous:", "Swap:"):
            changed += int(rest.split()[0])
        elif name == "VmFlags:" and place is not None and not changed:  # the last line of each
            found.append(place)
    return found


def read_only_mapping(addresses: str, fields: list[str]) -> tuple[int, int] | None:
    """First and last address of a mapping, if it is a private, read-only one of a file."""
    path = ""
    if len(fields) == 5:
        path = fields[4]
    rights = fields[0]
    if "w" in rights or not rights.endswith("p"):
        return None
    # pages of a device may not be what they were when they are read again
    if not path.startswith("/") or path.startswith("/dev/"):
        return None
    start, _, end = addresses.partition("-")
    return int(start, 16), int(end, 16)
