"""A sweep as a text that one build hands to the next: its files and the commit they are of.

A text, because Jenkins keeps the variables of a build, and stashes end with it.
"""

from __future__ import annotations

import base64
import binascii
import lzma
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from nbci.errors import IntegrityError

MOST_CHARACTERS = 100_000
"""No variable of a process can be longer than some 131,000 bytes on Linux."""
_MOST_BYTES = 64 << 20
_FORMAT = "nbci-carried-1"


class Carried(Struct, frozen=True, kw_only=True):
    """The files of a sweep by name; `commit` is None where the project is in no repository."""

    files: Mapping[str, str]
    commit: str | None = None


def pack(carried: Carried) -> str:
    """The text that `unpack` reads: ASCII without spaces and line breaks."""
    packed = base64.b64encode(lzma.compress(msgspec.json.encode(carried))).decode("ascii")
    return f"{_FORMAT}:{packed}"


def unpack(text: str) -> Carried:
    """What `pack` packed; IntegrityError for another text."""
    form, _, packed = text.strip().partition(":")
    if form != _FORMAT.replace(" ", "-"):
        raise IntegrityError("this is no sweep of an earlier build")
    try:
        # Limited, since a small text may unpack to anything.
        unpacked = lzma.LZMADecompressor().decompress(
            base64.b64decode(packed, validate=True), max_length=_MOST_BYTES
        )
        return msgspec.json.decode(unpacked, type=Carried)
    except (binascii.Error, lzma.LZMAError, EOFError, ValueError) as error:
        raise IntegrityError(f"the sweep of an earlier build cannot be read: {error}") from error
