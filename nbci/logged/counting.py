"""Count what is in a window of a log, by keys of 64 bits of its rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.logged.log_files import (
    NEEDED_COLUMNS,
    REQUEST,
    ROW,
    SECONDS,
    TIME,
    VERSION,
    BrokenFileError,
    read_columns,
    read_file,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Keys = npt.NDArray[np.uint64]
    Numbers = npt.NDArray[np.int64]

_KEY_BYTES = 8
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST_FACTOR = 0xBF58476D1CE4E5B9
_SECOND_FACTOR = 0x94D049BB133111EB
_MASK = 2**64 - 1


class LoggedFile(Struct, frozen=True):
    """A file of the log, and how many of its first rows were there when it was looked at."""

    path: Path
    rows: int


class BrokenFile(Struct, frozen=True):
    """A file that cannot be read; or not to its end, where the first `rows` of it count."""

    path: Path
    why: str
    rows: int


def row_keys(requests: Sequence[str | None], rows: Numbers) -> Keys:
    """A key for each row of a request, by the request's id and the row's number."""
    import numpy as np

    keys = text_keys(requests)
    return mix_keys(keys + np.uint64(_GOLDEN) * rows.astype(np.uint64))


def text_keys(texts: Sequence[str | None]) -> Keys:
    """A key for each text."""
    import numpy as np

    keys = np.empty(len(texts), dtype=np.uint64)
    last: str | None = None
    key = 0
    for place, text in enumerate(texts):
        # The rows of a request stand together.
        if text != last or not place:
            data = (text or "").encode()
            digest = hashlib.blake2b(data, digest_size=_KEY_BYTES).digest()
            key = int.from_bytes(digest)
            last = text
        keys[place] = key
    return keys


def mix_keys(keys: Keys) -> Keys:
    """Other keys, each of whose bits depends on all bits of the one before.

    As SplitMix64 does it: https://prng.di.unimi.it/splitmix64.c
    """
    import numpy as np

    mixed = keys + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_FIRST_FACTOR)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_SECOND_FACTOR)
    result: Keys = mixed ^ (mixed >> np.uint64(31))
    return result


class Count:
    """What is in a window, file by file."""

    def __init__(self, start: float, end: float) -> None:
        self._start = start
        self._end = end
        self._keys: list[npt.NDArray[np.uint64]] = []
        self._seconds: list[npt.NDArray[np.float64]] = []
        self._sums = [0, 0]
        self.files: list[LoggedFile] = []
        self.broken: list[BrokenFile] = []
        self.types: dict[str, list[pa.DataType]] = {}
        self.versions: Counter[str] = Counter()
        self.rows = 0
        self.first: float | None = None
        self.last: float | None = None

    @property
    def requests(self) -> int:
        return sum(map(len, self._keys))

    @property
    def doubled(self) -> int:
        import numpy as np

        if not self._keys:
            return 0
        return self.requests - len(np.unique(np.concatenate(self._keys)))

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """How long each request took, of those of which the log says it."""
        import numpy as np

        return np.concatenate([np.empty(0), *self._seconds])

    @property
    def digest(self) -> str:
        return "".join(f"{part:016x}" for part in self._sums)

    def read(self, path: Path) -> None:
        seen = inside = 0
        try:
            schema = read_columns(path)
            # A stream that has just begun.
            if not schema.names:
                return
            _check_columns(schema)
            for batch in read_file(path, (*NEEDED_COLUMNS, SECONDS)):
                seen += batch.num_rows
                inside += self._add(batch.filter(is_inside(batch, self._start, self._end)))
        except FileNotFoundError:
            # The server removes the oldest files beyond its bound.
            return
        except BrokenFileError as error:
            self.broken.append(BrokenFile(path, str(error), seen))
        if inside:
            self.files.append(LoggedFile(path, seen))
            self._add_types(schema)

    def _add(self, batch: pa.RecordBatch) -> int:
        import numpy as np

        if not batch.num_rows:
            return 0
        numbers = _numpy(batch, ROW).astype(np.int64)
        requests = batch.column(batch.schema.get_field_index(REQUEST)).to_pylist()
        versions = batch.column(batch.schema.get_field_index(VERSION)).to_pylist()
        times = _numpy(batch, TIME).astype(np.float64)
        keys = row_keys(requests, numbers)
        # Each request has one row 0.
        self._keys.append(keys[numbers == 0])
        self._add_seconds(batch, numbers == 0)
        told = mix_keys(mix_keys(keys ^ times.view(np.uint64)) ^ text_keys(versions))
        # Sums, so that it makes no difference in which order the rows lie.
        for place, part in enumerate((told, mix_keys(told))):
            self._sums[place] = (self._sums[place] + int(part.sum(dtype=np.uint64))) & _MASK
        self.versions.update(str(version) for version in versions)
        self.rows += batch.num_rows
        first, last = float(times.min()), float(times.max())
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        return int(batch.num_rows)

    def _add_seconds(self, batch: pa.RecordBatch, is_first: npt.NDArray[np.bool_]) -> None:
        """What the requests took; all rows of one say the same."""
        import numpy as np
        import pyarrow as pa

        place = batch.schema.get_field_index(SECONDS)
        # Logs of before have no such column, unless an input was called so.
        if place < 0 or not pa.types.is_floating(batch.schema.field(place).type):
            return
        taken = _numpy(batch, SECONDS).astype(np.float64)[is_first]
        self._seconds.append(taken[np.isfinite(taken) & (taken >= 0)])

    def _add_types(self, schema: pa.Schema) -> None:
        for field in schema:
            types = self.types.setdefault(field.name, [])
            if field.type not in types:
                types.append(field.type)


def _check_columns(schema: pa.Schema) -> None:
    """BrokenFileError where a file has not the columns that a log has."""
    import pyarrow as pa

    missing = [name for name in NEEDED_COLUMNS if name not in schema.names]
    if missing:
        raise BrokenFileError(f"it has no column {', '.join(missing)}")
    if not pa.types.is_floating(schema.field(TIME).type):
        raise BrokenFileError(f"its column {TIME} has the type {schema.field(TIME).type}")
    if not pa.types.is_integer(schema.field(ROW).type):
        raise BrokenFileError(f"its column {ROW} has the type {schema.field(ROW).type}")
    for name in (REQUEST, VERSION):
        if not pa.types.is_string(schema.field(name).type):
            raise BrokenFileError(f"its column {name} has the type {schema.field(name).type}")


def _numpy(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = batch.column(batch.schema.get_field_index(name)).to_numpy(
        zero_copy_only=False
    )
    return values


def is_inside(batch: pa.RecordBatch, start: float, end: float) -> pa.Array:
    import pyarrow.compute as pc

    times = batch.column(batch.schema.get_field_index(TIME))
    return pc.and_(pc.greater_equal(times, start), pc.less(times, end))
