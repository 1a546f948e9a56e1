"""Text that needs no cleaning, told quickly."""

from __future__ import annotations


def is_plain(text: str, controls: bytes) -> bool:
    """Whether it is ASCII without any of these control characters: most text is, and there may be much of it."""
    if not text.isascii():
        return False
    return text.isprintable() or len(encoded := text.encode()) == len(encoded.translate(None, controls))
