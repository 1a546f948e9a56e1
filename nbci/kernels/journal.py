"""Keeps on disk what a step's cells print while they run, so that a kill of nbci loses none."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError
from nbci.records.journal import event_line

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from nbci.records.journal import Event, ExecutedNotebook

DELAY_SECONDS = 0.05
"""How long an event may wait for others, to be written with them."""

BATCH_BYTES = 256 << 10
LINE_CHARACTERS = 32 << 10
"""Text that came together is one line up to this; a line that is torn is lost."""
SMALLEST_REWRITE_BYTES = 32 << 20


class Journal:
    """Applies events to the notebook and appends them to a file, many at a time.

    Written means handed to the operating system: it survives the death of nbci, not that of the
    machine. When the file has trebled since it was last rewritten, it is rewritten as the notebook
    that it makes, so that what was cleared or replaced takes no space for long and writing stays
    linear. Errors of the disk end up in `failed`.
    """

    def __init__(self, path: Path | None, executed: ExecutedNotebook) -> None:
        """`path` None: nothing is kept on disk."""
        self.executed = executed
        self.failed: asyncio.Future[InfrastructureError] = (
            asyncio.get_running_loop().create_future()
        )
        self._path = path
        # A descriptor, not a file object: its buffer would be lost in a kill.
        self._file: int | None = None
        self._lines: list[bytes] = []
        self._text: tuple[str, list[str]] | None = None
        self._text_characters = self._waiting_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._beside: list[IO[str]] = []
        self._size = self._rewritten_size = 0

    def open(self) -> None:
        """Begin the file with the notebook as it is."""
        if self._path is not None:
            try:
                self._rewrite(self._path)
            except OSError as error:
                self.fail(error)

    def add(self, event: Event) -> None:
        """Let the event happen, and keep it."""
        self.executed.apply(event)
        if self._file is None:
            return
        if event["do"] == "text":
            self._add_text(event["stream"], event["text"])
        else:
            self._end_text()
            line = event_line(event)
            self._lines.append(line)
            self._waiting_bytes += len(line)
        if self._waiting_bytes >= BATCH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY_SECONDS, self.flush)

    def turn(self, cell: int) -> None:
        """Let what follows be of the cell at this index, which may have ended earlier."""
        if self.executed.current != cell:
            self.add({"do": "turn", "cell": cell})

    def write_with(self, file: IO[str]) -> None:
        """Flush this file, too, whenever the journal is written."""
        self._beside.append(file)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end_text()
        data = b"".join(self._lines)
        self._lines.clear()
        self._waiting_bytes = 0
        try:
            # One write for many events: a cell may print a million lines.
            self._write(data)
            self._beside = [file for file in self._beside if not file.closed]
            for file in self._beside:
                file.flush()
            has_trebled = self._size > 3 * self._rewritten_size + SMALLEST_REWRITE_BYTES
            if has_trebled and self._path is not None:
                self._rewrite(self._path)
        except OSError as error:
            self.fail(error)

    def fail(self, error: OSError) -> None:
        """Report through `failed` that the outputs cannot be kept."""
        if not self.failed.done():
            message = f"cannot write what the cells print: {error.strerror or error}"
            self.failed.set_result(InfrastructureError(message, hint="free space, then try again"))

    def close(self) -> None:
        """Write what waits; nothing follows."""
        self.executed.complete()
        self.flush()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _add_text(self, stream: str, text: str) -> None:
        if self._text is None or self._text[0] != stream:
            self._end_text()
            self._text = (stream, [])
        self._text[1].append(text)
        self._text_characters += len(text)
        self._waiting_bytes += len(text)
        if self._text_characters >= LINE_CHARACTERS:
            self._end_text()

    def _end_text(self) -> None:
        if self._text is not None:
            stream, chunks = self._text
            self._text, self._text_characters = None, 0
            event = {"do": "text", "stream": stream, "text": "".join(chunks)}
            self._lines.append(event_line(event))

    def _write(self, data: bytes) -> None:
        # `os.write` may take less than all, as on a disk that is almost full.
        rest = memoryview(data)
        while rest and self._file is not None:
            written = os.write(self._file, rest)
            self._size += written
            rest = rest[written:]

    def _rewrite(self, path: Path) -> None:
        """Replace the file by one that begins with the notebook as it is now."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}")
        # Not `store.files.write_atomic`: the new file stays open, and is appended to.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        new = os.open(temporary, flags, 0o644)
        old, self._file, self._size = self._file, new, 0
        if old is not None:
            os.close(old)
        self._write(event_line(self.executed.begin()))
        # Only now: until then a reader finds the old journal whole.
        os.replace(temporary, path)
        self._rewritten_size = self._size
