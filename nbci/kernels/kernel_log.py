"""What a kernel's process writes outside any cell: read through a pipe, masked, kept in a file."""

from __future__ import annotations

import asyncio
import codecs
import os
import time
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.secrets import Mask

LOG_TAIL_CHARACTERS = 8000
READ_BYTES = 1 << 16
LAST_WORDS_SECONDS = 1.0


class KernelLog:
    """A kernel's own stdout and stderr, which it writes to `sink`; `tail` is their end."""

    def __init__(self, path: Path, mask: Mask, on_text: Callable[[str], None]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InfrastructureError(
                f"the kernel's log {path} cannot be written: {error.strerror}"
            ) from error
        self._source, self.sink = os.pipe()
        # It is read in the event loop, which must not wait for a kernel that writes nothing.
        os.set_blocking(self._source, False)
        # A character of several bytes may be read in two pieces.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._mask = mask.stream()
        self._on_text = on_text
        self._open = True
        self.tail = ""
        asyncio.get_running_loop().add_reader(self._source, self._read)

    def close_sink(self) -> None:
        """Close nbci's own copy of the pipe's writing end."""
        os.close(self.sink)

    def close(self) -> None:
        """Read what is left and finish."""
        if not self._open:
            return
        # With a limit: a process that escaped the kernel's end may go on writing.
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while self._read() and time.monotonic() < deadline:
            pass
        asyncio.get_running_loop().remove_reader(self._source)
        os.close(self._source)
        self._keep(self._mask.feed(self._decoder.decode(b"", final=True)) + self._mask.flush())
        self._file.close()
        self._open = False

    def _read(self) -> bool:
        """Read what is there; False where there was nothing."""
        try:
            data = os.read(self._source, READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._keep(self._mask.feed(self._decoder.decode(data)))
        else:
            asyncio.get_running_loop().remove_reader(self._source)
        return bool(data)

    def _keep(self, text: str) -> None:
        if text:
            self._file.write(text)
            # At once: it is what remains to be read when nbci itself is killed.
            self._file.flush()
            self.tail = (self.tail + text)[-LOG_TAIL_CHARACTERS:]
            self._on_text(text)
