"""Compute the digest (BLAKE3) by which nbci identifies contents.

The contents are values, notebooks and the files that steps were seen to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PIECE_BYTES = 1 << 20


def file_digest(path: Path | str) -> tuple[str, int]:
    """The digest of the file's bytes in hex, and their number.

    The file is read, not mapped into memory: if another process made a mapped file shorter
    meanwhile, the system would end this process.
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


def bytes_digest(data: bytes) -> str:
    """The digest of a file that holds these bytes."""
    from blake3 import blake3

    return blake3(data).hexdigest()
