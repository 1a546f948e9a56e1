"""Quick looks at text: whether it needs cleaning, and whether git left it half merged."""

from __future__ import annotations

import re

_CONFLICT = re.compile(r"^<<<<<<< .*$(?=[\s\S]*^=======$[\s\S]*^>>>>>>> )", re.MULTILINE)


def conflict_line(text: str) -> int | None:
    """The line, from 1, of the first merge conflict; None where no whole conflict is."""
    # For each "<<<<<<<" the pattern searches to the end of the text: only where it may match.
    if "\n>>>>>>> " not in text:
        return None
    match = _CONFLICT.search(text.replace("\r\n", "\n"))
    if match is None:
        return None
    return match.string.count("\n", 0, match.start()) + 1


def is_plain(text: str, controls: bytes) -> bool:
    """Whether the text is ASCII without any of these control characters.

    Most text is, and outputs may be long: three scans in C are quicker than one regular expression.
    """
    if not text.isascii():
        return False
    if text.isprintable():
        return True
    encoded = text.encode()
    return len(encoded) == len(encoded.translate(None, controls))
