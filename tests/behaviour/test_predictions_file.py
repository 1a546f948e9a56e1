"""Reading files of predictions, and refusing what cannot be compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from nbci.behaviour import predictions_file
from nbci.behaviour.predictions_file import read_predictions
from nbci.errors import StepError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.behaviour.predictions import Predictions
    from tests.behaviour.tables import Columns

_CASES = {
    "id": [11, 12, 13],
    "label": ["cat", "dog", "cat"],
    "prediction": ["cat", "cat", "dog"],
    "score": [0.9, 0.6, 0.8],
    "country": ["de", "fr", "de"],
}


def _write(path: Path, columns: Columns) -> Path:
    table = pa.table(columns)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        path.write_text("".join(f"{line}\n" for line in _json_lines(table)), encoding="utf-8")
    return path


def _json_lines(table: pa.Table) -> list[str]:
    return [json.dumps(row) for row in table.to_pylist()]


def _read(tmp_path: Path, columns: Columns) -> Predictions:
    return read_predictions(_write(tmp_path / "cases.parquet", columns), "cases.parquet")


@pytest.mark.parametrize("name", ["cases.parquet", "cases.csv", "cases.jsonl"])
def test_each_format_gives_the_same_predictions(tmp_path: Path, name: str) -> None:
    found = read_predictions(_write(tmp_path / name, _CASES), name)

    assert found.task == "classification"
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [0, 1, 0]
    assert found.predictions.tolist() == [0, 0, 1]
    assert found.confidence is not None
    assert found.confidence.tolist() == [0.9, 0.6, 0.8]
    assert found.ids.to_pylist() == ["11", "12", "13"]
    assert list(found.slices) == ["country"]


def test_floats_are_a_regression(tmp_path: Path) -> None:
    found = _read(tmp_path, {"label": [1.0, 2.0], "prediction": [1.5, 2.0]})

    assert found.task == "regression"
    assert found.labels.tolist() == [1.0, 2.0]
    assert found.predictions.tolist() == [1.5, 2.0]


def test_few_whole_numbers_are_classes_in_the_order_of_numbers(tmp_path: Path) -> None:
    found = _read(tmp_path, {"label": [10, 9, 2], "prediction": [10, 2, 2]})

    assert found.classes == ("2", "9", "10")
    assert found.labels.tolist() == [2, 1, 0]


def test_many_whole_numbers_are_a_regression(tmp_path: Path) -> None:
    counts = np.arange(2000)

    assert _read(tmp_path, {"label": counts, "prediction": counts}).task == "regression"


def test_confidence_is_the_score_of_the_predicted_class(tmp_path: Path) -> None:
    columns = {
        "label": ["a", "b"],
        "prediction": ["b", "b"],
        "score_a": [0.3, 0.2],
        "score_b": [0.7, 0.8],
    }

    found = _read(tmp_path, columns)

    assert found.confidence is not None
    assert found.confidence.tolist() == [0.7, 0.8]
    assert not found.slices


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [1]}, "has no column 'prediction'"),
        ({"label": pa.array([], pa.string()), "prediction": pa.array([], pa.string())}, "no rows"),
        ({"label": ["a", None], "prediction": ["a", "a"]}, "has no label in row 2"),
        ({"label": [0.5, 1.0], "prediction": [float("nan"), 1.0]}, "has no prediction in row 1"),
        ({"label": [0.5], "prediction": [float("inf")]}, "has an infinite prediction in row 1"),
        ({"label": ["a"], "prediction": [0.5]}, "has no numbers in the column 'label'"),
        (
            {"id": [7, 7, 8], "label": ["a"] * 3, "prediction": ["a"] * 3},
            "has the id '7' in row 1 and 2",
        ),
        ({"label": ["a"], "prediction": ["a"], "weight": [-1.0]}, "has weights that are negative"),
        (
            {"label": ["a"], "prediction": ["b"], "score_a": [0.5]},
            "predicts b, but has no column 'score_b'",
        ),
        ({"label": ["a"], "prediction": ["a"], "score": ["high"]}, "has no numbers in the column"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path: Path, columns: Columns, message: str) -> None:
    with pytest.raises(StepError, match=r"cases\.parquet") as caught:
        _read(tmp_path, columns)

    assert message in caught.value.message


def test_columns_of_lists_are_no_slices_and_said_so(tmp_path: Path) -> None:
    found = _read(tmp_path, {"label": ["a"], "prediction": ["a"], "pixels": [[1, 2]]})

    assert not found.slices
    assert "pixels" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cases.txt", b"", "a file of this name is not read"),
        ("cases.parquet", b"no parquet", "cannot be read"),
        ("cases.csv", b"label,prediction\na,b,c\n", "cannot be read"),
        ("cases.csv", b"", "cannot be read"),
        ("cases.jsonl", b"{", "cannot be read"),
    ],
)
def test_files_that_are_no_tables_are_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(StepError, match=message):
        read_predictions(tmp_path / name, name)


def test_a_file_that_was_not_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="has not written the file"):
        read_predictions(tmp_path / "cases.csv", "cases.csv")


def test_libraries_that_are_not_installed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions_file, "LIBRARIES", ("numpy", "no_such_library"))

    with pytest.raises(UsageError, match="predictions need no_such_library") as caught:
        read_predictions(tmp_path / "cases.csv", "cases.csv")

    assert caught.value.hint == "pip install 'nbci[behaviour]'"
