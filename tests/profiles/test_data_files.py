"""Files of every kind are the same rows; what is none of them is named, with its line."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import csv, feather, parquet

from nbci.errors import UsageError
from nbci.profiles.data_files import open_table
from nbci.profiles.domain import domain_classifier, sample_features
from nbci.profiles.drift import compare
from nbci.profiles.measure import measure_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.records.profile import Profile

ROWS = 300
MOMENT = datetime.datetime(2024, 1, 1, 5, tzinfo=datetime.UTC)
TABLE = pa.table(
    {
        "number": np.linspace(-1, 1, ROWS),
        "whole": pa.array([None, *range(ROWS - 1)], pa.int64()),
        "flag": [True, False, None] * 100,
        "colour": ["red", "blue, or so", "green"] * 100,
        "moment": pa.array([MOMENT] * ROWS, pa.timestamp("us")),
    }
)


def write_json(table: pa.Table, path: Path) -> None:
    lines = []
    for row in table.to_pylist():
        row["moment"] = row["moment"].isoformat()
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines) + "\n\n")


def write_tsv(table: pa.Table, path: Path) -> None:
    csv.write_csv(table, path, csv.WriteOptions(delimiter="\t"))


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)


WRITE: dict[str, Callable[[pa.Table, Path], None]] = {
    "t.csv": csv.write_csv,
    "t.tsv": write_tsv,
    "t.jsonl": write_json,
    "t.parquet": parquet.write_table,
    "t.arrow": feather.write_feather,
    "t.arrows": write_stream,
}


def profile(path: Path, like: Profile | None = None) -> Profile:
    return measure_table(open_table(path, like=like).batches(), like=like)


class TestTables:
    @pytest.mark.parametrize("name", WRITE)
    def test_each_kind_of_file_is_the_same_data(self, name: str, tmp_path: Path) -> None:
        expected = measure_table(TABLE.to_batches())
        WRITE[name](TABLE, tmp_path / name)
        assert profile(tmp_path / name, like=expected) == measure_table(
            TABLE.to_batches(), like=expected
        )
        if name != "t.jsonl":
            assert profile(tmp_path / name) == expected

    def test_a_folder_is_all_of_its_tables(self, tmp_path: Path) -> None:
        (tmp_path / "inner").mkdir()
        (tmp_path / ".hidden.csv").write_text("x\n1\n")
        (tmp_path / "README.md").write_text("no table")
        (tmp_path / "a.csv").write_text("x\n1\n")
        (tmp_path / "inner" / "b.CSV").write_text("x,y\n2,3\n")
        found = profile(tmp_path)
        assert found.rows == 2
        assert [(column.name, column.missing) for column in found.columns] == [("x", 0), ("y", 1)]

    def test_parquet_is_read_by_columns(self, tmp_path: Path) -> None:
        parquet.write_table(TABLE, tmp_path / "a.parquet")
        table = open_table(tmp_path)
        assert table.column_names() == TABLE.column_names
        (batch,) = table.batches(["whole", "gone"])
        assert batch.schema.names == ["whole"]

    def test_the_end_of_a_stream_may_be_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "log.arrows"
        with pa.ipc.new_stream(path, TABLE.schema) as writer:
            writer.write_table(TABLE)
            writer.write_table(TABLE)
        path.write_bytes(path.read_bytes()[:-4000])
        assert profile(path).rows == ROWS
        path.write_bytes(b"")
        table = open_table(path)
        assert list(table.batches()) == []
        assert table.problems == [f"{path} holds no rows yet"]

    def test_codes_stay_texts_where_the_reference_has_texts(self, tmp_path: Path) -> None:
        path = tmp_path / "t.csv"
        path.write_text("zip,id\n00501,1\n00544,2\n")
        like = measure_table(pa.table({"zip": ["00501"], "id": [1]}).to_batches())
        found = profile(path, like=like).column("zip")
        assert found is not None
        assert found.counts == {"00501": 1, "00544": 1}

    def test_one_odd_value_makes_no_table_unreadable(self, tmp_path: Path) -> None:
        like = measure_table(pa.table({"x": [1.0]}).to_batches())
        for name, text in (("t.csv", "x\n1\nn/a\n"), ("t.jsonl", '{"x": 1}\n{"x": "n/a"}\n')):
            (tmp_path / name).write_text(text)
            column = profile(tmp_path / name, like=like).columns[0]
            assert (column.kind, column.unlike, column.low) == ("number", 1, 1.0)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("t.csv", "a,b\n1,2\n1,2,3\n", "t.csv, line 3: a row has 3 values, the header 2"),
            ("t.csv", "a,a\n1,2\n", "several columns 'a'"),
            ("t.csv", b"a\n\xff\xfe\n", "t.csv: the table cannot be read: .*UTF8"),
            ("t.jsonl", '{"a": 1}\n[1]\n', "t.jsonl, line 2: the line is no JSON object"),
            ("t.jsonl", '{"a": 1}\n{"a"\n', "t.jsonl, line 2: the line is no JSON object"),
            ("t.parquet", "PAR1", "t.parquet: the table cannot be read"),
            ("t.xlsx", "", "t.xlsx is no table and no image that can be read"),
        ],
    )
    def test_what_is_no_table_is_named(
        self, name: str, content: str | bytes, message: str, tmp_path: Path
    ) -> None:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(UsageError, match=message):
            profile(path)

    def test_nothing_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="is not there"):
            open_table(tmp_path / "gone.csv")
        with pytest.raises(UsageError, match="holds no table and no image, but nothing"):
            open_table(tmp_path)

    @pytest.mark.parametrize("text", ["", "a,b\n"])
    def test_a_file_without_rows_is_a_table_of_none(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text(text)
        assert profile(tmp_path / "t.csv").rows == 0


def paint(path: Path, light: float, seed: int, size: tuple[int, int] = (40, 30)) -> None:
    rng = np.random.default_rng(seed)
    pixels = np.clip(rng.normal(light, 30, (size[1], size[0], 3)), 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


class TestImages:
    @pytest.fixture(scope="class")
    @staticmethod
    def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
        folder = tmp_path_factory.mktemp("day")
        for number in range(40):
            paint(folder / f"{number}.png", 150, number)
        return folder

    def test_they_are_measured(self, day: Path) -> None:
        found = profile(day)
        width, aspect, brightness = (
            found.column(f"image.{name}") for name in ("width", "aspect", "brightness")
        )
        assert width is not None
        assert aspect is not None
        assert brightness is not None
        assert (found.rows, width.low, aspect.mean) == (40, 40, 4 / 3)
        assert brightness.mean == pytest.approx(150 / 255, abs=0.02)
        assert found.columns[0].kind == "image"
        vector = found.column("image.embedding")
        assert vector is not None
        assert vector.width == 88

    def test_dusk_is_drift(self, day: Path, tmp_path: Path) -> None:
        for number in range(40):
            paint(tmp_path / f"{number}.jpg", 90, 1000 + number)
        reference = profile(day)
        drifts, _ = compare(reference, profile(tmp_path, like=reference))
        effects = {drift.column: drift.effect or 0.0 for drift in drifts}
        assert effects["image.brightness"] > 1
        assert effects["image.embedding"] > 1
        assert effects["image.width"] == 0

    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
    def test_every_mode_of_colours_is_read(self, mode: str, tmp_path: Path) -> None:
        suffix = "jpg" if mode == "CMYK" else "png"
        Image.new(mode, (3, 1)).save(tmp_path / f"a.{suffix}")
        assert profile(tmp_path).columns[0].missing == 0

    def test_broken_files_are_missing_and_named(self, tmp_path: Path) -> None:
        paint(tmp_path / "good.png", 100, 1)
        whole = (tmp_path / "good.png").read_bytes()
        (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "text.jpg").write_text("no image")
        table = open_table(tmp_path)
        found = measure_table(table.batches())
        assert [column.missing for column in found.columns] == [2] * len(found.columns)
        named = [problem.partition(":")[0] for problem in table.problems]
        assert named == [
            f"{name} is no image that can be read" for name in ("half.png", "text.jpg")
        ]

    def test_tables_among_images_are_refused(self, tmp_path: Path) -> None:
        paint(tmp_path / "a.png", 100, 1)
        (tmp_path / "labels.csv").write_text("a\n1\n")
        with pytest.raises(UsageError, match="holds tables and images"):
            open_table(tmp_path)


class TestDomainClassifier:
    RNG = np.random.default_rng(5)

    def features(self, rows: int, shift: float = 0.0) -> Any:
        return self.RNG.normal(shift, size=(rows, 20))

    def test_the_same_distribution_is_not_told_apart(self) -> None:
        area = domain_classifier(self.features(500), self.features(300))
        assert area is not None
        assert area < 0.58

    def test_other_rows_are(self) -> None:
        area = domain_classifier(self.features(500), self.features(300, 0.5))
        assert area is not None
        assert area > 0.9

    def test_it_is_that_of_another_library(self) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import cross_val_score

        before, now = self.features(400), self.features(400, 0.1)
        rows = np.concatenate([before, now])
        rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        labels = np.repeat([0, 1], 400)
        scores = cross_val_score(LogisticRegression(), rows, labels, cv=5, scoring="roc_auc")
        assert domain_classifier(before, now) == pytest.approx(scores.mean(), abs=0.03)

    def test_few_rows_tell_nothing(self) -> None:
        assert domain_classifier(self.features(19), self.features(300)) is None

    def test_missing_values_and_constants_may_tell(self) -> None:
        before, now = self.features(200), self.features(200)
        before[:, 0] = now[:, 0] = 7.0
        before[:100, 1] = np.nan
        area = domain_classifier(before, now)
        assert area is not None
        assert area > 0.7

    def test_a_sample_is_of_all_rows(self) -> None:
        table = pa.table(
            {
                "x": np.arange(10_000.0),
                "c": ["a", "b"] * 5000,
                "v": np.ones((10_000, 3)).tolist(),
                "name": [f"n{number}" for number in range(10_000)],
            }
        )
        like = measure_table(table.to_batches())
        batches = table.to_batches(777)
        sample = sample_features(batches, like, most=500)
        assert sample.shape == (500, 1 + 2 + 3 + 1)
        assert sample[:, 0].mean() == pytest.approx(5000, rel=0.1)
        assert len(set(sample[:, 0])) == 500
        again = sample_features(batches, like, most=500)
        assert np.array_equal(again, sample, equal_nan=True)
        assert len(sample_features(batches[:1], like)) == 777
