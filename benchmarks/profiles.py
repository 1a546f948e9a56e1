"""The profile of 3,000,000 rows of 1,000 columns, measured and compared, on two cores."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks.measure import figure, peak_memory_of, seconds_of, take_turns
from benchmarks.surroundings import of_nbci

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measure import Bench, Row

MOST_SECONDS = 180.0
MOST_BYTES = 2_000_000_000
_GROUP_ROWS = 100_000
_COMPARE = """\
import sys
from pathlib import Path
from nbci.profiles.data_files import open_table
from nbci.profiles.drift import compare
from nbci.profiles.measure import measure_files
from nbci.records.codec import from_json
from nbci.records.profile import Profile

reference = from_json(Path('reference.json').read_bytes(), Profile, 'reference.json')
window = measure_files(open_table(Path('window.parquet')), like=reference)
drifts, findings = compare(reference, window)
print(f'{window.rows} rows, {len(drifts)} columns, {len(findings)} findings')
"""
_REFERENCE = """\
from pathlib import Path
from nbci.profiles.data_files import open_table
from nbci.profiles.measure import measure_files
from nbci.records.codec import to_json

Path('reference.json').write_text(to_json(measure_files(open_table(Path('reference.parquet')))))
"""


def rows(bench: Bench) -> Iterator[Row]:
    """A window against a profile; Evidently took six hours for as much in a public report.

    https://github.com/evidentlyai/evidently/issues/1526
    """
    count = bench.pick(3_000_000, 100_000)
    columns = bench.pick(1000, 40)
    write_table(bench.folder / "window.parquet", count, columns)
    write_table(bench.folder / "reference.parquet", 200_000, columns)
    env = of_nbci(bench.folder)
    seconds_of([sys.executable, "-c", _REFERENCE], cwd=bench.folder, env=env, expect="")

    command = [sys.executable, "-c", _COMPARE]
    expect = f"{count} rows, {columns} columns"
    seconds = partial(seconds_of, command, cwd=bench.folder, env=env, expect=expect)
    seen = take_turns({"nbci": seconds}, rounds=1, warmups=0)
    work = f"{count:,} rows of {columns:,} columns measured and compared"
    yield figure(work, seen["nbci"], at_most=MOST_SECONDS)
    watched = partial(peak_memory_of, command, cwd=bench.folder, env=env, expect=expect)
    memory = take_turns({"nbci": watched}, rounds=1, warmups=0)
    yield figure("the same, memory", memory["nbci"], at_most=MOST_BYTES, unit="bytes")


def write_table(path: Path, count: int, columns: int) -> None:
    """A Parquet file of random numbers, one in five a whole number, in groups of rows."""
    names = [f"column{number}" for number in range(columns)]
    rng = np.random.default_rng(count)
    schema = pa.schema([(name, pa.float32()) for name in names])
    with parquet.ParquetWriter(path, schema, use_dictionary=False, compression="lz4") as writer:
        for start in range(0, count, _GROUP_ROWS):
            size = min(_GROUP_ROWS, count - start)
            arrays = []
            for number in range(columns):
                values = rng.standard_normal(size, dtype=np.float32)
                if number % 5 == 0:
                    values = np.floor(values * 10)
                arrays.append(pa.array(values))
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
