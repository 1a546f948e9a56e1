"""The digest by which values, notebooks and the files that steps were seen to read are known:
BLAKE3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PIECE_BYTES = 1 << 20


def file_digest(path: Path | str) -> tuple[str, int]:
    """The digest of the file's bytes in hex, and their number.

    The file is read, not mapped: to map what somebody else cuts short meanwhile would be the end of
    this process.
    """
    from blake3 import blake3

    digest, size = blake3(), 0
    piece = bytearray(_PIECE_BYTES)
    view = memoryview(piece)
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(piece):
            digest.update(view[:count])
            size += count
    return digest.hexdigest(), size
