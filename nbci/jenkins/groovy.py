"""Values as Groovy source."""

from __future__ import annotations

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quoted(text: str) -> str:
    r"""The text as a Groovy string in which nothing is replaced and nothing ends it early.

    >>> quoted("it's $HOME\n")
    "'it\\'s $HOME\\n'"
    """
    return "'" + "".join(_character(character) for character in text) + "'"


def _character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    # Java's characters are UTF-16: beyond the first plane, one is written as two escapes
    units = character.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
