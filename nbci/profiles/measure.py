"""Measure the profile of a table, in memory that does not grow with its rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.profiles.columns import NORM, ColumnMeasure
from nbci.profiles.images import IMAGE, KIND
from nbci.records.profile import ColumnProfile, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from nbci.profiles.data_files import Table

WORKERS = 2
_MOST_AT_ONCE = 16


def measure_table(batches: Iterable[pa.RecordBatch], *, like: Profile | None = None) -> Profile:
    """The profile of the rows of all batches, in the order of the columns' first appearance.

    Columns that `like` has are measured as what they are there: values that are none of that kind
    are `unlike`. Batches may have different columns; where a column is not there, its value is
    missing. Of no batches, the columns are those of `like`. UsageError where a batch has two
    columns of one name.
    """
    rows = 0
    measures: dict[str, ColumnMeasure] = {}
    for batch in batches:
        check_names(batch.schema.names)
        rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name not in measures:
                measures[name] = _column_measure(batch.schema.field(name), like)
            measures[name].add(column)

    columns: list[ColumnProfile] = []
    if not measures and like is not None:
        # Nothing says that a column is gone.
        columns.extend(
            ColumnProfile(name=each.name, kind=each.kind, rows=0) for each in like.columns
        )
    for measure in measures.values():
        column, *norms = measure.profiles(rows)
        columns.append(column)
        # A column of the table itself goes before the norm of another one.
        columns.extend(norm for norm in norms if norm.name not in measures)
    return Profile(rows=rows, columns=tuple(columns))


def measure_files(
    table: Table,
    *,
    like: Profile | None = None,
    columns: Sequence[str] | None = None,
    workers: int = WORKERS,
) -> Profile:
    """The profile of files, of all `columns` or of those that are named; as of `measure_table`.

    Parquet is read by a few columns at a time, side by side.
    So a table of a thousand columns takes no more memory than one of few, and reading, unpacking
    and sorting, which all let other threads run, keep `workers` cores busy.
    """
    names = table.column_names()
    if names is not None and columns is not None:
        names = [name for name in names if name in set(columns)]
    if names is None or len(names) < 2:
        return measure_table(table.batches(columns), like=like)

    check_names(names)
    size = min(_MOST_AT_ONCE, -(-len(names) // workers))
    groups = [names[start : start + size] for start in range(0, len(names), size)]

    def measure_group(group: list[str]) -> Profile:
        return measure_table(table.batches(group), like=like)

    with ThreadPoolExecutor(workers) as pool:
        measured = list(pool.map(measure_group, groups))
    # Of no rows, each group would have all columns of `like`.
    if not measured[0].rows:
        return measure_table([], like=like)
    found: list[ColumnProfile] = []
    for group, profile in zip(groups, measured, strict=True):
        # A column of the table itself goes before the norm of another one.
        others = set(names) - set(group)
        found.extend(column for column in profile.columns if column.name not in others)
    return Profile(rows=measured[0].rows, columns=tuple(found))


def _column_measure(field: pa.Field, like: Profile | None) -> ColumnMeasure:
    """What measures the column, as `like` has it."""
    is_image = (field.metadata or {}).get(KIND) == IMAGE.encode()
    if like is None:
        return ColumnMeasure(field.name, None, None, is_image=is_image)
    norm = like.column(f"{field.name}{NORM}")
    return ColumnMeasure(field.name, like.column(field.name), norm, is_image=is_image)


def check_names(names: list[str]) -> None:
    """UsageError where two columns have one name: nobody could tell which one is meant."""
    seen = set()
    for name in names:
        if name in seen:
            raise UsageError(
                f"the data have several columns {name!r}", hint="give each a name of its own"
            )
        seen.add(name)
