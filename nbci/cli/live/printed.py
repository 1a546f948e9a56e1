"""What a kernel prints, chunk by chunk, made into lines that are safe to show."""

from __future__ import annotations

import re

from nbci.formatting.terminal import without_controls

# In characters. A longer line is shown as several, so that nothing piles up in memory.
LONGEST_LINE = 8000
# A longer "escape sequence" is none: its beginning was printed by accident, and text follows.
_LONGEST_ESCAPE = 1000
_MOVES = re.compile("([\r\n\b])")
# Chunks end anywhere, also within a sequence (ECMA-48, 5.4 and 5.6).
_UNFINISHED_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\r\n]*\x1b?|[ -/]*)\Z")


class PrintedLines:
    """Splits one stream of one step into lines.

    A carriage return starts the line again, as on a terminal: a progress bar is one line.
    `current` is the unfinished line, `redrawn` whether it replaced an earlier state of itself.
    """

    __slots__ = ("_held", "_returned", "current", "redrawn")

    def __init__(self) -> None:
        self.current = ""
        self.redrawn = False
        self._returned = False
        self._held = ""

    def feed(self, text: str) -> list[str]:
        """Add a chunk of output; returns the lines that it completes."""
        text = self._held + text
        whole = self._whole_part(text)
        self._held = text[whole:]
        return self._lines(text[:whole])

    def flush(self) -> list[str]:
        """Return the unfinished line, if there is one, and start a new one."""
        lines = self._lines(self._held)
        self._held = ""
        if self.current:
            lines += self._end_line()
        return lines

    def _whole_part(self, text: str) -> int:
        """The length of the text before an escape sequence that is cut off at its end."""
        unfinished = _UNFINISHED_ESCAPE.search(text)
        if unfinished is None or len(unfinished[0]) > _LONGEST_ESCAPE:
            return len(text)
        return unfinished.start()

    def _lines(self, text: str) -> list[str]:
        text = without_controls(text)
        if not self._returned and not self.redrawn and "\r" not in text and "\b" not in text:
            return self._plain_lines(text)
        lines: list[str] = []
        for piece in _MOVES.split(text):
            if piece == "\n":
                lines += self._end_line()
            elif piece == "\r":
                # What follows replaces the line; a newline that follows only ends it (`\r\n`).
                self._returned = True
            elif piece == "\b":
                self.current = self.current[:-1]
            elif piece:
                lines += self._extend(piece)
        return lines

    def _plain_lines(self, text: str) -> list[str]:
        """Split text whose only cursor movements are newlines, as in most output."""
        *whole, self.current = (self.current + text).split("\n")
        if len(self.current) <= LONGEST_LINE and max(map(len, whole), default=0) <= LONGEST_LINE:
            return whole

        rest, self.current = self.current, ""
        lines = []
        for line in whole:
            lines += self._extend(line)
            lines += self._end_line()
        return [*lines, *self._extend(rest)]

    def _extend(self, piece: str) -> list[str]:
        """Append to the unfinished line; returns the parts of it beyond LONGEST_LINE."""
        if self._returned:
            self.redrawn = self.redrawn or bool(self.current)
            self.current, self._returned = "", False
        whole = self.current + piece
        # Something of it stays, so that a full line is ended by its own newline.
        cut = (len(whole) - 1) // LONGEST_LINE * LONGEST_LINE
        self.current = whole[cut:]
        return [whole[i : i + LONGEST_LINE] for i in range(0, cut, LONGEST_LINE)]

    def _end_line(self) -> list[str]:
        line = self.current
        # A progress bar that cleared itself away (`leave=False` of tqdm) leaves no empty line.
        was_wiped = self.redrawn and not line.strip()
        self.current, self.redrawn, self._returned = "", False, False
        if was_wiped:
            return []
        return [line]
