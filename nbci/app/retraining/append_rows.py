"""Append rows to a table in a file, whose own rows keep their values as they are written there."""

from __future__ import annotations

import csv
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

NEW, OLD = "new", "old"
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
_PARQUET = ".parquet"

Row = dict[str, Any]


class Layout(Struct, frozen=True, kw_only=True):
    """A table: its path as people know it, and the columns that have a part of their own.

    `origin` is the column that says which rows are new; it is added where the table has none.
    """

    path: str
    id: str = "id"
    origin: str | None = None

    @property
    def suffix(self) -> str:
        """What tells its form."""
        return PurePosixPath(self.path).suffix.lower()


class Appended(Struct, frozen=True, kw_only=True):
    """How many rows were there `before`, how many were `added`, how many of these were `known`."""

    before: int
    added: int
    known: int


def table_columns(layout: Layout, base: Path) -> tuple[str, ...]:
    """The columns of the table; UsageError for a form that is not known, or without the id."""
    if layout.suffix == _PARQUET:
        import pyarrow.parquet as pq

        names = tuple(pq.read_schema(base).names)
    else:
        names, _ = _read_text(layout, base)
    if layout.id not in names:
        raise UsageError(
            f"the table has no column {layout.id!r} that names its rows",
            where=Location(layout.path),
            hint="`id: COLUMN` of `retrain: {data: ...}` says which it is: without one, the same "
            "row would be added again each time, and be on any side of a split",
        )
    return names


def append_rows(layout: Layout, base: Path, target: Path, rows: Iterable[Row]) -> Appended:
    """Write the table with the rows behind its own to `target`; rows that it has are left out."""
    if layout.suffix == _PARQUET:
        return _append_to_parquet(layout, base, target, rows)
    return _append_to_text(layout, base, target, rows)


def _read_text(layout: Layout, base: Path) -> tuple[tuple[str, ...], Iterator[Row]]:
    """The columns, and the rows with their values as the file has them."""
    if layout.suffix in _DELIMITERS:
        return _read_csv(layout, base)
    if layout.suffix in _LINES:
        rows = _read_lines(layout, base)
        first = next(rows, {})
        return tuple(first), _with_first(first, rows)
    raise UsageError(
        "rows can be added to .csv, .tsv, .jsonl and .parquet", where=Location(layout.path)
    )


def _with_first(first: Row, rows: Iterator[Row]) -> Iterator[Row]:
    if first:
        yield first
    yield from rows


def _read_csv(layout: Layout, base: Path) -> tuple[tuple[str, ...], Iterator[Row]]:
    rows = _csv_rows(layout, base)
    return tuple(next(rows, [])), (dict(row) for row in _csv_dicts(layout, base))


def _csv_rows(layout: Layout, base: Path) -> Iterator[list[str]]:
    # utf-8-sig: a mark of Excel's at the beginning is no part of the first column's name
    with base.open(newline="", encoding="utf-8-sig") as file:
        yield from csv.reader(file, delimiter=_DELIMITERS[layout.suffix])


def _csv_dicts(layout: Layout, base: Path) -> Iterator[Row]:
    head: list[str] = []
    for number, values in enumerate(_csv_rows(layout, base)):
        if not head:
            head = values
        elif len(values) == len(head):
            yield dict(zip(head, values, strict=True))
        # An empty line is none; anything else would shift its values into other columns.
        elif values:
            raise UsageError(
                f"row {number} has {len(values)} values, and the head {len(head)}",
                where=Location(layout.path),
            )


def _read_lines(layout: Layout, base: Path) -> Iterator[Row]:
    with base.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UsageError(
                    f"line {number} is no JSON", where=Location(layout.path, line=number)
                ) from error
            if isinstance(row, dict):
                yield row


def _append_to_text(layout: Layout, base: Path, target: Path, rows: Iterable[Row]) -> Appended:
    columns, there = _read_text(layout, base)
    if layout.origin is not None and layout.origin not in columns:
        columns = (*columns, layout.origin)
    counts = _Counts(layout)
    everything = counts.mark(there, rows)
    with target.open("w", newline="", encoding="utf-8") as file:
        if layout.suffix in _LINES:
            for row in everything:
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        else:
            # \n whatever the system is: the digest of a version is to be the same everywhere
            writer = csv.DictWriter(
                file, columns, delimiter=_DELIMITERS[layout.suffix], lineterminator="\n"
            )
            writer.writeheader()
            writer.writerows(everything)
    return counts.appended


def _append_to_parquet(layout: Layout, base: Path, target: Path, rows: Iterable[Row]) -> Appended:
    import pyarrow as pa
    import pyarrow.parquet as pq

    there = pq.read_table(base)
    if layout.origin is not None:
        place = there.schema.get_field_index(layout.origin)
        old = pa.array([OLD] * there.num_rows, pa.string())
        there = there.append_column(layout.origin, old) if place < 0 else there
        if place >= 0:
            there = there.set_column(place, layout.origin, old)
    counts = _Counts(layout)
    ids = ({layout.id: value} for value in there.column(layout.id).to_pylist())
    added = list(counts.mark(ids, rows))[there.num_rows :]
    try:
        new = pa.Table.from_pylist(added, schema=there.schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UsageError(
            f"the rows of the log do not fit the table: {error}",
            where=Location(layout.path),
            hint="ids of requests are texts; numbers have to be of the table's type",
        ) from error
    pq.write_table(pa.concat_tables([there, new]), target)
    return counts.appended


class _Counts:
    """Marks rows as old and new, and leaves those out that are there."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.before = self.added = self.known = 0

    @property
    def appended(self) -> Appended:
        return Appended(before=self.before, added=self.added, known=self.known)

    def mark(self, there: Iterable[Row], rows: Iterable[Row]) -> Iterator[Row]:
        seen = set()
        for row in there:
            self.before += 1
            seen.add(str(row.get(self.layout.id)))
            yield self._of_origin(row, OLD)
        for row in rows:
            name = str(row[self.layout.id])
            if name in seen:
                self.known += 1
                continue
            seen.add(name)
            self.added += 1
            yield self._of_origin(row, NEW)

    def _of_origin(self, row: Row, origin: str) -> Row:
        if self.layout.origin is None:
            return row
        return {**row, self.layout.origin: origin}


def spread(row: Mapping[str, Any], columns: Mapping[str, str | Sequence[str]]) -> Row:
    """A row of the log as one of the table: `columns` are the table's by the log's.

    A list goes into as many columns as it has values.
    """
    values: Row = {}
    for name, wanted in columns.items():
        if isinstance(wanted, str):
            values[wanted] = row[name]
        else:
            values |= zip(wanted, row[name], strict=True)
    return values
