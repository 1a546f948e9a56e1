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
import queue
import threading
import time
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
    BrokenFileError,
    hour_name,
    input_column,
    model_folder,
    read_stream,
)
from nbci.serving.served import is_among

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Arrays = Mapping[str, npt.NDArray[np.generic]]

_FLUSH_SECONDS = 1.0
_WAITING = 10_000
_HASH_BYTES = 16
_GROUP_BYTES = 32 * 2**20


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


class Noted(Struct, frozen=True):
    """One request with its answer; `time` is seconds since 1970, `seconds` what it took."""

    time: float
    seconds: float
    request: str
    model: str
    version: str
    inputs: Arrays
    outputs: Arrays


class RequestLog:
    """Writes requests down; `dropped` counts those that could not be written.

    `tell` is called when writing fails for the first time, and when it works again.
    """

    def __init__(self, settings: LogSettings, key: bytes, tell: Callable[..., None]) -> None:
        """`key` is what hashes are keyed with, so that nobody can look values up in a table."""
        self._settings = settings
        self._key = key
        self._tell = tell
        self._waiting: queue.Queue[Noted | None] = queue.Queue(_WAITING)
        self._files: dict[str, _HourFile] = {}
        self._is_failing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="request log", daemon=True)
        self._thread.start()

    def note(self, noted: Noted) -> None:
        """Have a request written, without waiting for it."""
        # With a word of its own: else a tenth would be just what a canary of a tenth answered.
        if not is_among(f"log {noted.request}", self._settings.share):
            return
        # Never waits: an answer is worth more than its line in a log.
        try:
            self._waiting.put_nowait(noted)
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits, and end the files."""
        self._waiting.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        is_over = False
        while not is_over:
            batch, is_over = self._take()
            for path, rows in self._by_file(batch).items():
                self._write(path, rows)
            # An hour in which nothing is asked any more ends, too.
            self._end_hours(all_of_them=is_over)

    def _take(self) -> tuple[list[Noted], bool]:
        """What waits now, after a second at most; whether it was the last."""
        batch: list[Noted] = []
        deadline = time.monotonic() + _FLUSH_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            try:
                noted = self._waiting.get(timeout=left)
            except queue.Empty:
                break
            if noted is None:
                return batch, True
            batch.append(noted)
        return batch, False

    def _by_file(self, batch: list[Noted]) -> dict[str, list[Noted]]:
        found: dict[str, list[Noted]] = {}
        for noted in batch:
            path = model_folder(Path(self._settings.folder), noted.model)
            name = f"{path.name}/{hour_name(noted.time)}"
            found.setdefault(name, []).append(noted)
        return found

    def _write(self, name: str, rows: list[Noted]) -> None:
        try:
            for table in _tables(rows, self._settings, self._key):
                self._file(name, table.schema).write(table)
        except OSError as error:
            self.dropped += len(rows)
            # Half a batch may be there: the stream can be read up to it, and another one is begun.
            self._abandon(name)
            if not self._is_failing:
                self._tell("request log failing", reason=str(error))
            self._is_failing = True
        else:
            if self._is_failing:
                self._tell("request log works again", dropped=self.dropped)
            self._is_failing = False

    def _file(self, name: str, schema: pa.Schema) -> _HourFile:
        file = self._files.get(name)
        # Another version may answer with other columns.
        if file is not None and (file.size > self._settings.file_bytes or file.schema != schema):
            self._end(name)
            file = None
        if file is None:
            file = self._files[name] = _HourFile(Path(self._settings.folder), name, schema)
        return file

    def _end_hours(self, *, all_of_them: bool) -> None:
        # Whatever is not of this hour has ended; a clock that was set back ends files early.
        now = hour_name(time.time())
        for name in [*self._files]:
            if all_of_them or not name.endswith(f"/{now}"):
                self._end(name)

    def _end(self, name: str) -> None:
        file = self._files.pop(name)
        # What fails here is still there as a stream.
        with contextlib.suppress(OSError):
            file.end()
            _remove_oldest(Path(self._settings.folder), self._settings.total_bytes)

    def _abandon(self, name: str) -> None:
        file = self._files.pop(name, None)
        if file is not None:
            file.abandon()


class _HourFile:
    """The rows of one model in one hour, as one process writes them."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        import pyarrow as pa

        self.schema = schema
        self._path = _free_path(folder, name)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "xb")  # noqa: SIM115 - it stays open for the hour
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

    def end(self) -> None:
        """Make it a Parquet file."""
        self._writer.close()
        self._file.close()
        make_parquet(self._path)

    def abandon(self) -> None:
        """Close it as it is."""
        with contextlib.suppress(OSError):
            self._file.close()


