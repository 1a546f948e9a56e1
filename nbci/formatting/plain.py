"""Text that needs no cleaning, told quickly; and text that git left half merged."""

from __future__ import annotations

import re

_CONFLICT = re.compile(r"^<<<<<<< .*$(?=[\s\S]*^=======$[\s\S]*^>>>>>>> )", re.MULTILINE)


def conflict_line(text: str) -> int | None:
    """The line, from 1, of the first merge-conflict marker; None where there is no whole conflict."""
    found = _CONFLICT.search(text.replace("\r\n", "\n")) if "\n>>>>>>> " in text else None
    return found.string.count("\n", 0, found.start()) + 1 if found is not None else None


def is_plain(text: str, controls: bytes) -> bool:
    """Whether it is ASCII without any of these control characters: most text is, and there may be
    much of it.
    """
    if not text.isascii():
        return False
    return text.isprintable() or len(encoded := text.encode()) == len(
        encoded.translate(None, controls)
    )
