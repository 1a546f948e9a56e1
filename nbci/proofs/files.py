"""Compare files that two runs wrote at one place: by what they hold, where nbci can read them."""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from nbci.proofs.documents import compare_csv, compare_json, compare_json_lines
from nbci.proofs.tolerance import IDENTICAL, Finding, changed, of_unequal_bytes, worse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.proofs.tolerance import Tolerance

_BYTES = Finding(agreement="different", reason="its bytes differ")
_NO_PYARROW = Finding(
    agreement="different", reason="its bytes differ; pyarrow, which tells where, is not installed"
)


def compare_files(name: str, before: Path, now: Path, tolerance: Tolerance) -> Finding:
    """Compare two files whose bytes differ; `name` tells what they hold.

    The files themselves may be kept under the names of their digests.
    """
    compare = _READERS.get(PurePosixPath(name).suffix.lower())
    if compare is None:
        return _BYTES
    try:
        return compare(before, now, tolerance)
    # What is not what its name says is compared as bytes. Readers have errors of their own: those
    # of pyarrow are of six classes, csv.Error is no ValueError, deep JSON ends in a RecursionError.
    except Exception:  # noqa: BLE001 - a file of a step may hold anything
        return _BYTES


def _compare_parquet(before: Path, now: Path, tolerance: Tolerance) -> Finding:
    """Compare two Parquet files; ValueError (pyarrow's errors are such) where one is none."""
    return _compare_tables(before, now, tolerance, _read_parquet)


def _compare_feather(before: Path, now: Path, tolerance: Tolerance) -> Finding:
    """Compare two Feather files; ValueError where one is none."""
    return _compare_tables(before, now, tolerance, _read_feather)


def _compare_tables(
    before: Path, now: Path, tolerance: Tolerance, read: Callable[[Path], Any]
) -> Finding:
    try:
        import pyarrow  # noqa: F401  # an extra of nbci's
    except ImportError:
        return _NO_PYARROW
    one, other = read(before), read(now)
    if one.schema.names != other.schema.names:
        names = set(one.schema.names) ^ set(other.schema.names)
        return Finding(agreement="different", reason=f"other columns: {sorted(names)}")
    if one.num_rows != other.num_rows:
        return changed(f"{one.num_rows:,} rows", f"{other.num_rows:,}")

    found = IDENTICAL
    for number, name in enumerate(one.schema.names):
        compared = _compare_columns(one.column(number), other.column(number), tolerance, name)
        found = worse(found, compared)
        if found.agreement == "different":
            break
    return of_unequal_bytes(found)


def _read_parquet(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(path).read()


def _read_feather(path: Path) -> Any:
    from pyarrow import feather

    return feather.read_table(path)


def _compare_columns(one: Any, other: Any, tolerance: Tolerance, name: str) -> Finding:
    if one.type != other.type:
        return changed(one.type, other.type, f"column {name}")
    if one.equals(other):
        return IDENTICAL
    found = IDENTICAL
    # Row by row only where the columns differ, and no further than to the first that counts.
    for row, (before, now) in enumerate(zip(one.to_pylist(), other.to_pylist(), strict=True), 1):
        place = f"column {name}, row {row}"
        if isinstance(before, float) and isinstance(now, float):
            found = worse(found, tolerance.compare(before, now, place))
        elif before != now:
            found = changed(repr(before), repr(now), place)
        if found.agreement == "different":
            break
    return found


_READERS: dict[str, Callable[[Path, Path, Tolerance], Finding]] = {
    ".json": compare_json,
    ".ipynb": compare_json,
    ".jsonl": compare_json_lines,
    ".ndjson": compare_json_lines,
    ".csv": compare_csv,
    ".tsv": partial(compare_csv, delimiter="\t"),
    ".parquet": _compare_parquet,
    ".feather": _compare_feather,
}
"""How files are compared, by how their names end; others only byte by byte."""
