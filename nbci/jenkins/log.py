"""Read a build's log in the pieces that a controller hands out while the build runs."""

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
# with the quotation marks that Jenkins prints
_NO_NODE = re.compile("There are no nodes with the label \u2018([^\u2019]+)\u2019")
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
        """Return the text that is new, without Jenkins' notes.

        Nothing when the log is shorter than it was, as after a restart from a backup.
        """
        fresh = ""
        if piece.next_offset > self.offset:
            fresh = self._decoder.decode(piece.data)
        self.offset = piece.next_offset

        # a piece may end within a note, whose rest comes with the next piece, if there is one
        plain, self._held = _split_notes(self._held + fresh)
        if not piece.more:
            plain += self._held
            self._held = ""

        # lines are searched whole, so the one that a piece ends in is kept for the next
        text = self._line + plain
        found = _INFRASTRUCTURE.search(text)
        if found is not None:
            self.infrastructure = found[1]
        self.missing_label = missing_label(text) or self.missing_label
        self._line = text.rpartition("\n")[2]
        return plain


def missing_label(text: str) -> str | None:
    """The label that no node has, when Jenkins says so."""
    found = _NO_NODE.search(text)
    if found is None:
        return None
    return found[1]


def _split_notes(text: str) -> tuple[str, str]:
    """Take the notes out, and split off an end that may be the beginning of one.

    A carriage return at the end is split off, too: it may be half of a line's end.
    """
    plain = _NOTE.sub("", text).replace("\r\n", "\n")
    begun = plain.find(_NOTE_BEGINS)
    if begun >= 0:
        return plain[:begun], plain[begun:]

    beginnings = [_NOTE_BEGINS[:length] for length in range(len(_NOTE_BEGINS), 0, -1)]
    for end in ("\r", *beginnings):
        if plain.endswith(end):
            return plain.removesuffix(end), end
    return plain, ""
