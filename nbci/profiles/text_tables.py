"""Tables that are texts: CSV, TSV and JSON lines, whose types only their values tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from nbci.errors import Location, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

_BLOCK_BYTES = 4 * 2**20
_LINES = 8192
# As predictions are read: `NA` is Namibia as often as nothing.
_NO_VALUES = ["", "NaN", "nan"]


def read_csv(path: Path, texts: set[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a file with a header, `.tsv` by tabs; columns in `texts` stay texts.

    The others are numbers, truth values or times if all values of the first batch are. In later
    batches each value counts by itself: one that is no number makes no file unreadable.
    """
    import pyarrow as pa
    from pyarrow import csv

    refused: list[Any] = []

    def note(row: Any) -> str:
        # Called from within the parser, where nothing can be raised.
        refused.append(row)
        return "error"

    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note)
    try:
        yield from _read_typed(path, parse, texts)
    except pa.ArrowInvalid as error:
        if not refused:
            raise
        row = refused[0]
        raise UsageError(
            f"a row has {row.actual_columns} values, the header {row.expected_columns}",
            where=Location(str(path), line=row.number),
        ) from error


def _read_typed(path: Path, parse: Any, texts: set[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    # Line numbers are told only without threads.
    read = csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
    names = _header(path, parse, read)
    if names is None:
        return
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        null_values=_NO_VALUES,
        strings_can_be_null=True,
    )
    # What became a text in this file is nobody else's business.
    kept = set(texts)
    with csv.open_csv(path, read, parse, convert) as reader:
        for batch in reader:
            yield _typed(batch, kept)


def _header(path: Path, parse: Any, read: Any) -> list[str] | None:
    """The names of the columns; None for a file with nothing in it."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        with csv.open_csv(path, read, parse) as reader:
            names: list[str] = reader.schema.names
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return None
        raise
    return names


def _typed(batch: pa.RecordBatch, texts: set[str]) -> pa.RecordBatch:
    """The batch with the types that its values have; what is none becomes a text from here on."""
    import pyarrow as pa

    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        typed = column
        if name not in texts and column.null_count < len(column):
            typed = _inferred(column)
        if typed is column and column.null_count < len(column):
            texts.add(name)
        columns.append(typed)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _inferred(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    # Where one value is of another form, the cast stops there: to try costs little.
    for kind in (pa.float64(), pa.bool_(), pa.timestamp("us")):
        try:
            return pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
    return column


def read_json_lines(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of a file with an object in each line; blank lines are nothing."""
    decoder = msgspec.json.Decoder(dict[str, Any])
    rows: list[dict[str, Any]] = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            # pyarrow's own reader names no line, and gives up where types change.
            try:
                rows.append(decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise UsageError(
                    f"the line is no JSON object: {error}", where=Location(str(path), line=number)
                ) from error
            if len(rows) == _LINES:
                yield _batch(rows)
                rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row)
    columns = []
    for name in names:
        columns.append(_array([row.get(name) for row in rows]))
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def _array(values: list[Any]) -> pa.Array:
    """The values as they are, or as texts where they are of several types."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        pass
    texts = []
    for value in values:
        if value is None or isinstance(value, str):
            texts.append(value)
        else:
            texts.append(msgspec.json.encode(value).decode())
    return pa.array(texts)
