"""A window of a request log: which rows it has, and the rows in batches of bounded size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import InfrastructureError, Location, UsageError, spelling_hint
from nbci.logged.counting import BrokenFile, Count, LoggedFile, is_inside
from nbci.logged.log_files import (
    TIME,
    BrokenFileError,
    hour_span,
    model_files,
    read_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


class LogWindow(Struct, frozen=True, kw_only=True):
    """The rows of a model from `start` until before `end`, in seconds since 1970 (UTC).

    `first` and `last` are the times of its first and last row. `requests` were answered, `doubled`
    of them under an id that another one has. `versions` has the rows by the version that answered.
    `seconds` are what requests took, of those of which the log says it. `types` are the columns
    with the types that they have in the files, in the order of the files. `digest` tells the rows
    by id, time and version, in whatever files they lie. `broken` files are left out, from where
    they cannot be read.
    """

    folder: Path
    model: str
    start: float
    end: float
    files: tuple[LoggedFile, ...]
    rows: int
    requests: int
    doubled: int
    versions: Mapping[str, int]
    types: Mapping[str, tuple[Any, ...]]
    digest: str
    seconds: npt.NDArray[np.float64]
    broken: tuple[BrokenFile, ...] = ()
    first: float | None = None
    last: float | None = None


def read_window(
    folder: Path,
    model: str,
    *,
    start: float = -math.inf,
    end: float = math.inf,
    newest: float | None = None,
) -> LogWindow:
    """What the log in `folder` has of a model in a window; `newest`: its last so many seconds.

    The last second is that of the newest row, not of the clock. Sixteen bytes a request are held
    in memory. UsageError where the log has other models only.
    """
    paths = model_files(folder, model)
    if newest is not None:
        last = _newest_time(paths)
        if last is not None:
            start, end = last - newest, math.nextafter(last, math.inf)
    count = Count(start, end)
    for path in paths:
        first_second, end_second = hour_span(path)
        if first_second < end and end_second > start:
            count.read(path)
    return LogWindow(
        folder=folder,
        model=model,
        start=start,
        end=end,
        files=tuple(count.files),
        rows=count.rows,
        requests=count.requests,
        doubled=count.doubled,
        versions=dict(sorted(count.versions.items())),
        types={name: tuple(types) for name, types in count.types.items()},
        digest=count.digest,
        seconds=count.seconds,
        broken=tuple(count.broken),
        first=count.first,
        last=count.last,
    )


def read_batches(
    window: LogWindow, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The window's rows with these columns, by default all; each batch has all of them.

    They are those that `read_window` saw, whatever was written since. A column that a file lacks is
    null there. UsageError for a column that the window has not, or has with types that do not go
    together; InfrastructureError where the log lost a file meanwhile.
    """
    import pyarrow as pa

    names = tuple(window.types) if columns is None else tuple(columns)
    fields = []
    for name in names:
        fields.append(pa.field(name, _common_type(window, name)))
    wanted = pa.schema(fields)
    read = tuple(dict.fromkeys((*names, TIME)))
    for file in window.files:
        for batch in _first_rows(file, read):
            inside = batch.filter(is_inside(batch, window.start, window.end))
            if inside.num_rows:
                yield _with_columns(inside, wanted)


def _newest_time(paths: Sequence[Path]) -> float | None:
    """The time of the newest row; only the newest files are read."""
    newest: float | None = None
    for path in sorted(paths, key=hour_span, reverse=True):
        if newest is not None and hour_span(path)[1] <= newest:
            break
        for time in _times(path):
            newest = time if newest is None else max(newest, time)
    return newest


def _times(path: Path) -> Iterator[float]:
    """The newest time of each batch that can be read."""
    import pyarrow.compute as pc

    try:
        for batch in read_file(path, [TIME]):
            if TIME in batch.schema.names and batch.num_rows:
                yield pc.max(batch.column(TIME)).as_py()
    # Whoever reads the window names the file.
    except (BrokenFileError, FileNotFoundError):
        return


def _first_rows(file: LoggedFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    left = file.rows
    try:
        for batch in read_file(file.path, columns):
            if not left:
                return
            part = batch.slice(0, left)
            left -= part.num_rows
            yield part
    except (BrokenFileError, FileNotFoundError) as error:
        # What could not be read before is behind the rows that were counted.
        if left:
            raise InfrastructureError(
                "the log lost rows while it was read",
                where=Location(str(file.path)),
                hint="try again; `nbci serve` removes the oldest files of a log that is too large",
            ) from error


def _common_type(window: LogWindow, name: str) -> pa.DataType:
    """The type in which all files' values of a column fit."""
    import pyarrow as pa

    types = window.types.get(name)
    if types is None:
        raise UsageError(
            f"the log of {window.model} has no column {name!r} in this window",
            where=Location(str(window.folder)),
            hint=spelling_hint(name, window.types, f"it has {', '.join(window.types)}"),
        )
    schemas = [pa.schema([pa.field(name, type_)]) for type_ in types]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        # An input that is hashed or shaped otherwise since then.
        raise UsageError(
            f"the column {name!r} of {window.model} has several types in this window: "
            f"{', '.join(map(str, types))}",
            where=Location(str(window.folder)),
            hint="choose a window in which it has one, or leave the column out",
        ) from error


def _with_columns(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for field in wanted:
        place = batch.schema.get_field_index(field.name)
        if place < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
        else:
            arrays.append(batch.column(place).cast(field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)
