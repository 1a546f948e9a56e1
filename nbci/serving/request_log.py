"""What was asked and answered, for those who look at it later: Parquet files, one an hour.

Requests are noted in memory and written beside them, by a thread: a slow or full disk makes no
request slower; what cannot be written is dropped and counted. While an hour goes on, its rows are
in a stream of Arrow, which can be read up to its last batch whenever the process dies; behind it,
they become a Parquet file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.logged.log_files import (
    FILE_SUFFIX,
    OUTPUT_PREFIX,
    REQUEST,
    ROW,
    SECONDS,
    STREAM_SUFFIX,
    TIME,
    VERSION,
    hour_name,
    input_column,
    make_parquet,
    model_folder,
)
from nbci.serving.served import is_among

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Arrays = Mapping[str, npt.NDArray[np.generic]]

_FLUSH_SECONDS = 1.0
_WAITING = 20_000
_WAITING_BYTES = 256 * 2**20
FULL_QUEUE, DISK, UNWRITABLE = "full queue", "disk", "unwritable"
"""Why requests are not in the log."""
_HASH_BYTES = 16
_HOUR_SECONDS = 3600


class LogSettings(Struct, frozen=True, kw_only=True):
    """Where and how much is written.

    `share` of the requests are kept, chosen by their ids; `left_out` and `hashed` are inputs whose
    values are not written, or only as keyed hashes. Files are of `file_bytes` at most; of all of
    them, the oldest are removed beyond `total_bytes`.
    """

    folder: str
    share: float = 1.0
    left_out: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    file_bytes: int = 256 * 2**20
    total_bytes: int = 10 * 2**30


class Noted(Struct, frozen=True, gc=False):
    """One request with its answer; `time` is seconds since 1970, `seconds` what it took."""

    time: float
    seconds: float
    request: str
    model: str
    version: str
    inputs: Arrays
    outputs: Arrays

    @property
    def size(self) -> int:
        """Bytes of its tensors, texts not counted."""
        size = 0
        for array in self.inputs.values():
            size += array.nbytes
        for array in self.outputs.values():
            size += array.nbytes
        return size


def _count_nothing(reason: str, requests: int) -> None:
    """Count what was dropped where nobody asks for it."""


class RequestLog:
    """Writes requests down, beside who notes them; `dropped` counts those that were not."""

    def __init__(
        self,
        settings: LogSettings,
        key: bytes,
        tell: Callable[..., None],
        count: Callable[[str, int], None] = _count_nothing,
    ) -> None:
        """As of `LogWriter`; `count` is called from two threads."""
        # Now, and in this thread: beside the imports of a model, either may find half a module;
        # within the first batch, it would keep requests waiting.
        import pyarrow as pa  # noqa: F401

        self._share = settings.share
        self._count = count
        self._writer = LogWriter(settings, key, tell, count)
        self._waiting: deque[Noted] = deque()
        # Each is changed by one thread only: what waits is the difference, without a lock.
        self._noted_bytes = self._taken_bytes = 0
        self._dropped = 0
        self._wake = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._write_all, name="request log", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Requests that are not in the log and should be."""
        return self._dropped + self._writer.dropped

    def note(self, noted: Noted) -> None:
        """Have a request written, without waiting for it; of one thread only."""
        # With a word of its own: else a tenth would be just what a canary of a tenth answered.
        if self._share < 1 and not is_among(f"log {noted.request}", self._share):
            return
        waiting_bytes = self._noted_bytes - self._taken_bytes
        # Never waits: an answer is worth more than its line in a log.
        if len(self._waiting) >= _WAITING or waiting_bytes > _WAITING_BYTES:
            self._dropped += 1
            self._count(FULL_QUEUE, 1)
            return
        self._noted_bytes += noted.size
        self._waiting.append(noted)
        # To wake the thread for each request would cost the server more than all its writing.
        is_much = len(self._waiting) > _WAITING // 2 or waiting_bytes > _WAITING_BYTES // 2
        if is_much and not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """Write what waits, and end the files."""
        self._is_closed = True
        self._wake.set()
        self._thread.join()

    def _write_all(self) -> None:
        is_over = False
        while not is_over:
            self._wake.wait(_FLUSH_SECONDS)
            self._wake.clear()
            # Asked before: what is noted until it is closed waits by then.
            is_over = self._is_closed
            batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
            self._writer.write(batch)
            self._taken_bytes += sum(noted.size for noted in batch)
        self._writer.end()


