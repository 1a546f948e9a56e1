"""Compare files that two runs wrote at one place: by what they hold, where nbci can read them."""

from __future__ import annotations

from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from nbci.proofs.arrow_tables import compare_feather, compare_parquet
from nbci.proofs.documents import compare_csv, compare_json, compare_json_lines
from nbci.proofs.tolerance import Finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.proofs.tolerance import Tolerance

_READERS: dict[str, Callable[[Path, Path, Tolerance], Finding]] = {
    ".json": compare_json,
    ".ipynb": compare_json,
    ".jsonl": compare_json_lines,
    ".ndjson": compare_json_lines,
    ".csv": compare_csv,
    ".tsv": partial(compare_csv, delimiter="\t"),
    ".parquet": compare_parquet,
    ".feather": compare_feather,
}
"""How files are compared, by how their names end; others only byte by byte."""
_BYTES = Finding(agreement="different", reason="its bytes differ")


def compare_files(name: str, before: Path, now: Path, tolerance: Tolerance) -> Finding:
    """Compare two files whose bytes differ; `name` tells what they hold.

    The files themselves may be kept under the names of their digests.
    """
    compare = _READERS.get(PurePosixPath(name).suffix.lower())
    if compare is None:
        return _BYTES
    try:
        return compare(before, now, tolerance)
    # What is not what its name says is compared as bytes. Deep JSON ends in a RecursionError.
    except (ValueError, OSError, RecursionError):
        return _BYTES