def _free_path(folder: Path, name: str) -> Path:
    """A path that no other process has, and none of before."""
    number = 0
    while True:
        path = folder / f"{name}-{os.getpid()}-{number}{STREAM_SUFFIX}"
        if not path.exists() and not path.with_suffix(FILE_SUFFIX).exists():
            return path
        number += 1


def make_parquet(stream: Path) -> Path:
    """Turn a stream into a Parquet file, with all batches that are whole; the stream is removed."""
    import pyarrow.parquet as pq

    target = stream.with_suffix(FILE_SUFFIX)
    partial = stream.with_suffix(".partial")
    writer: pq.ParquetWriter | None = None
    for table in _groups(_whole_batches(stream)):
        if writer is None:
            writer = pq.ParquetWriter(partial, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
        partial.replace(target)
    stream.unlink()
    return target


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The batches of seconds in tables of some megabytes.

    A group of rows for each second would cost whoever reads an hour more than the rows do.
    """
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += batch.nbytes
        if size >= _GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _whole_batches(stream: Path) -> Iterator[pa.RecordBatch]:
    # Of a killed process, it may end anywhere.
    with contextlib.suppress(BrokenFileError):
        yield from read_stream(stream)


def _tables(rows: list[Noted], settings: LogSettings, key: bytes) -> Iterator[pa.Table]:
    """The rows as tables, one for each set of columns."""
    alike: dict[object, list[Noted]] = {}
    for noted in rows:
        shapes = [_kinds(noted.inputs), _kinds(noted.outputs)]
        alike.setdefault(str(shapes), []).append(noted)
    for same in alike.values():
        yield _table(same, settings, key)


def _kinds(arrays: Arrays) -> list[object]:
    return [(name, array.dtype.str, array.shape[1:]) for name, array in arrays.items()]


def _table(rows: list[Noted], settings: LogSettings, key: bytes) -> pa.Table:
    """Requests with the same columns, one behind another."""
    import numpy as np
    import pyarrow as pa

    counts = [_rows_of(noted) for noted in rows]
    columns: dict[str, Any] = {
        TIME: np.repeat([noted.time for noted in rows], counts),
        REQUEST: np.repeat([noted.request for noted in rows], counts),
        ROW: np.concatenate([np.arange(count, dtype=np.int32) for count in counts]),
        VERSION: np.repeat([noted.version for noted in rows], counts),
        SECONDS: np.repeat([noted.seconds for noted in rows], counts),
    }
    for name in rows[0].inputs:
        if name in settings.left_out:
            continue
        values = _joined([noted.inputs[name] for noted in rows], counts)
        column = input_column(name)
        columns[column] = _hashes(values, key) if name in settings.hashed else _column(values)
    for name in rows[0].outputs:
        values = _joined([noted.outputs[name] for noted in rows], counts)
        columns[f"{OUTPUT_PREFIX}{name}"] = _column(values)
    return pa.table(columns)


def _rows_of(noted: Noted) -> int:
    """The rows of a request; one where its tensors have no common first axis."""
    lengths = {
        array.shape[0] if array.ndim else 1
        for array in (*noted.inputs.values(), *noted.outputs.values())
    }
    if len(lengths) == 1:
        return int(lengths.pop())
    return 1


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
