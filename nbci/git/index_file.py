"""Git's index, read from its file: what git last knew of each tracked file.

The format: https://git-scm.com/docs/index-format (versions 2, 3 and 4).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

GITLINK = 0o160000
"""The mode of a submodule."""

_HEADER = struct.Struct(">4sLL")
_STAT = struct.Struct(">LLLLLLLLLL")
_VERSIONS = (2, 3, 4)
# Flags of an entry.
_ASSUMED = 0x8000
_EXTENDED = 0x4000
_STAGE = 0x3000
# A flag of the second word, which version 3 added.
_SKIPPED = 0x4000
# These extensions put entries into other files, or folders in the place of entries.
_ELSEWHERE = (b"link", b"sdir")


class Unreadable(Exception):
    """Git's files are in a form that only git reads."""


class Entry(NamedTuple):
    """A tracked file as the index has it.

    `times` are seconds and nanoseconds of the last change of its inode, and then of its content.
    """

    path: bytes
    times: tuple[int, int, int, int]
    mode: int
    size: int
    digest: bytes
    unmerged: bool
    watched: bool


def parse_index(data: bytes, digest_bytes: int) -> list[Entry]:
    """The entries of an index; Unreadable where it is of a form that is not known here.

    Damaged data raises struct.error, ValueError or IndexError.
    """
    if not data:
        return []
    magic, version, count = _HEADER.unpack_from(data)
    if magic != b"DIRC" or version not in _VERSIONS:
        raise Unreadable

    entries = []
    at, path = _HEADER.size, b""
    for _ in range(count):
        entry, at = _parse_entry(data, at, version, digest_bytes, path)
        entries.append(entry)
        path = entry.path

    if any(name in _ELSEWHERE for name in _extensions(data, at, digest_bytes)):
        raise Unreadable
    return entries


def _parse_entry(
    data: bytes, start: int, version: int, digest_bytes: int, path_before: bytes
) -> tuple[Entry, int]:
    """The entry that begins there, and where the next one does."""
    numbers = _STAT.unpack_from(data, start)
    at = start + _STAT.size
    digest = data[at : at + digest_bytes]
    at += digest_bytes
    (flags,) = struct.unpack_from(">H", data, at)
    at += 2
    more_flags = 0
    if version >= 3 and flags & _EXTENDED:
        (more_flags,) = struct.unpack_from(">H", data, at)
        at += 2

    path = b""
    if version == 4:
        # Only what differs from the path before is written.
        cut, at = _parse_number(data, at)
        path = path_before[: len(path_before) - cut]
    end = data.index(b"\0", at)
    path += data[at:end]
    # Before version 4, entries are padded to a multiple of eight bytes, with one zero at least.
    after = end + 1
    if version < 4:
        after = start + (end - start + 8) // 8 * 8

    entry = Entry(
        path=path,
        times=numbers[:4],
        mode=numbers[6],
        size=numbers[9],
        digest=digest,
        unmerged=bool(flags & _STAGE),
        watched=not (flags & _ASSUMED or more_flags & _SKIPPED),
    )
    return entry, after


def _parse_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends: the "offset encoding" of git's packs."""
    value = data[at] & 127
    while data[at] & 128:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 127)
    return value, at + 1


def _extensions(data: bytes, at: int, digest_bytes: int) -> Iterator[bytes]:
    """The names of the extensions that stand behind the entries; a checksum ends the file."""
    while at + 8 <= len(data) - digest_bytes:
        yield data[at : at + 4]
        (size,) = struct.unpack_from(">L", data, at + 4)
        at += 8 + size
