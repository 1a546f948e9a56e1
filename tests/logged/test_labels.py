"""Labels that come later are joined by request and row; none is lost, none is mixed up."""

from __future__ import annotations

import json
import multiprocessing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nbci.errors import IntegrityError, UsageError
from nbci.logged.add_labels import AddedLabels, LabelColumns, add_labels
from nbci.logged.labels import count_labelled, join_labels, label_files, labels_folder, read_labels
from nbci.logged.window import read_window
from tests.logged.test_window import HOUR, NOON, rows, write
from tests.support.console import Console

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Five requests in two hours, the last of which has two rows."""
    folder = tmp_path / "log"
    write(folder, rows(NOON, NOON + 1, NOON + 2))
    later = rows(NOON + HOUR, NOON + HOUR + 1, NOON + HOUR + 1, first=3, version="v2.0.0")
    later = later.set_column(1, "request", pa.array(["r3", "r4", "r4"]))
    write(folder, later.set_column(2, "row", pa.array([0, 0, 1], pa.int32())))
    return folder


def add(log: Path, text: str, name: str = "labels.csv", **columns: str) -> AddedLabels:
    file = log.parent / name
    file.write_text(text, encoding="utf-8")
    return add_labels(log, "m", file, LabelColumns(**columns), NOON)


def joined(log: Path) -> list[Any]:
    window = read_window(log, "m")
    batches = join_labels(window, read_labels(log, "m"), ["request", "row"])
    return [line["label"] for batch in batches for line in batch.to_pylist()]


def test_labels_are_joined_by_request_and_row(log: Path) -> None:
    added = add(log, "request,row,label\nr1,0,cat\nr4,1,dog\nr4,0,cow\n")
    assert (added.lines, added.new, added.unknown) == (3, 3, 0)
    assert joined(log) == [None, "cat", None, None, "cow", "dog"]
    found = count_labelled(read_window(log, "m"), read_labels(log, "m"))
    assert (found.rows, found.labelled) == (6, 3)
    assert found.by_version == {"v1.0.0": (1, 3), "v2.0.0": (2, 3)}
    assert found.by_hour == {"2026-11-29T12": (1, 3), "2026-11-29T13": (2, 3)}


def test_the_newest_label_of_a_row_counts(log: Path) -> None:
    add(log, "request,label\nr0,1\nr1,2\nr2,3\n")
    added = add(log, "request,label\nr0,1\nr1,5\nr1,7\nr3,4\n")
    assert (added.new, added.corrected, added.same, added.doubled) == (1, 1, 1, 1)
    assert added.examples["corrected"] == ("'r1': 2 → 7",)
    assert joined(log) == [1, 7, 3, 4, None, None]
    # What was there is there still.
    assert [pq.read_table(path).num_rows for path in label_files(log, "m")] == [3, 2]
    assert add(log, "request,label\nr1,7\n").path is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "id,truth\nr1,0.5\n"),
        ("l.tsv", "id\ttruth\nr1\t0.5\n"),
        ("l.jsonl", '{"id": "r1", "truth": 0.5}\n'),
    ],
)
def test_columns_are_named(log: Path, name: str, text: str) -> None:
    assert add(log, text, name, label="truth").new == 1
    assert joined(log)[1] == 0.5


def test_parquet_is_read_with_its_types(log: Path) -> None:
    file = log.parent / "labels.parquet"
    table = pa.table({"request": ["r0", "r1"], "label": pa.array(["a", "b"]).dictionary_encode()})
    pq.write_table(table, file)
    assert add_labels(log, "m", file, LabelColumns(), NOON).new == 2
    assert joined(log)[:2] == ["a", "b"]


def test_ids_that_look_like_numbers_are_ids(tmp_path: Path) -> None:
    table = rows(NOON).set_column(1, "request", pa.array(["007"]))
    write(tmp_path / "log", table)
    assert add(tmp_path / "log", "request,label\n007,x\n").new == 1


def test_lines_of_no_request_are_counted_and_named(log: Path) -> None:
    added = add(log, "request,label\nr0,1\nx1,1\nr4,1\n,1\nr2,\nr1,nan\n")
    assert (added.new, added.unknown, added.unclear, added.empty) == (1, 1, 1, 3)
    assert added.examples["unknown"] == ("'x1'",)
    assert added.examples["unclear"] == ("'r4'",)
    assert joined(log) == [1, None, None, None, None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request,label\nx1,1\n", r"the log of m has none of these requests: 'x1'"),
        ("request,label\nr4,1\n", r"requests such as 'r4' have several rows"),
        ("request,label\nr0,\n", r"none of 1 lines has a label"),
        ("requests,label\nr0,1\n", r"there is no column request or id"),
        ("request,truth\nr0,1\n", r"there is no column label"),
        ("request,row,label\nr0,first,1\n", r"ids, rows or labels are no such"),
        ("", r"the labels cannot be read"),
        ("request,label\nr0,1,2\n", r"the labels cannot be read"),
    ],
)
def test_a_file_without_labels_is_refused(log: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        add(log, text)
    assert not label_files(log, "m")


def test_texts_do_not_stand_beside_numbers(log: Path) -> None:
    add(log, "request,label\nr0,1\n")
    with pytest.raises(UsageError, match="the labels are string, those that are there int64"):
        add(log, "request,label\nr1,one\n")
    assert add(log, "request,label\nr1,0.5\n").new == 1
    assert joined(log)[:2] == [1.0, 0.5]


def test_labels_that_are_broken_are_no_labels(log: Path) -> None:
    add(log, "request,label\nr0,1\n")
    # Another process took this number, and died before it wrote.
    (labels_folder(log, "m") / "000002.parquet").touch()
    assert add(log, "request,label\nr1,1\n").new == 1
    assert joined(log)[:2] == [1, 1]
    (labels_folder(log, "m") / "000003.parquet").write_bytes(b"garbage")
    with pytest.raises(IntegrityError, match="these labels cannot be read"):
        read_labels(log, "m")


def _add_one(log: Path, number: int) -> None:
    add(log, f"request,label\nr{number},{number}\n", f"{number}.csv")


def test_two_at_once_both_count(log: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add_one, args=(log, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert joined(log)[:4] == [0, 1, 2, 3]


def test_the_command_adds_and_counts(log: Path) -> None:
    console = Console(log.parent)
    (log.parent / "l.csv").write_text("request,row,label\nr0,0,1\nr4,1,2\nx9,0,3\n")
    done = console("labels", "add", "l.csv", "--log", "log")
    assert done.returncode == 0
    assert done.stdout == "2 labels added to the log of m\n"
    assert "1 of 3 lines are of no request in the log, and were left out: 'x9'" in done.stderr
    shown = console("labels", "show", "--log", "log")
    assert shown.stdout.splitlines()[0] == "m: 2 of 6 rows with a label"
    assert "v2.0.0          1     3    33%" in shown.stdout
    window = console("labels", "show", "--log", "log", "--window", "30m", "--json")
    document = json.loads(window.stdout)
    assert (document["rows"], document["labelled"]) == (3, 1)
    assert console("labels", "show", "--log", "log", "--model", "n").returncode == 2
