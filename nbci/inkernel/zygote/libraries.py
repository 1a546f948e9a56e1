"""Names of environment variables in the libraries that a process has loaded.

What compiled code asks of the environment is not seen, but the name of what it asks for stands
among the constants of a library that uses `getenv`. The layout of the files:
https://refspecs.linuxfoundation.org/elf/elf.pdf, for 64 bits.
"""

from __future__ import annotations

import mmap
import os
import string
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGIC = b"\x7fELF\x02\x01"
"""64 bits, least significant byte first."""
HEADER = struct.Struct("<40xQ10xHH2x")
"""Where the sections are described, how long a description is, how many there are."""
SECTION = struct.Struct("<4xIQ8xQQ")
"""Type, flags, offset and size."""
WITHOUT_CONTENT = 8
STRINGS = 3
LOADED, WRITABLE, EXECUTABLE = 2, 1, 4

WORD = frozenset((string.ascii_letters + string.digits + "_").encode())


def loaded_libraries() -> set[str]:
    """The files of the libraries that this process has loaded."""
    found = set()
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            # five fields stand before the path: proc(5); other mappings have none
            if line.count(" /") != 1:
                continue
            path = line.split(None, 5)[5].rstrip("\n")
            if ".so" in os.path.basename(path):
                found.add(path)
    return found


def names_in(libraries: Iterable[str], names: Iterable[str]) -> set[str]:
    """Those names that stand, as whole words, among the constants of a library.

    Only libraries count that ask for variables at all.
    """
    missing = {name: name.encode() for name in names}
    found: set[str] = set()
    for library in libraries:
        for name in _names_in_one(library, missing):
            found.add(name)
            del missing[name]
        if not missing:
            break
    return found


def _names_in_one(library: str, names: dict[str, bytes]) -> list[str]:
    try:
        file = os.open(library, os.O_RDONLY)
    except OSError:
        return []
    try:
        with mmap.mmap(file, 0, access=mmap.ACCESS_READ) as content:
            places = list(_constants(content))
            found = []
            for name, word in names.items():
                if any(_stands_in(content, word, *place) for place in places):
                    found.append(name)
            return found
    except (OSError, ValueError, struct.error):  # it is empty, or no such file
        return []
    finally:
        os.close(file)


def _constants(content: Any) -> Iterator[tuple[int, int]]:
    """Where the constants begin and end: nowhere in a library that asks for no variable.

    Of a file that is no 64-bit ELF file, it is all.
    """
    if content[: len(MAGIC)] != MAGIC:
        yield 0, len(content)
        return
    sections = list(_sections(content))
    if not _asks_for_variables(content, sections):
        return
    for kind, flags, start, end in sections:
        is_constant = flags & LOADED and not flags & (WRITABLE | EXECUTABLE)
        # the names of symbols are no constants, though `getenv` itself stands among them
        if is_constant and kind not in (STRINGS, WITHOUT_CONTENT):
            yield start, end


def _asks_for_variables(content: Any, sections: list[tuple[int, int, int, int]]) -> bool:
    """Whether `getenv` is among the names that the dynamic linker looks up for it."""
    for kind, flags, start, end in sections:
        is_of_linker = kind == STRINGS and flags & LOADED
        if is_of_linker and content.find(b"getenv\0", start, end) >= 0:
            return True
    return False


def _sections(content: Any) -> Iterator[tuple[int, int, int, int]]:
    """Type, flags, start and end of each section."""
    table, length, count = HEADER.unpack_from(content)
    for number in range(count):
        kind, flags, offset, size = SECTION.unpack_from(content, table + number * length)
        yield kind, flags, offset, offset + size


def _stands_in(content: Any, word: bytes, start: int, end: int) -> bool:
    """Whether the word is there and no part of a longer one."""
    place = content.find(word, start, end)
    while place >= 0:
        after = place + len(word)
        is_begin = place == 0 or content[place - 1] not in WORD
        is_end = after >= len(content) or content[after] not in WORD
        if is_begin and is_end:
            return True
        place = content.find(word, after, end)
    return False
