"""What a build says, from the pieces of its log that a controller hands out while it runs."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbci.jenkins.controller import Log

# what the shared library ends a build with when a machine failed, and not a step
_INFRASTRUCTURE = re.compile(
    r"^ERROR: (.*exit code \d+: infrastructure: .*|.*: infrastructure, not the notebook.*"
    r"|no node carries the label .*)$",
    re.MULTILINE,
)
_NO_NODE = re.compile(
    "There are no nodes with the label \u2018([^\u2019]+)\u2019"
)  # Jenkins' own quotes
# Notes for the page that shows the log: links, names of steps. `consoleText` is without them,
# `progressiveText` is not.
_NOTE_BEGINS, _NOTE_ENDS = "\x1b[8mha:", "\x1b[0m"
_NOTE = re.compile(f"{re.escape(_NOTE_BEGINS)}.*?{re.escape(_NOTE_ENDS)}", re.DOTALL)


class LogReader:
    """Turns pieces of a log into text, and notices the lines that matter."""

    def __init__(self) -> None:
        self.offset = 0
        self.infrastructure: str | None = None
        self.missing_label: str | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._line = ""

    def take(self, piece: Log) -> str:
        """The text that is new; none when the log is shorter than it was, as after a restart from a
        backup.
        """
        fresh = self._decoder.decode(piece.data) if piece.next_offset > self.offset else ""
        self.offset = piece.next_offset
        plain, self._held = _without_notes(self._held + fresh)
        if not piece.more:
            plain, self._held = plain + self._held, ""
        text = self._line + plain
        if (found := _INFRASTRUCTURE.search(text)) is not None:
            self.infrastructure = found[1]
        self.missing_label = missing_label(text) or self.missing_label
        self._line = text.rpartition("\n")[2]
        return plain


def missing_label(text: str) -> str | None:
    """The label that no node has, when Jenkins says so."""
    found = _NO_NODE.search(text)
    return found[1] if found else None


def _without_notes(text: str) -> tuple[str, str]:
    """What is to be shown, and an end of which it is not known yet: a note or a line's end that has
    only begun.
    """
    plain = _NOTE.sub("", text).replace("\r\n", "\n")
    begun = plain.find(_NOTE_BEGINS)
    if begun < 0:
        ends = ("\r", *(_NOTE_BEGINS[:length] for length in range(len(_NOTE_BEGINS), 0, -1)))
        begun = next((len(plain) - len(end) for end in ends if plain.endswith(end)), len(plain))
    return plain[:begun], plain[begun:]
