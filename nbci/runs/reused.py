"""The steps that a run reused, in one file, each with the original record."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nbci.records.codec import from_json
from nbci.records.run_record import StepRecord  # noqa: TC001 - msgspec reads the annotation
from nbci.store.files import disk_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path


class _Line(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A step of this run, why nothing had to be done for it, and the record that stands for it."""

    name: str
    reason: str | None
    record: StepRecord


_BEFORE_RECORD = b', "record": '
"""What stands before the record in a line, and nowhere before it: in a text its quotation marks
would be escaped.
"""


class ReusedSteps:
    """The file of a run's reused steps: one process appends, others read its whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, StepRecord] = {}
        self._read = 0
        self._unwritten: list[bytes] = []
        self._file: FileIO | None = None

    def add(self, record: StepRecord, original: bytes) -> None:
        """Hold a record of this run for `flush`.

        `original` is the text of the record that it was taken from.
        """
        if self._file is None:
            with disk_errors(self._path):
                self._file = self._open()
        # The original text is put in as it is: encoding a thousand records again takes longer than
        # all else that a run with nothing to do does.
        head = json.dumps({"name": record.name, "reason": record.reason}, ensure_ascii=False)
        head_bytes = head[:-1].encode("utf-8", "surrogatepass")
        line = b"".join((head_bytes, _BEFORE_RECORD, original.rstrip(b"\n"), b"}\n"))
        self._unwritten.append(line)
        self._known[record.name] = record

    def flush(self) -> None:
        """Append what was added to the file."""
        if self._unwritten and self._file is not None:
            text = b"".join(self._unwritten)
            with disk_errors(self._path):
                try:
                    write_whole(self._file, text)
                except OSError:
                    self._file.truncate(self._read)
                    raise
            self._unwritten.clear()
            self._read += len(text)

    def get(self, name: str) -> StepRecord | None:
        """The record of a step that was taken over."""
        self._read_on()
        return self._known.get(name)

    def records(self) -> tuple[StepRecord, ...]:
        """The records of all steps that were taken over."""
        self._read_on()
        return tuple(self._known.values())

    def originals(self) -> Iterator[tuple[StepRecord, bytes]]:
        """The original records, and their text; without those that hold NaN."""
        decode = msgspec.json.Decoder(_Line).decode
        with suppress(OSError):
            for line in self._path.read_bytes().splitlines():
                with suppress(ValueError, msgspec.MsgspecError):
                    begin = line.index(_BEFORE_RECORD) + len(_BEFORE_RECORD)
                    yield decode(line).record, line[begin:-1]

    @property
    def written_ns(self) -> int:
        """When the file was written last; 0 if there is none."""
        try:
            return os.stat(self._path).st_mtime_ns
        except OSError:
            return 0

    def close(self) -> None:
        """Close the file, after the last step."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> FileIO:
        """The file, without a line that a kill has cut off."""
        self._read_on()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: one write for all lines, so that readers see whole ones.
        file = self._path.open("ab", buffering=0)
        file.truncate(self._read)
        return file

    def _read_on(self) -> None:
        """Read the lines that were appended since the last call."""
        try:
            size = os.stat(self._path).st_size
        except OSError:
            size = 0
        # A resumed run begins the file again.
        if size < self._read:
            self._known = {}
            self._read = 0
        if size == self._read:
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        # The last line may be half written.
        whole = text[: text.rfind(b"\n") + 1]
        for line in whole.splitlines():
            found = from_json(line, _Line, str(self._path))
            self._known[found.name] = replace(
                found.record, name=found.name, result="reused", reason=found.reason
            )
        self._read += len(whole)
