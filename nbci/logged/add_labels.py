"""Add labels from a file to a request log; nothing that is there is changed."""

from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError, spelling_hint
from nbci.logged.counting import row_keys
from nbci.logged.labels import (
    ADDED,
    Labels,
    label_files,
    labels_folder,
    last_labels,
    read_labels,
)
from nbci.logged.log_files import (
    FILE_SUFFIX,
    LABEL,
    REQUEST,
    ROW,
    BrokenFileError,
    model_files,
    read_file,
)
from nbci.store.files import disk_errors, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

IDS = (REQUEST, "id")
"""The usual names of the column of a file that says which request is meant."""
_FIRST_NAMED = 3


class LabelColumns(Struct, frozen=True, kw_only=True):
    """The columns of a file of labels; None: those of the usual names."""

    request: str | None = None
    label: str | None = None
    row: str | None = None


class AddedLabels(Struct, frozen=True, kw_only=True):
    """What became of the lines of a file of labels.

    `new` rows had no label yet, `corrected` had another one, `same` had that one. `unknown` are
    lines whose request or row the log has not, `unclear` those of requests with several rows that
    say none, `empty` those without id or label; `doubled` are followed by another of the same row.
    `examples` names the first of each. `path` is the file that was written, if any.
    """

    model: str
    lines: int
    new: int
    corrected: int
    same: int
    unknown: int
    unclear: int
    empty: int
    doubled: int
    examples: Mapping[str, tuple[str, ...]]
    path: str | None = None


def add_labels(
    folder: Path, model: str, file: Path, columns: LabelColumns, seconds: float
) -> AddedLabels:
    """Add the labels in `file` (CSV, TSV, JSON lines, Parquet) to the log in `folder`.

    `seconds` is the time now. UsageError where the file has no such columns, or none of its
    requests is in the log, or its labels have another type than those before.
    """
    table, has_rows = _columns_of(file, columns)
    given, lines = table, table.num_rows
    table = table.filter(_is_whole(table))
    empty = lines - table.num_rows
    table, doubled = _last_of_each(table)
    known, several = _look_up(folder, model, table)
    unclear = several & (not has_rows)
    kept = table.filter(known & ~unclear)
    counts = {"unknown": table.filter(~known), "unclear": table.filter(unclear)}
    if lines and not kept.num_rows:
        raise _nothing_known(model, file, counts, empty)
    # Another process may add meanwhile: then a correction may be called new, and still counts.
    before = read_labels(folder, model)
    _check_type(before, given, file)
    was_same, corrected = _compare(before, kept)
    path = None
    to_write = kept.filter(~was_same)
    if to_write.num_rows:
        path = _write(folder, model, to_write, seconds)
    return AddedLabels(
        model=model,
        lines=lines,
        new=to_write.num_rows - int(corrected.sum()),
        corrected=int(corrected.sum()),
        same=int(was_same.sum()),
        unknown=counts["unknown"].num_rows,
        unclear=counts["unclear"].num_rows,
        empty=empty,
        doubled=doubled,
        examples={
            "unknown": _named(counts["unknown"]),
            "unclear": _named(counts["unclear"]),
            "corrected": _corrections(before, kept.filter(corrected)),
        },
        path=None if path is None else str(path),
    )


def _columns_of(file: Path, columns: LabelColumns) -> tuple[pa.Table, bool]:
    """The file as request, row and label; whether it says the rows."""
    import pyarrow as pa

    read = _READERS.get(file.suffix.lower())
    where = Location(str(file))
    if read is None:
        raise UsageError(
            "a file of this name is not read as labels",
            where=where,
            hint=f"write one of {', '.join(_READERS)}",
        )
    try:
        table = read(file, columns)
    except FileNotFoundError as error:
        raise UsageError("there is no such file", where=where) from error
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"the labels cannot be read: {error}", where=where) from error
    return _choose_columns(table, where, columns)


def labels_of(table: pa.Table, path: Path) -> Labels:
    """The labels of a table in that file, whose columns have the usual names.

    UsageError where it has no such columns, or they are no ids, rows and labels.
    """
    import numpy as np
    import pyarrow as pa

    chosen, _ = _choose_columns(table, Location(str(path)), LabelColumns())
    kept = chosen.filter(_is_whole(chosen))
    # Nobody added them to a log.
    return last_labels(kept.append_column(ADDED, pa.array(np.zeros(kept.num_rows))))