class LogWriter:
    """Writes batches of requests into the files of their hours.

    `tell` is called when writing fails for the first time, and when it works again; `count` with
    the reason and the number of requests that were dropped; `now` is the clock, in seconds since
    1970.
    """

    def __init__(
        self,
        settings: LogSettings,
        key: bytes,
        tell: Callable[..., None],
        count: Callable[[str, int], None] = _count_nothing,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`key` is what hashes are keyed with, so that nobody can look values up in a table."""
        self._settings = settings
        self._folder = Path(settings.folder)
        self._key = key
        self._tell = tell
        self._count = count
        self._now = now
        self._files: dict[str, _HourFile] = {}
        self._is_failing = False
        self.dropped = 0

    def write(self, batch: list[Noted]) -> None:
        """Write these requests, and end the files of hours that are over."""
        written = set()
        for rows in _alike(batch):
            first = rows[0]
            name = ""
            try:
                name = f"{model_folder(self._folder, first.model).name}/{hour_name(first.time)}"
                written.add(name)
                self._write(name, rows)
            # Whatever it is: this thread goes on, or nothing would be written any more.
            except Exception as error:  # noqa: BLE001
                self._drop(name, len(rows), error)
        self._end_hours(written)

    def _write(self, name: str, rows: list[Noted]) -> None:
        table = _table(rows, self._settings, self._key)
        self._file(name, table.schema).write(table)
        if self._is_failing:
            self._tell("request log works again", dropped=self.dropped)
        self._is_failing = False

    def _drop(self, name: str, requests: int, error: Exception) -> None:
        self.dropped += requests
        self._count(DISK if isinstance(error, OSError) else UNWRITABLE, requests)
        # Half a batch may be there: the stream can be read up to it, and another one is begun.
        file = self._files.pop(name, None)
        if file is not None:
            file.abandon()
        if not self._is_failing:
            self._tell("request log failing", reason=str(error))
        self._is_failing = True

    def _file(self, name: str, schema: pa.Schema) -> _HourFile:
        file = self._files.get(name)
        # Another version may answer with other columns.
        if file is not None and (file.size > self._settings.file_bytes or file.schema != schema):
            self._end(name)
            file = None
        if file is None:
            file = self._files[name] = _HourFile(self._folder, name, schema)
        return file

    def _end_hours(self, written: Container[str]) -> None:
        """End the files of other hours than this one, in which nothing is asked any more."""
        now = hour_name(self._now())
        for name in [*self._files]:
            # A clock that is set back and forth would else end a file a second.
            if name not in written and not name.endswith(f"/{now}"):
                self._end(name)

    def end(self) -> None:
        """End all files."""
        for name in [*self._files]:
            self._end(name)

    def _end(self, name: str) -> None:
        file = self._files.pop(name)
        try:
            file.end()
            _remove_oldest(self._folder, self._settings.total_bytes)
        # What fails here is still there as a stream.
        except OSError:
            file.abandon()


class _HourFile:
    """The rows of one model in one hour, as one process writes them."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        import pyarrow as pa

        self.schema = schema
        self._path = _free_path(folder, name)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "xb")  # noqa: SIM115 - it stays open for the hour
        self._whole_bytes = 0
        self._writer = pa.ipc.new_stream(self._file, schema)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def write(self, table: pa.Table) -> None:
        """Add rows, so that another process can read them."""
        self._writer.write_table(table)
        # A batch a second at most, so that this costs little.
        self._file.flush()
        self._whole_bytes = self._file.tell()

    def end(self) -> None:
        """Make it a Parquet file."""
        self._writer.close()
        self._file.close()
        make_parquet(self._path)

    def abandon(self) -> None:
        """Close it with the batches that are whole."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            # On a full disk, each second would leave a stub.
            if self._whole_bytes:
                os.truncate(self._path, self._whole_bytes)
            else:
                self._path.unlink()


def _free_path(folder: Path, name: str) -> Path:
    """A path that no other process has, and none of before."""
    number = 0
    while True:
        path = folder / f"{name}-{os.getpid()}-{number}{STREAM_SUFFIX}"
        if not path.exists() and not path.with_suffix(FILE_SUFFIX).exists():
            return path
        number += 1


def _alike(rows: list[Noted]) -> Iterator[list[Noted]]:
    """The requests of one model and hour whose columns are the same."""
    alike: dict[object, list[Noted]] = {}
    for noted in rows:
        hour = noted.time // _HOUR_SECONDS
        key = (noted.model, hour, *_kinds(noted.inputs), *_kinds(noted.outputs))
        alike.setdefault(key, []).append(noted)
    yield from alike.values()


def _kinds(arrays: Arrays) -> list[object]:
    kinds: list[object] = []
    for name, array in arrays.items():
        kinds += (name, array.dtype, array.shape[1:])
    return kinds


def _table(rows: list[Noted], settings: LogSettings, key: bytes) -> pa.Table:
    """Requests with the same columns, one behind another."""
    import numpy as np
    import pyarrow as pa

    counts = np.array([_rows_of(noted) for noted in rows])
    ends = np.cumsum(counts)
    places = np.repeat(np.arange(len(rows)), counts)
    columns: dict[str, Any] = {
        TIME: np.array([noted.time for noted in rows])[places],
        REQUEST: pa.array([noted.request for noted in rows], pa.string()).take(places),
        ROW: (np.arange(len(places)) - (ends - counts)[places]).astype(np.int32),
        VERSION: pa.array([noted.version for noted in rows], pa.string()).take(places),
        SECONDS: np.array([noted.seconds for noted in rows])[places],
    }
    for name in rows[0].inputs:
        if name in settings.left_out:
            continue
        values = _joined([noted.inputs[name] for noted in rows], counts.tolist())
        column = input_column(name)
        columns[column] = _hashes(values, key) if name in settings.hashed else _column(values)
    for name in rows[0].outputs:
        values = _joined([noted.outputs[name] for noted in rows], counts.tolist())
        columns[f"{OUTPUT_PREFIX}{name}"] = _column(values)
    return pa.table(columns)


def _rows_of(noted: Noted) -> int:
    """The rows of a request; one where its tensors have no common first axis."""
    lengths = {
        array.shape[0] if array.ndim else 1
        for array in (*noted.inputs.values(), *noted.outputs.values())
    }
    return int(lengths.pop()) if len(lengths) == 1 else 1


def _joined(arrays: list[npt.NDArray[np.generic]], counts: list[int]) -> npt.NDArray[np.generic]:
    """The rows of several arrays in one, each row flat."""
    import numpy as np

    parts = []
    for array, count in zip(arrays, counts, strict=True):
        width = array.size // count if count else 1
        parts.append(array.reshape(count, width))
    # Of no rows, nothing says how wide they are.
    whole = [part for part in parts if len(part)] or parts[:1]
    return np.concatenate(whole)


def _column(rows: npt.NDArray[np.generic]) -> pa.Array:
    """Numbers or texts, or lists of them where a row has several."""
    import pyarrow as pa

    if rows.shape[1] == 1:
        return pa.array(rows[:, 0])
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])


def _hashes(rows: npt.NDArray[np.generic], key: bytes) -> list[str]:
    hashes = []
    for row in rows:
        text = repr(row.tolist()).encode()
        hashes.append(hashlib.blake2b(text, key=key, digest_size=_HASH_BYTES).hexdigest())
    return hashes


def _remove_oldest(folder: Path, total: int) -> None:
    """Remove the oldest files of the log until the others are no larger than `total` together."""
    # Not deeper: labels, which people added, are in folders in those of the models.
    files = [(path.stat(), path) for path in folder.glob(f"*/*{FILE_SUFFIX}")]
    size = sum(found.st_size for found, _ in files)
    for found, path in sorted(files, key=lambda entry: (entry[0].st_mtime, str(entry[1]))):
        if size <= total:
            return
        path.unlink()
        size -= found.st_size
