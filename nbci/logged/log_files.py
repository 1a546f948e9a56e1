"""The files of a request log: how they are named, their columns, and how one is read.

`FOLDER/MODEL/HOUR-PID-N.parquet` holds an hour of one process. While the hour goes on, and for ever
where the process was killed, its rows are in a stream of Arrow of the same name.
"""

from __future__ import annotations

import calendar
import contextlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nbci.errors import Location, UsageError, spelling_hint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

STREAM_SUFFIX = ".arrows"
FILE_SUFFIX = ".parquet"
OUTPUT_PREFIX = "answer."
"""Before the name of an output's column, which may be called as an input is."""
INPUT_PREFIX = "input."
"""Before the name of an input's column where it alone would be taken for another column."""
TIME, REQUEST, ROW, VERSION = "time", "request", "row", "version"
NEEDED_COLUMNS = (TIME, REQUEST, ROW, VERSION)
"""What each log has: seconds since 1970 (UTC), the request's id, its row from 0."""
SECONDS = "seconds"
"""How long the request took, from its arrival to its answer; logs of before have no such column."""
OWN_COLUMNS = (*NEEDED_COLUMNS, SECONDS)
"""The columns that the log adds to inputs and outputs."""
LABEL = "label"
"""The column that labels are joined as."""

_HOUR = "%Y-%m-%dT%H"
_HOUR_SECONDS = 3600
_HOUR_NAME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)-")
_BATCH_BYTES = 32 * 2**20
_GROUP_BYTES = 32 * 2**20
_MOST_BATCH_ROWS = 65_536
_FEWEST_BATCH_ROWS = 64


class BrokenFileError(Exception):
    """A file is no file of a log, or ends within a batch; what came before is whole."""


def model_folder(folder: Path, model: str) -> Path:
    """Where the log in `folder` has the rows of this model."""
    # Names of models may have folders: `team/wine`.
    name = model.replace("/", "%")
    if name in ("", ".", "..") or "\0" in name:
        raise UsageError(f"{model!r} is no name of a model")
    return folder / name


def logged_models(folder: Path) -> list[str]:
    """The models that the log in `folder` has, in order of their names."""
    if not folder.is_dir():
        return []
    return sorted(entry.name.replace("%", "/") for entry in folder.iterdir() if entry.is_dir())


def hour_name(seconds: float) -> str:
    """How the file of this time begins.

    >>> hour_name(0.5)
    '1970-01-01T00'
    """
    # In UTC: no hour is there twice.
    return datetime.fromtimestamp(seconds, UTC).strftime(_HOUR)


def hour_span(path: Path) -> tuple[float, float]:
    """From when until before when the file has rows, by its name; any time where it has no hour.

    >>> from pathlib import Path
    >>> hour_span(Path("1970-01-01T02-17-0.parquet"))
    (7200, 10800)
    """
    found = _HOUR_NAME.match(path.name)
    if found is None:
        return float("-inf"), float("inf")
    try:
        start = calendar.timegm(datetime.strptime(found[1], _HOUR).replace(tzinfo=UTC).timetuple())
    except ValueError:
        return float("-inf"), float("inf")
    return start, start + _HOUR_SECONDS


def input_column(name: str) -> str:
    """The name of an input's column.

    >>> input_column("alcohol"), input_column("time")
    ('alcohol', 'input.time')
    """
    if name in (*OWN_COLUMNS, LABEL) or name.startswith((OUTPUT_PREFIX, INPUT_PREFIX)):
        return f"{INPUT_PREFIX}{name}"
    return name


def input_name(column: str) -> str | None:
    """The input whose column this is; None for what the log adds, and for outputs.

    >>> input_name("alcohol"), input_name("input.time"), input_name("answer.label")
    ('alcohol', 'time', None)
    """
    if column in OWN_COLUMNS or column.startswith(OUTPUT_PREFIX):
        return None
    return column.removeprefix(INPUT_PREFIX)