def _choose_columns(
    table: pa.Table, where: Location, columns: LabelColumns
) -> tuple[pa.Table, bool]:
    """The table as request, row and label; whether it says the rows."""
    import numpy as np
    import pyarrow as pa

    request = _column(table, where, columns.request, IDS, "--id")
    label = _column(table, where, columns.label, (LABEL,), "--label")
    has_rows = columns.row is not None or ROW in table.column_names
    rows = pa.array(np.zeros(table.num_rows, dtype=np.int32))
    if has_rows:
        rows = _column(table, where, columns.row, (ROW,), "--row")
    try:
        parts = [request.cast(pa.string()), rows.cast(pa.int32()), _plain(label)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UsageError(f"ids, rows or labels are no such: {error}", where=where) from error
    return pa.table(dict(zip((REQUEST, ROW, LABEL), parts, strict=True))), has_rows


def _column(
    table: pa.Table, where: Location, asked: str | None, usual: tuple[str, ...], option: str
) -> pa.ChunkedArray:
    names = usual if asked is None else (asked,)
    for name in names:
        if name in table.column_names:
            return table.column(name)
    raise UsageError(
        f"there is no column {' or '.join(names)}",
        where=where,
        hint=spelling_hint(
            names[0], table.column_names, f"{option} names it: {', '.join(table.column_names)}"
        ),
    )


def _plain(label: pa.ChunkedArray) -> pa.ChunkedArray:
    """Labels without the dictionary that a file may hold texts in."""
    import pyarrow as pa

    # As pandas writes categories.
    if pa.types.is_dictionary(label.type):
        label = label.cast(label.type.value_type)
    if pa.types.is_large_string(label.type):
        label = label.cast(pa.string())
    if pa.types.is_nested(label.type):
        raise pa.ArrowInvalid(f"a label is one value, not {label.type}")
    return label


def _is_whole(table: pa.Table) -> pa.Array:
    import pyarrow.compute as pc

    has_id = pc.and_(pc.is_valid(table.column(REQUEST)), pc.is_valid(table.column(ROW)))
    # NaN is no label.
    return pc.and_(has_id, pc.invert(pc.is_null(table.column(LABEL), nan_is_null=True)))


def _last_of_each(table: pa.Table) -> tuple[pa.Table, int]:
    """The last line of each row, and how many lines that leaves out."""
    import numpy as np

    keys = _keys(table)
    _, places = np.unique(keys[::-1], return_index=True)
    last = np.sort(len(keys) - 1 - places)
    return table.take(last), len(keys) - len(last)


def _keys(table: pa.Table, further: int = 0) -> npt.NDArray[np.uint64]:
    import numpy as np

    rows = table.column(ROW).to_numpy().astype(np.int64)
    return row_keys(table.column(REQUEST).to_pylist(), rows + further)


def _look_up(
    folder: Path, model: str, table: pa.Table
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which lines the log has a row of, and which of them have another row behind it."""
    import numpy as np

    wanted, behind = _keys(table), _keys(table, 1)
    known = np.zeros(len(wanted), dtype=bool)
    several = np.zeros(len(wanted), dtype=bool)
    for keys in _logged_keys(model_files(folder, model)):
        known |= np.isin(wanted, keys)
        several |= np.isin(behind, keys)
    return known, known & several


def _logged_keys(paths: Sequence[Path]) -> Iterator[npt.NDArray[np.uint64]]:
    """The keys of all rows that the log has now, batch by batch."""
    for path in paths:
        try:
            for batch in read_file(path, [REQUEST, ROW]):
                if batch.num_columns == len((REQUEST, ROW)):
                    yield _keys(batch)
        # What can be read of it was; a file that has gone has no requests.
        except (BrokenFileError, FileNotFoundError):
            continue


def _nothing_known(
    model: str, file: Path, counts: Mapping[str, pa.Table], empty: int
) -> UsageError:
    named = ", ".join(_named(counts["unknown"]))
    if counts["unclear"].num_rows:
        named = ", ".join(_named(counts["unclear"]))
        return UsageError(
            f"requests such as {named} have several rows, and the file does not say which",
            where=Location(str(file)),
            hint="give it a column `row`, which counts from 0, or name one by --row",
        )
    if not counts["unknown"].num_rows:
        return UsageError(f"none of {empty} lines has a label", where=Location(str(file)))
    return UsageError(
        f"the log of {model} has none of these requests: {named}",
        where=Location(str(file)),
        hint="ids are those that clients sent as `x-request-id`, or were answered with; --id names "
        "their column",
    )


def _check_type(before: Labels, given: pa.Table, file: Path) -> None:
    """UsageError where texts would stand beside numbers: they would never be equal."""
    import pyarrow as pa

    label = given.schema.field(LABEL)
    try:
        pa.unify_schemas(
            [pa.schema([pa.field(LABEL, before.type)]), pa.schema([label])],
            promote_options="permissive",
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UsageError(
            f"the labels are {label.type}, those that are there {before.type}",
            where=Location(str(file)),
            hint="write them as those before",
        ) from error


def _compare(before: Labels, kept: pa.Table) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which lines repeat the label that counts now, and which replace another one."""
    import numpy as np

    places, had = before.find(
        kept.column(REQUEST).combine_chunks(), kept.column(ROW).to_numpy().astype(np.int64)
    )
    old = before.table.column(LABEL).to_pylist()
    new = kept.column(LABEL).to_pylist()
    is_same = np.zeros(len(new), dtype=bool)
    # Of types that were promoted, such as 1 and 1.0, equal ones are the same label.
    for at in np.flatnonzero(had):
        is_same[at] = old[places[at]] == new[at]
    return is_same, had & ~is_same


def _corrections(before: Labels, corrected: pa.Table) -> tuple[str, ...]:
    import numpy as np

    first = corrected.slice(0, _FIRST_NAMED)
    places, _ = before.find(
        first.column(REQUEST).combine_chunks(), first.column(ROW).to_numpy().astype(np.int64)
    )
    sentences = []
    for name, place, new in zip(_named(first), places, first.column(LABEL), strict=True):
        old = before.table.column(LABEL)[int(place)]
        sentences.append(f"{name}: {old.as_py()!r} → {new.as_py()!r}")
    return tuple(sentences)


def _named(table: pa.Table) -> tuple[str, ...]:
    """The first lines, for people."""
    names = []
    for line in table.slice(0, _FIRST_NAMED).to_pylist():
        # From a file: it may be long, or hold escapes of a terminal.
        name = ascii(str(line[REQUEST])[:80])
        if line[ROW]:
            name += f" row {line[ROW]}"
        names.append(name)
    return tuple(names)


def _write(folder: Path, model: str, table: pa.Table, seconds: float) -> Path:
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    table = table.append_column(ADDED, pa.array(np.full(table.num_rows, seconds)))
    data = BytesIO()
    parquet.write_table(table, data, compression="zstd")
    path = _take_number(folder, model)
    try:
        write_atomic(path, data.getvalue())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _take_number(folder: Path, model: str) -> Path:
    """The path of the next number, which nobody else takes any more."""
    own = labels_folder(folder, model)
    with disk_errors(own):
        own.mkdir(parents=True, exist_ok=True)
        taken = [int(path.stem) for path in label_files(folder, model)]
        number = max(taken, default=0) + 1
        while True:
            path = own / f"{number:06}{FILE_SUFFIX}"
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            except FileExistsError:
                number += 1
            else:
                return path


def _read_csv(path: Path, columns: LabelColumns, delimiter: str = ",") -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    # `007` is an id like any other, no seven.
    texts = {name: pa.string() for name in (*IDS, columns.request) if name is not None}
    convert = csv.ConvertOptions(
        column_types=texts, null_values=["", "NaN", "nan"], strings_can_be_null=True
    )
    options = csv.ParseOptions(delimiter=delimiter)
    return csv.read_csv(path, convert_options=convert, parse_options=options)


def _read_tsv(path: Path, columns: LabelColumns) -> pa.Table:
    return _read_csv(path, columns, "\t")


def _read_parquet(path: Path, columns: LabelColumns) -> pa.Table:
    from pyarrow import parquet

    del columns
    with parquet.ParquetFile(path) as file:
        return file.read()


def _read_json_lines(path: Path, columns: LabelColumns) -> pa.Table:
    from pyarrow import json

    del columns
    return json.read_json(path)


_READERS: Mapping[str, Callable[[Path, LabelColumns], Any]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}
