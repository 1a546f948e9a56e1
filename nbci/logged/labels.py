"""Labels that came later, joined with the rows of a window by request id and row.

They lie as `labels/NUMBER.parquet` in the folder of the model. No file is ever changed: of several
labels of one row, that of the highest number counts, and in a file the last.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import IntegrityError, Location
from nbci.logged.counting import row_keys
from nbci.logged.log_files import (
    FILE_SUFFIX,
    LABEL,
    REQUEST,
    ROW,
    TIME,
    VERSION,
    hour_name,
    model_folder,
)
from nbci.logged.window import LogWindow, read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

LABELS_FOLDER = "labels"
ADDED = "added"
"""The column of the time at which a label was added, in seconds since 1970 (UTC)."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of a model that count; `keys` are sorted, the others in their order.

    `table` has the columns request, row, label and added.
    """

    keys: npt.NDArray[np.uint64]
    table: pa.Table

    @property
    def type(self) -> pa.DataType:
        """The type of the labels; null where there is none."""
        return self.table.schema.field(LABEL).type

    def find(
        self, requests: pa.Array, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Where in `table` the labels of these rows are, and which rows have one."""
        import numpy as np

        places = np.zeros(len(rows), dtype=np.int64)
        has_label = np.zeros(len(rows), dtype=bool)
        if len(self.keys) and len(rows):
            wanted = row_keys(requests.to_pylist(), rows)
            places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            has_label = self.keys[places] == wanted
            # Two ids with one key are not likely, and not to be mixed up.
            named = self.table.column(REQUEST).combine_chunks().take(places)
            has_label &= named.to_numpy(False) == requests.to_numpy(False)
        return places, has_label


class LabelledRows(Struct, frozen=True, kw_only=True):
    """How many of a window's rows have a label; `by_hour` and `by_version`: with one, and all."""

    rows: int
    labelled: int
    by_hour: Mapping[str, tuple[int, int]]
    by_version: Mapping[str, tuple[int, int]]


def labels_folder(folder: Path, model: str) -> Path:
    """Where the log in `folder` has the labels of this model."""
    return model_folder(folder, model) / LABELS_FOLDER


def label_files(folder: Path, model: str) -> list[Path]:
    """The files of labels, in the order in which they count."""
    numbered = {}
    for path in labels_folder(folder, model).glob(f"*{FILE_SUFFIX}"):
        if path.stem.isdecimal():
            numbered[int(path.stem)] = path
    return [path for _, path in sorted(numbered.items())]


def read_labels(folder: Path, model: str) -> Labels:
    """The labels of a model that count; IntegrityError where a file of them cannot be read."""
    import pyarrow as pa

    tables = [_empty()]
    for path in label_files(folder, model):
        # A number that a process took, and has not written yet.
        if path.stat().st_size:
            tables.append(_read(path))
    # Whole numbers and others stand together as floats.
    return last_labels(pa.concat_tables(tables, promote_options="permissive"))


def last_labels(table: pa.Table) -> Labels:
    """Of several labels of a row, the last; the columns are those of `Labels.table`."""
    import numpy as np

    rows = table.column(ROW).to_numpy().astype(np.int64)
    keys = row_keys(table.column(REQUEST).to_pylist(), rows)
    # `unique` takes the first of equal ones: turned round, that is the newest.
    unique, places = np.unique(keys[::-1], return_index=True)
    return Labels(keys=unique, table=table.take(len(keys) - 1 - places))


def join_labels(
    window: LogWindow, labels: Labels, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The window's rows with these columns, and `label`: null where none is known.

    Errors as `read_batches`.
    """
    import numpy as np
    import pyarrow as pa

    names = tuple(window.types) if columns is None else tuple(columns)
    values = labels.table.column(LABEL).combine_chunks()
    for batch in read_batches(window, tuple(dict.fromkeys((*names, REQUEST, ROW)))):
        rows = batch.column(ROW).to_numpy().astype(np.int64)
        places, has_label = labels.find(batch.column(REQUEST), rows)
        # A place that is null takes nothing.
        taken = values.take(pa.array(places, mask=~has_label))
        arrays = [batch.column(name) for name in names]
        yield pa.RecordBatch.from_arrays([*arrays, taken], names=[*names, LABEL])


def count_labelled(window: LogWindow, labels: Labels) -> LabelledRows:
    """How many rows have a label, by hour (UTC) and by the version that answered."""
    hours: dict[str, Counter[bool]] = {}
    versions: dict[str, Counter[bool]] = {}
    # Of an empty window, no columns are known.
    columns = (TIME, VERSION) if window.rows else ()
    for batch in join_labels(window, labels, columns):
        has_label = batch.column(LABEL).is_valid().to_pylist()
        times = batch.column(TIME).to_pylist()
        names = batch.column(VERSION).to_pylist()
        for time, version, is_labelled in zip(times, names, has_label, strict=True):
            hours.setdefault(hour_name(time), Counter())[is_labelled] += 1
            versions.setdefault(version, Counter())[is_labelled] += 1
    by_hour = _shares(hours)
    return LabelledRows(
        rows=window.rows,
        labelled=sum(labelled for labelled, _ in by_hour.values()),
        by_hour=by_hour,
        by_version=_shares(versions),
    )


def _shares(counts: Mapping[str, Counter[bool]]) -> dict[str, tuple[int, int]]:
    shares = {}
    for name, counter in sorted(counts.items()):
        shares[name] = (counter[True], counter.total())
    return shares


def _empty() -> pa.Table:
    import pyarrow as pa

    columns = [(REQUEST, pa.string()), (ROW, pa.int32()), (LABEL, pa.null()), (ADDED, pa.float64())]
    return pa.schema(columns).empty_table()


def _read(path: Path) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            return file.read(columns=[REQUEST, ROW, LABEL, ADDED])
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(
            f"these labels cannot be read: {error}",
            where=Location(str(path)),
            hint="move the file away, and add its labels again",
        ) from error
