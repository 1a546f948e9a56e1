"""The stream that people read."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


class HumanStream:
    """A stream that drops all text after its first error: `nbci run | head` runs to its end.

    A full disk under a redirected output, a closed terminal and a broken pipe are all the same
    here: the record, not the display, says how the run went.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # A stream of a test may have no encoding.
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.off = False

    def write(self, text: str) -> int:
        """Write and flush; what the stream's encoding lacks is written as an escape."""
        if not self.off:
            shown = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            try:
                self._stream.write(shown)
                self._stream.flush()
            except (OSError, ValueError):
                # ValueError: the stream was closed.
                self._turn_off()
        return len(text)

    def flush(self) -> None:
        """Do nothing: each write is flushed."""

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        with suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def fileno(self) -> int:
        """The stream's file descriptor, which rich asks for the terminal's size."""
        return self._stream.fileno()

    def _turn_off(self) -> None:
        self.off = True
        # What is left in the stream's buffer would fail once more when Python exits, and make the
        # exit code 120.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
