"""Text from elsewhere made harmless for a terminal: no codes, no control characters."""

from __future__ import annotations

import re

from nbci.formatting.plain import is_plain

ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)"  # OSC and its like: window titles, links
    r"|[ -/]*[0-OQ-WYZ\\`-~])"
)
# What terminals take for a new line, or str.splitlines for one.
_BREAKS = re.compile("[\x0b\x0c\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x07\x0e-\x1f\x7f-\x9f]")
_CONTROL_BYTES = bytes({*range(0x20), 0x7F} - {*b"\t\n\r\b"})


def without_controls(text: str) -> str:
    r"""The text without ANSI codes and control characters; `\n`, `\r`, `\b` and tabs stay."""
    if is_plain(text, _CONTROL_BYTES):
        return text
    return _CONTROLS.sub("", _BREAKS.sub(" ", ESCAPE.sub("", text)))


def one_line(text: str) -> str:
    """Text from elsewhere as one clean line."""
    return " ".join(without_controls(text).replace("\b", "").split())
