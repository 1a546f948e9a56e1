"""Open data as batches of rows: a table, an image, or a folder of either."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError, Location, UsageError
from nbci.formatting.numbers import listed
from nbci.profiles.images import IMAGE_SUFFIXES, read_images
from nbci.profiles.text_tables import read_csv, read_json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from nbci.records.profile import Profile

    _Read = Callable[["Table", Path, Sequence[str] | None], Iterator[pa.RecordBatch]]

BATCH_ROWS = 65_536
_BUFFER_BYTES = 2**20
_FILES_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Files of one kind, whose rows belong together.

    `texts` are columns whose values stay texts. `problems` are sentences about what could not be
    read and was left out; they are all there when the last batch was read.
    """

    path: Path
    files: tuple[Path, ...]
    are_images: bool = False
    like: Profile | None = None
    texts: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows, of those columns only if they are given, and where they are there.

        UsageError names the file, and the line where there are lines, of what is no such table.
        """
        if self.are_images:
            yield from read_images(self.path, self.files, self.problems)
            return
        for path in self.files:
            read = _READERS[path.suffix.lower()]
            with _naming(path):
                yield from read(self, path, columns)

    def column_names(self) -> list[str] | None:
        """The names of all columns, where the files tell them without being read.

        Errors are those of `batches`.
        """
        from pyarrow import parquet

        if self.are_images or any(path.suffix.lower() != ".parquet" for path in self.files):
            return None
        # In the order of their first appearance, as a set would not have them.
        names: dict[str, None] = {}
        for path in self.files:
            with _naming(path):
                names.update(dict.fromkeys(parquet.read_schema(path).names))
        return list(names)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of a table that cannot be read name its file."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UsageError(f"the table cannot be read: {error}", where=Location(str(path))) from error
    except OSError as error:
        raise InfrastructureError(
            f"the table cannot be read: {error}", where=Location(str(path))
        ) from error


def open_table(path: Path, *, like: Profile | None = None, texts: Sequence[str] = ()) -> Table:
    """The rows of a CSV, TSV, JSON lines, Parquet or Arrow file, of images, or of a folder of them.

    A folder is read with the folders in it, in the order of the paths. Columns in `texts`, and
    those that `like` has as categories or texts, stay texts, also where they look like numbers.
    UsageError where nothing is there to be read, or what reads it is not installed.
    """
    check_libraries(str(path), ["numpy", "pyarrow", "scipy"])
    if not path.exists():
        raise UsageError(f"{path} is not there")
    files = _files_of(path)
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    tables = [file for file in files if file.suffix.lower() in _READERS]
    if images and tables:
        raise UsageError(
            f"{path} holds tables and images",
            hint="keep them in folders of their own, and name one of these",
        )
    if images:
        check_libraries(str(path), ["PIL"])
        return Table(path=path, files=tuple(images), are_images=True, like=like)
    if not tables:
        known = ", ".join([*_READERS, *IMAGE_SUFFIXES])
        raise UsageError(_why_nothing(path, files), hint=f"what can be read: {known}")
    return Table(path=path, files=tuple(tables), like=like, texts=tuple(texts))


def check_libraries(source: str, names: Sequence[str]) -> None:
    """UsageError where what measures `source` is not installed."""
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        # pip's name of a package need not be that of its module.
        packages = ["pillow" if name == "PIL" else name for name in missing]
        extra = "images" if "PIL" in missing else "behaviour"
        raise UsageError(
            f"{source}: profiles need {', '.join(packages)}, not installed here",
            hint=f"pip install 'nbci[{extra}]'",
        )


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = []
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        # What tools keep beside data, such as .ipynb_checkpoints and .DS_Store, is no data.
        if file.is_file() and not any(part.startswith(".") for part in relative.parts):
            found.append(file)
    return found


def _why_nothing(path: Path, files: Sequence[Path]) -> str:
    if not path.is_dir():
        return f"{path} is no table and no image that can be read"
    names = [file.name for file in files]
    return f"{path} holds no table and no image, but {listed(names, _FILES_NAMED) or 'nothing'}"


def _read_parquet(
    _table: Table, path: Path, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    from pyarrow import parquet

    # A row group may be larger than memory: its columns are read bit by bit.
    with parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
        there = columns
        if columns is not None:
            # A folder's files need not all have the same columns.
            there = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(BATCH_ROWS, columns=there, use_threads=False):
            # The name `a` takes `a.b` along.
            yield _only(batch, columns)


def _read_arrow_file(
    _table: Table, path: Path, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        for place in range(reader.num_record_batches):
            yield _only(reader.get_batch(place), columns)


def _read_arrow_stream(
    table: Table, path: Path, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    """The whole batches of a stream that may still be written, and then ends anywhere."""
    import pyarrow as pa

    with open(path, "rb") as source:
        # Until its writer has flushed for the first time, not even the columns are there.
        try:
            reader = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            table.problems.append(f"{path} holds no rows yet")
            return
        while True:
            try:
                yield _only(reader.read_next_batch(), columns)
            except (StopIteration, pa.ArrowInvalid, OSError):
                return


def _only(batch: pa.RecordBatch, columns: Sequence[str] | None) -> pa.RecordBatch:
    if columns is None:
        return batch
    # By place: of two columns of one name, both are there to be refused.
    places = [place for place, name in enumerate(batch.schema.names) if name in columns]
    return batch.select(places)


def _read_csv(table: Table, path: Path, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    for batch in read_csv(path, _texts_of(table)):
        yield _only(batch, columns)


def _read_json_lines(
    table: Table, path: Path, columns: Sequence[str] | None
) -> Iterator[pa.RecordBatch]:
    _ = table
    for batch in read_json_lines(path):
        yield _only(batch, columns)


def _texts_of(table: Table) -> set[str]:
    """The columns whose values are texts, whatever they look like."""
    # "007" and 7 are the same number, and two codes.
    found = set(table.texts)
    kinds = ("category", "text")
    for column in table.like.columns if table.like is not None else ():
        if column.kind in kinds:
            found.add(column.name)
    return found


_READERS: Mapping[str, _Read] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
    ".arrow": _read_arrow_file,
    ".feather": _read_arrow_file,
    ".arrows": _read_arrow_stream,
}
