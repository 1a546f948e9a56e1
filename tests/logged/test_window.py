"""A request log is read back as it was written, and as it is found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbci.errors import InfrastructureError, UsageError
from nbci.logged import log_files
from nbci.logged.counting import row_keys
from nbci.logged.log_files import FILE_SUFFIX, STREAM_SUFFIX, hour_name
from nbci.logged.window import read_batches, read_window

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600.0
NOON = 1_795_953_600.0  # 2026-11-29T12:00:00Z


def rows(*times: float, first: int = 0, version: str = "v1.0.0", **columns: Any) -> pa.Table:
    """A row of a request for each time."""
    count = len(times)
    own = {
        "time": pa.array(times, pa.float64()),
        "request": [f"r{first + number}" for number in range(count)],
        "row": pa.array([0] * count, pa.int32()),
        "version": [version] * count,
    }
    given = columns or {"x": pa.array([float(number) for number in range(count)])}
    return pa.table({**own, **given, "answer.label": pa.array(range(count), pa.int64())})


def write(folder: Path, table: pa.Table, *, number: int = 0, suffix: str = FILE_SUFFIX) -> Path:
    """The table as a file of the hour of its first row."""
    hour = hour_name(table.column("time")[0].as_py())
    path = folder / "m" / f"{hour}-{os.getpid()}-{number}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == FILE_SUFFIX:
        pq.write_table(table, path)
    else:
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    return path


def read(window: Any, *columns: str) -> pa.Table:
    return pa.Table.from_batches(list(read_batches(window, columns or None)))


def test_a_window_has_the_rows_from_its_start_until_before_its_end(tmp_path: Path) -> None:
    write(tmp_path, rows(NOON, NOON + 10, NOON + 20))
    write(tmp_path, rows(NOON + HOUR, NOON + HOUR + 10, first=3, version="v1.1.0"))
    window = read_window(tmp_path, "m", start=NOON + 10, end=NOON + HOUR + 10)
    assert (window.rows, window.requests, window.doubled) == (3, 3, 0)
    assert window.versions == {"v1.0.0": 2, "v1.1.0": 1}
    assert (window.first, window.last) == (NOON + 10, NOON + HOUR)
    table = read(window)
    assert table.column("request").to_pylist() == ["r1", "r2", "r3"]
    assert table.column_names == ["time", "request", "row", "version", "x", "answer.label"]
    assert read(window, "x").column_names == ["x"]


def test_the_newest_hours_count_from_the_newest_row(tmp_path: Path) -> None:
    write(tmp_path, rows(NOON, NOON + 1800))
    write(tmp_path, rows(NOON + 2 * HOUR - 5, first=2))
    window = read_window(tmp_path, "m", newest=HOUR + 1800 - 5)
    assert read(window).column("request").to_pylist() == ["r1", "r2"]
    assert window.last == NOON + 2 * HOUR - 5


def test_files_of_other_hours_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path, rows(NOON)).write_bytes(b"no file of Parquet")
    write(tmp_path, rows(NOON + HOUR))
    window = read_window(tmp_path, "m", start=NOON + HOUR)
    assert (window.rows, window.broken) == (1, ())


def test_streams_are_read_up_to_their_last_whole_batch(tmp_path: Path) -> None:
    path = write(tmp_path, rows(NOON, NOON + 1), suffix=STREAM_SUFFIX)
    half = path.read_bytes()[:-30]
    with pa.ipc.new_stream(path, rows(NOON).schema) as writer:
        writer.write_table(rows(NOON))
        writer.write_table(rows(NOON + 1, first=1))
    whole = read_window(tmp_path, "m")
    assert (whole.rows, whole.broken) == (2, ())
    path.write_bytes(path.read_bytes()[:-40])
    window = read_window(tmp_path, "m")
    assert window.rows == 1
    (broken,) = window.broken
    assert (broken.path, broken.rows) == (path, 1)
    assert read(window).column("request").to_pylist() == ["r0"]
    path.write_bytes(half)
    assert read_window(tmp_path, "m").rows == 0
    path.write_bytes(b"")
    assert read_window(tmp_path, "m").broken == ()


def test_a_broken_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    broken = write(tmp_path, rows(NOON))
    write(tmp_path, rows(NOON + 5, first=1), number=1)
    garbage = tmp_path / "m" / f"{hour_name(NOON)}-1-7{STREAM_SUFFIX}"
    garbage.write_bytes(b"garbage" * 40)
    broken.write_bytes(broken.read_bytes()[:-20])
    other = tmp_path / "m" / f"other{FILE_SUFFIX}"
    pq.write_table(pa.table({"time": [NOON]}), other)
    window = read_window(tmp_path, "m")
    assert {file.path for file in window.broken} == {broken, garbage, other}
    assert "no column request, row, version" in window.broken[-1].why
    assert read(window).column("request").to_pylist() == ["r1"]


def test_a_file_that_is_there_in_both_forms_counts_once(tmp_path: Path) -> None:
    table = rows(NOON, NOON + 1)
    write(tmp_path, table)
    write(tmp_path, table, suffix=STREAM_SUFFIX)
    assert read_window(tmp_path, "m").rows == 2


def test_doubled_requests_are_counted(tmp_path: Path) -> None:
    write(tmp_path, rows(NOON, NOON + 1))
    write(tmp_path, rows(NOON + HOUR, NOON + HOUR + 1, first=1))
    window = read_window(tmp_path, "m")
    assert (window.requests, window.doubled) == (4, 1)


def test_the_digest_tells_the_rows_in_whatever_files(tmp_path: Path) -> None:
    write(tmp_path / "one", rows(NOON, NOON + 1, NOON + 2))
    write(tmp_path / "other", rows(NOON + 2, first=2), suffix=STREAM_SUFFIX)
    write(tmp_path / "other", rows(NOON, NOON + 1), number=1)
    write(tmp_path / "later", rows(NOON, NOON + 1, NOON + 3))
    digests = [read_window(tmp_path / name, "m").digest for name in ("one", "other", "later")]
    assert digests[0] == digests[1] != digests[2]


def test_what_is_written_meanwhile_is_not_in_the_window(tmp_path: Path) -> None:
    path = write(tmp_path, rows(NOON), suffix=STREAM_SUFFIX)
    window = read_window(tmp_path, "m")
    # The hour ends: the server makes it a Parquet file, with more rows.
    path.unlink()
    write(tmp_path, rows(NOON, NOON + 1))
    assert read(window).column("request").to_pylist() == ["r0"]
    path.with_suffix(FILE_SUFFIX).unlink()
    with pytest.raises(InfrastructureError, match="lost rows"):
        read(window)


def test_versions_with_other_columns_are_read_together(tmp_path: Path) -> None:
    write(tmp_path, rows(NOON, x=pa.array([1], pa.int64())))
    later = rows(NOON + 1, first=1, version="v2.0.0", x=pa.array([0.5]), y=pa.array(["new"]))
    write(tmp_path, later, number=1)
    table = read(read_window(tmp_path, "m"), "x", "y")
    assert table.column("x").to_pylist() == [1.0, 0.5]
    assert table.column("y").to_pylist() == [None, "new"]


def test_a_column_of_types_that_do_not_go_together_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, rows(NOON, x=pa.array(["5f"])))
    write(tmp_path, rows(NOON + 1), number=1)
    window = read_window(tmp_path, "m")
    with pytest.raises(UsageError, match="'x' of m has several types in this window"):
        read(window)
    assert read(window, "answer.label").num_rows == 2
    with pytest.raises(UsageError, match="no column 'answer'"):
        read(window, "answer")


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        read_window(tmp_path / "nowhere", "m")
    assert read_window(tmp_path, "m").rows == 0
    write(tmp_path, rows(NOON))
    with pytest.raises(UsageError) as raised:
        read_window(tmp_path, "n")
    assert raised.value.hint == "it has m"
    with pytest.raises(UsageError, match="no name of a model"):
        read_window(tmp_path / "m", "..")


def test_wide_rows_are_read_in_small_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "_BATCH_BYTES", 2**20)
    width = 5000
    values = pa.array(np.zeros(300 * width, dtype=np.float32))
    images = pa.FixedSizeListArray.from_arrays(values, width)
    write(tmp_path, rows(*[NOON] * 300, image=images))
    sizes = [batch.num_rows for batch in read_batches(read_window(tmp_path, "m"), ["image"])]
    assert sum(sizes) == 300
    assert max(sizes) <= 64


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 7200), st.sampled_from(["v1", "v2"])), max_size=20),
    st.integers(0, 7200),
    st.integers(0, 7200),
)
def test_a_window_is_what_a_filter_gives(
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[tuple[int, str]],
    start: int,
    end: int,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    for number, (time, version) in enumerate(requests):
        suffix = (FILE_SUFFIX, STREAM_SUFFIX)[number % 2]
        table = rows(NOON + time, first=number, version=version)
        write(folder, table, number=number, suffix=suffix)
    window = read_window(folder, "m", start=NOON + start, end=NOON + end)
    inside = [number for number, (time, _) in enumerate(requests) if start <= time < end]
    assert window.rows == len(inside)
    found = [
        name
        for batch in read_batches(window, ["request"] if inside else [])
        for name in batch["request"].to_pylist()
    ]
    assert sorted(found) == sorted(f"r{number}" for number in inside)


def test_keys_tell_requests_and_rows_apart() -> None:
    keys = row_keys(["a", "a", "b", None], np.array([0, 1, 0, 0]))
    assert len(set(keys.tolist())) == 4
    assert row_keys(["b"], np.array([0])).tolist() == [keys[2]]
