"""What a kernel prints, chunk by chunk, made into lines that are safe to show."""

from __future__ import annotations

import re

from nbci.formatting.terminal import without_controls

LONGEST_LINE = (
    8000  # characters: a longer line is shown as several, so that nothing piles up in memory
)
_LONGEST_ESCAPE = 1000  # a longer "escape sequence" is none
_MOVES = re.compile("([\r\n\b])")
_UNFINISHED_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\r\n]*\x1b?|[ -/]*)\Z")


class PrintedLines:
    """One stream of one step.

    A carriage return starts the line anew, as on a terminal: a progress bar is one line.
    """

    __slots__ = ("_held", "_returned", "current", "redrawn")

    def __init__(self) -> None:
        """`current` is the line that has no end yet; `redrawn` says whether it replaced an earlier
        state of itself.
        """
        self.current = ""
        self.redrawn = False
        self._returned = False
        self._held = ""

    def feed(self, text: str) -> list[str]:
        """Take the next chunk; the lines that it completes."""
        text = self._held + text
        unfinished = _UNFINISHED_ESCAPE.search(text)
        keep = (
            len(text)
            if unfinished is None or len(unfinished[0]) > _LONGEST_ESCAPE
            else unfinished.start()
        )
        self._held = text[keep:]
        return self._lines(text[:keep])

    def flush(self) -> list[str]:
        """The line without an end, if there is one; nothing is kept."""
        lines = self._lines(self._held)
        self._held = ""
        if self.current:
            lines += self._end_line()
        return lines

    def _lines(self, text: str) -> list[str]:
        text = without_controls(text)
        if not self._returned and not self.redrawn and "\r" not in text and "\b" not in text:
            return self._plain_lines(text)
        lines: list[str] = []
        for piece in _MOVES.split(text):
            if piece == "\n":
                lines += self._end_line()
            elif piece == "\r":
                self._returned = True
            elif piece == "\b":
                self.current = self.current[:-1]
            elif piece:
                lines += self._extend(piece)
        return lines

    def _plain_lines(self, text: str) -> list[str]:
        """Most text moves nowhere but to the next line; there may be much of it."""
        *whole, self.current = (self.current + text).split("\n")
        if len(self.current) <= LONGEST_LINE and max(map(len, whole), default=0) <= LONGEST_LINE:
            return whole
        rest, self.current = self.current, ""
        lines = [part for line in whole for part in (*self._extend(line), *self._end_line())]
        return [*lines, *self._extend(rest)]

    def _extend(self, piece: str) -> list[str]:
        if self._returned:
            self.redrawn = self.redrawn or bool(self.current)
            self.current, self._returned = "", False
        whole = self.current + piece
        cut = (len(whole) - 1) // LONGEST_LINE * LONGEST_LINE
        self.current = whole[cut:]
        return [whole[i : i + LONGEST_LINE] for i in range(0, cut, LONGEST_LINE)]

    def _end_line(self) -> list[str]:
        wiped = self.redrawn and not self.current.strip()  # a progress bar that cleared itself away
        line = [] if wiped else [self.current]
        self.current, self.redrawn, self._returned = "", False, False
        return line
