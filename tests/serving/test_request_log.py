"""Requests are written down beside the answers, whatever happens to the process or the disk."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nbci.logged.log_files import FILE_SUFFIX, STREAM_SUFFIX, make_parquet, read_file
from nbci.serving.request_log import DISK, LogSettings, LogWriter, Noted, RequestLog

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 29, 12, 30, tzinfo=UTC).timestamp()
KEY = b"key"


def noted(number: int, rows: int = 1, seconds: float = NOW, **inputs: Any) -> Noted:
    return Noted(
        seconds,
        0.25,
        f"r{number}",
        "m",
        "v1",
        inputs or {"X": np.full((rows, 3), number, dtype=np.float32)},
        {"label": np.full(rows, number)},
    )


def log_of(folder: Path, *requests: Noted, **settings: Any) -> RequestLog:
    """A log that has ended, with these requests."""
    log = RequestLog(LogSettings(folder=str(folder), **settings), KEY, lambda *_, **__: None)
    for each in requests:
        log.note(each)
    log.close()
    return log


def read(folder: Path) -> Any:
    (path,) = folder.rglob(f"*{FILE_SUFFIX}")
    return pq.read_table(path)


def test_a_row_has_its_request_its_inputs_and_its_answer(tmp_path: Path) -> None:
    log_of(tmp_path, noted(1, rows=2), noted(2))
    table = read(tmp_path)
    assert table.column("request").to_pylist() == ["r1", "r1", "r2"]
    assert table.column("row").to_pylist() == [0, 1, 0]
    assert table.column("version").to_pylist() == ["v1"] * 3
    assert table.column("seconds").to_pylist() == [0.25] * 3
    assert table.column("X").to_pylist() == [[1.0] * 3, [1.0] * 3, [2.0] * 3]
    assert table.column("answer.label").to_pylist() == [1, 1, 2]
    assert not [*tmp_path.rglob(f"*{STREAM_SUFFIX}")]


def test_an_hour_is_a_file(tmp_path: Path) -> None:
    log_of(tmp_path, noted(1), noted(2, seconds=NOW + 3600))
    names = sorted(path.name[:13] for path in tmp_path.rglob(f"*{FILE_SUFFIX}"))
    assert names == ["2026-11-29T12", "2026-11-29T13"]


def test_values_are_left_out_or_hashed_by_name(tmp_path: Path) -> None:
    names = np.array([["anna"], ["bert"], ["anna"]], dtype=object)
    secret = np.array([[1], [2], [3]])
    log_of(
        tmp_path,
        noted(1, rows=3, name=names, salary=secret),
        hashed=("name",),
        left_out=("salary",),
    )
    table = read(tmp_path)
    assert "salary" not in table.column_names
    hashes = table.column("name").to_pylist()
    assert hashes[0] == hashes[2] != hashes[1]
    assert all(len(each) == 32 for each in hashes)


def test_a_share_of_the_requests_is_chosen_by_their_ids(tmp_path: Path) -> None:
    log_of(tmp_path, *(noted(number) for number in range(1000)), share=0.2)
    found = read(tmp_path).column("request").to_pylist()
    assert 150 < len(found) < 250
    log_of(tmp_path / "again", *(noted(number) for number in range(1000)), share=0.2)
    assert read(tmp_path / "again").column("request").to_pylist() == found


@pytest.mark.parametrize("cut", [1, 100, 300])
def test_what_a_killed_process_left_can_be_read(tmp_path: Path, cut: int) -> None:
    log = RequestLog(LogSettings(folder=str(tmp_path)), KEY, lambda *_, **__: None)
    log.note(noted(1, seconds=time.time()))
    deadline = time.monotonic() + 20
    while not [path for path in tmp_path.rglob(f"*{STREAM_SUFFIX}") if path.stat().st_size > 500]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (stream,) = tmp_path.rglob(f"*{STREAM_SUFFIX}")
    whole = stream.read_bytes()
    killed = tmp_path / f"killed{STREAM_SUFFIX}"
    killed.write_bytes(whole + whole[:cut])
    assert pq.read_table(make_parquet(killed)).column("request").to_pylist() == ["r1"]
    log.close()


def test_where_nothing_can_be_written_requests_are_dropped_and_counted(tmp_path: Path) -> None:
    blocked = tmp_path / "log"
    blocked.write_text("no folder")
    told: list[str] = []
    log = RequestLog(LogSettings(folder=str(blocked)), KEY, lambda event, **_: told.append(event))
    for number in range(5):
        log.note(noted(number))
    log.close()
    assert log.dropped == 5
    assert told == ["request log failing"]


def test_the_oldest_files_go_beyond_the_bound(tmp_path: Path) -> None:
    for hour in range(4):
        log_of(tmp_path, noted(hour, seconds=NOW + 3600 * hour), total_bytes=4000)
    size = sum(path.stat().st_size for path in tmp_path.rglob(f"*{FILE_SUFFIX}"))
    assert size <= 4000
    names = sorted(path.name[:13] for path in tmp_path.rglob(f"*{FILE_SUFFIX}"))
    assert names[-1] == "2026-11-29T15"
    assert len(names) < 4


def test_versions_with_other_columns_have_other_files(tmp_path: Path) -> None:
    wide = noted(2, X=np.ones((1, 5), dtype=np.float32))
    log_of(tmp_path, noted(1), wide, noted(3))
    tables = [pq.read_table(path) for path in tmp_path.rglob(f"*{FILE_SUFFIX}")]
    rows = sorted(name for table in tables for name in table.column("request").to_pylist())
    assert rows == ["r1", "r2", "r3"]


def test_an_input_may_be_called_as_a_column_of_the_log_is(tmp_path: Path) -> None:
    log_of(tmp_path, noted(1, time=np.array([[5.0]]), label=np.array([[6.0]])))
    table = read(tmp_path)
    assert table.column("time").to_pylist() == [NOW]
    assert table.column("input.time").to_pylist() == [5.0]
    assert table.column("input.label").to_pylist() == [6.0]


def test_seconds_become_one_group_of_rows(tmp_path: Path) -> None:
    stream = tmp_path / f"hour{STREAM_SUFFIX}"
    batch = pa.record_batch({"request": ["r1", "r2"]})
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        for _ in range(5):
            writer.write_batch(batch)
    file = pq.ParquetFile(make_parquet(stream))
    assert (file.num_row_groups, file.metadata.num_rows) == (1, 10)


def test_labels_beside_the_log_are_never_removed(tmp_path: Path) -> None:
    labels = tmp_path / "m" / "labels" / f"000001{FILE_SUFFIX}"
    labels.parent.mkdir(parents=True)
    labels.write_bytes(b"x" * 100_000)
    log_of(tmp_path, noted(1), total_bytes=1)
    assert labels.exists()
    assert len([*tmp_path.rglob(f"*{FILE_SUFFIX}")]) == 1


def test_a_clock_set_back_and_forth_makes_no_further_files(tmp_path: Path) -> None:
    clock = [NOW]
    settings = LogSettings(folder=str(tmp_path))
    writer = LogWriter(settings, KEY, lambda *_, **__: None, now=lambda: clock[0])
    for number in range(6):
        clock[0] = NOW - 3600 * (number % 2)
        # One was noted before the clock was set, one behind it.
        writer.write([noted(number, seconds=NOW), noted(100 + number, seconds=clock[0])])
    writer.end()
    paths = [*tmp_path.rglob(f"*{FILE_SUFFIX}")]
    assert len(paths) <= 4
    found = [name for path in paths for name in pq.read_table(path).column("request").to_pylist()]
    assert sorted(found) == sorted(f"r{n}" for n in [*range(6), *range(100, 106)])


def test_an_hour_in_which_nothing_is_asked_any_more_ends(tmp_path: Path) -> None:
    clock = [NOW]
    settings = LogSettings(folder=str(tmp_path))
    writer = LogWriter(settings, KEY, lambda *_, **__: None, now=lambda: clock[0])
    writer.write([noted(1)])
    writer.write([])
    assert not [*tmp_path.rglob(f"*{FILE_SUFFIX}")]
    clock[0] += 3600
    writer.write([])
    assert read(tmp_path).column("request").to_pylist() == ["r1"]


def test_what_is_no_column_is_dropped_and_the_log_goes_on(tmp_path: Path) -> None:
    counted: list[tuple[str, int]] = []
    bad = noted(1, X=np.array([["text"], [object()]], dtype=object))
    settings = LogSettings(folder=str(tmp_path))
    log = RequestLog(settings, KEY, lambda *_, **__: None, lambda *each: counted.append(each))
    log.note(bad)
    log.note(noted(2))
    log.close()
    assert counted == [("unwritable", 1)]
    assert read(tmp_path).column("request").to_pylist() == ["r2"]


_FULL_DISK = """\
import resource, signal, sys
import numpy as np
from nbci.serving.request_log import LogSettings, LogWriter, Noted
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told, counted = [], []
tell = lambda event, **_: told.append(event)
writer = LogWriter(LogSettings(folder=sys.argv[1]), b"k", tell, lambda *each: counted.append(each))
def write(number, rows):
    x = np.ones((rows, 8))
    writer.write([Noted(%r, 0.1, f"r{number}", "m", "v1", {"X": x}, {"y": np.ones(rows)})])
write(0, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
for number in range(1, 4):
    write(number, 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write(4, 1)
writer.end()
print(told, counted)
"""


@pytest.mark.slow
def test_a_full_disk_is_told_once_and_what_it_took_is_counted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FULL_DISK % time.time(), str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = ["request log failing", "request log works again"]
    assert printed == f"{told} {[(DISK, 1)] * 3}\n"
    found = []
    for path in tmp_path.rglob("*.*"):
        assert path.suffix in (FILE_SUFFIX, STREAM_SUFFIX)
        for batch in read_file(path):
            found += batch.column("request").to_pylist()
    # No stubs: one file of before, one of afterwards.
    assert found.count("r0") == found.count("r4") == 1
    assert len([*tmp_path.rglob("*.*")]) == 2