def model_files(folder: Path, model: str) -> list[Path]:
    """The files of a model, in order of their hours.

    UsageError where the folder is not there, or has other models only.
    """
    own = model_folder(folder, model)
    if own.is_dir():
        return _log_files(own)
    known = logged_models(folder)
    # A server that nobody has asked yet has written nothing.
    if folder.is_dir() and not known:
        return []
    where = Location(str(folder))
    if not folder.is_dir():
        raise UsageError(
            "there is no such folder",
            where=where,
            hint="it is what `nbci serve --log FOLDER` was given",
        )
    raise UsageError(
        f"the log has no model {model!r}",
        where=where,
        hint=spelling_hint(model, known, f"it has {', '.join(known)}"),
    )


def _log_files(folder: Path) -> list[Path]:
    """The files of a folder, in order of their names, so of hours."""
    files = {}
    # A process killed between two steps leaves both of a name: the Parquet file is whole then.
    for suffix in (STREAM_SUFFIX, FILE_SUFFIX):
        for path in folder.glob(f"*{suffix}"):
            files[path.stem] = path
    return [path for _, path in sorted(files.items())]


def read_file(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a file in batches of bounded size, with those of `columns` that it has.

    A stream that became a Parquet file meanwhile is read as that. BrokenFileError where the rest
    cannot be read, FileNotFoundError where it has gone.
    """
    if path.suffix == STREAM_SUFFIX:
        try:
            batches = read_stream(path)
            yield from _selected(batches, columns)
            return
        except FileNotFoundError:
            path = path.with_suffix(FILE_SUFFIX)
    yield from _selected(_read_parquet(path, columns), columns)


def read_stream(path: Path) -> Iterator[pa.RecordBatch]:
    """The whole batches of a stream; BrokenFileError behind them where it ends within one."""
    import pyarrow as pa

    with open(path, "rb") as file:
        # A process that has just begun has not even written what the columns are.
        if not file.seek(0, 2):
            return
        file.seek(0)
        try:
            reader = pa.ipc.open_stream(file)
            while True:
                batch = reader.read_next_batch()
                # What a stream says of its buffers is not to be believed.
                batch.validate(full=True)
                yield batch
        except StopIteration:
            return
        except (pa.ArrowException, OSError) as error:
            raise BrokenFileError(str(error)) from error


def read_columns(path: Path) -> pa.Schema:
    """The columns of a file, or none of a stream that has just begun; errors as `read_file`."""
    import pyarrow as pa
    from pyarrow import parquet

    if path.suffix == STREAM_SUFFIX:
        try:
            if not path.stat().st_size:
                return pa.schema([])
            with open(path, "rb") as file:
                return pa.ipc.open_stream(file).schema
        except FileNotFoundError:
            path = path.with_suffix(FILE_SUFFIX)
        except (pa.ArrowException, OSError) as error:
            raise BrokenFileError(str(error)) from error
    try:
        return parquet.read_schema(path)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise BrokenFileError(str(error)) from error


def _read_parquet(path: Path, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            chosen = file.schema_arrow.names
            if columns is not None:
                chosen = [name for name in columns if name in chosen]
            yield from file.iter_batches(batch_size=_batch_rows(file, chosen), columns=chosen)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise BrokenFileError(str(error)) from error


def _batch_rows(file: pa.parquet.ParquetFile, columns: Sequence[str]) -> int:
    """How many rows are read at once: a row may hold an image, or a thousand columns."""
    metadata = file.metadata
    row_bytes: int = sum(_value_bytes(file.schema_arrow.field(name).type) for name in columns)
    # Texts are as long as they are.
    sizes = (metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
    total = int(sum(sizes))
    row_bytes = max(1, row_bytes, total // max(1, int(metadata.num_rows)))
    return min(_MOST_BATCH_ROWS, max(_FEWEST_BATCH_ROWS, _BATCH_BYTES // row_bytes))


def _value_bytes(type_: pa.DataType) -> int:
    """What a value takes in memory; few different ones take much less in the file."""
    import pyarrow as pa

    if pa.types.is_fixed_size_list(type_):
        return int(type_.list_size) * _value_bytes(type_.value_type)
    if pa.types.is_primitive(type_):
        return max(1, int(type_.bit_width) // 8)
    return 0


def _selected(
    batches: Iterator[pa.RecordBatch], columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        # Of Parquet, the name `a` takes `a.b` along.
        if columns is None:
            yield batch
        else:
            yield batch.select([name for name in columns if name in batch.schema.names])


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
