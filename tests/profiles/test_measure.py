"""Profiles of tables: what is measured of columns of every type, in batches of any size."""

from __future__ import annotations

import datetime
import decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from nbci.errors import UsageError
from nbci.profiles.column_measures import MOST_COUNTED, ValueCounts
from nbci.profiles.data_files import open_table
from nbci.profiles.measure import measure_files, measure_table
from nbci.profiles.quantile_sketch import CAPACITY, QuantileSketch, rank_error
from nbci.records.profile import ColumnProfile, Profile

if TYPE_CHECKING:
    from pathlib import Path

GRID = np.linspace(0, 1, 101)


def measured(values: Any, *, like: Profile | None = None, batch: int = 1000) -> ColumnProfile:
    """The profile of a single column `x`."""
    table = pa.table({"x": values})
    return measure_table(table.to_batches(batch), like=like).columns[0]


def largest_error(sketch: QuantileSketch, values: Any) -> float:
    """How far the shares below the sketch's quantiles are off."""
    ranks = np.searchsorted(np.sort(values), sketch.quantiles(GRID)) / len(values)
    return float(np.abs(ranks - GRID).max())


class TestQuantileSketch:
    @given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300), st.integers(1, 50))
    @settings(deadline=None, max_examples=60)
    def test_is_exact_for_few_numbers(self, numbers: list[float], size: int) -> None:
        values = np.array(numbers)
        sketch = QuantileSketch()
        for start in range(0, len(values), size):
            sketch.add(values[start : start + size])
        found = sketch.quantiles(GRID)
        assert np.allclose(found, np.quantile(values, GRID), rtol=1e-9, atol=1e-6)

    @pytest.mark.parametrize("order", ["random", "sorted", "falling"])
    def test_keeps_to_its_error_however_the_numbers_come(self, order: str) -> None:
        values = np.random.default_rng(1).lognormal(size=300_000)
        if order != "random":
            values.sort()
        if order == "falling":
            values = values[::-1].copy()
        sketch, parts = QuantileSketch(), [QuantileSketch(), QuantileSketch()]
        for number, start in enumerate(range(0, len(values), 7001)):
            batch = values[start : start + 7001]
            sketch.add(batch)
            parts[number % 2].add(batch)
        parts[0].merge(parts[1])

        assert largest_error(sketch, values) < rank_error(len(values))
        assert largest_error(parts[0], values) < rank_error(len(values))

    def test_keeps_few_of_many(self) -> None:
        sketch = QuantileSketch()
        for _ in range(50):
            sketch.add(np.random.default_rng(2).normal(size=20_000))
        kept = sum(len(sample) for sample in sketch._levels.values()) + sketch._low_count
        assert kept <= 10 * CAPACITY


class TestNumbers:
    @given(
        st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32) | st.none(), min_size=1),
        st.integers(1, 7),
    )
    @settings(deadline=None, max_examples=60)
    def test_parts_are_the_whole(self, numbers: list[float | None], size: int) -> None:
        values = pa.array(numbers, pa.float64())
        column = measured(values, batch=size)
        there = [value for value in numbers if value is not None and np.isfinite(value)]
        assert column.rows == len(numbers)
        assert column.missing == len(numbers) - len(there)
        assert column.infinite == sum(value is not None and np.isinf(value) for value in numbers)
        if there and column.kind == "number":
            scale = max(map(abs, there))
            assert (column.low, column.high) == (min(there), max(there))
            assert column.mean == pytest.approx(np.mean(there), abs=1e-9 * scale)
            assert column.deviation == pytest.approx(np.std(there), rel=1e-6, abs=1e-7 * scale)
            assert sum((column.counts or {}).values()) == len(there) or column.counts is None

    def test_a_large_mean_costs_no_digits(self) -> None:
        values = 1e12 + np.random.default_rng(3).normal(size=5000)
        assert measured(values, batch=100).deviation == pytest.approx(np.std(values), rel=1e-4)

    @pytest.mark.parametrize(
        ("values", "low", "high"),
        [
            (pa.array([2**63 - 1, -(2**63)]), -(2.0**63), 2.0**63),
            (pa.array([2**64 - 1], pa.uint64()), 2.0**64, 2.0**64),
            (pa.array([decimal.Decimal("1.50"), decimal.Decimal(-3)]), -3.0, 1.5),
            (pa.array([10**37], pa.decimal128(38, 0)), 1e37, 1e37),
            (pa.array([datetime.timedelta(seconds=3)]), 3.0, 3.0),
            (pa.array([1, 5, 1]).dictionary_encode(), 1.0, 5.0),
            (pa.array([1.5], pa.float16()), 1.5, 1.5),
        ],
    )
    def test_every_type_of_number_is_one(self, values: pa.Array, low: float, high: float) -> None:
        column = measured(values)
        assert (column.kind, column.low, column.high) == ("number", low, high)

    def test_numbers_without_a_finite_variance_have_no_moments(self) -> None:
        column = measured([1e308, -1e308, 1e308])
        assert (column.low, column.high, column.deviation) == (-1e308, 1e308, None)

    def test_what_is_all_infinite_has_no_values(self) -> None:
        column = measured([float("inf"), float("-inf")])
        assert (column.missing, column.infinite, column.low) == (2, 2, None)


class TestCountedValues:
    def test_categories_booleans_and_texts(self) -> None:
        rows = 1000
        table = pa.table(
            {
                "colour": pa.array(["red", "blue", None, "red"] * 250).dictionary_encode(),
                "flag": [True, None, False, True] * 250,
                "name": [f"person {number}" for number in range(rows)],
                "few": [f"v{number % 20}" for number in range(rows)],
            }
        )
        colour, flag, name, few = measure_table(table.to_batches(64)).columns
        assert (colour.kind, colour.counts) == ("category", {"red": 500, "blue": 250})
        assert (colour.missing, colour.others, colour.distinct) == (250, 0, 2)
        assert (flag.kind, flag.counts) == ("boolean", {"false": 250, "true": 500})
        assert (few.kind, few.distinct) == ("category", 20)
        # Nobody's name is in a profile.
        assert (name.kind, name.counts, name.others) == ("text", {}, rows)
        assert (name.low, name.high) == (len("person 0"), len("person 999"))

    def test_a_hundred_thousand_categories_keep_the_frequent_ones(self) -> None:
        counts = ValueCounts()
        for start in range(0, 100_000, 10_000):
            rare = [f"id{number}" for number in range(start, start + 10_000)]
            counts.add(["often", *rare], [5000, *[1] * len(rare)])
        assert not counts.is_exact
        assert counts.distinct == pytest.approx(100_001, rel=0.06)
        assert counts.rows == 150_000
        assert 50_000 - 2 * 150_000 / MOST_COUNTED <= counts.count("often") <= 50_000
        assert next(iter(counts.most_frequent(3))) == "often"


class TestOtherColumns:
    def test_times_are_seconds(self) -> None:
        moment = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
        for value in (moment, moment.replace(tzinfo=None), moment.date()):
            column = measured(pa.array([value]))
            assert (column.kind, column.low) == ("time", moment.timestamp())
        assert measured(pa.array([datetime.time(0, 1)])).low == 60

    def test_vectors_have_means_and_a_norm(self) -> None:
        rows = np.random.default_rng(4).normal(size=(500, 6))
        values = [*rows.reshape(500, 2, 3).tolist(), None, [[1.0, None, 2.0], [1.0, 1.0, 1.0]]]
        column, norm = measure_table(pa.table({"v": values}).to_batches(77)).columns
        assert (column.kind, column.width, column.missing) == ("vector", 6, 2)
        assert column.means == pytest.approx(rows.mean(axis=0))
        assert column.deviations == pytest.approx(rows.std(axis=0))
        assert (norm.name, norm.missing) == ("v.norm", 2)
        assert norm.mean == pytest.approx(np.linalg.norm(rows, axis=1).mean())

    def test_lists_of_other_lengths_are_unlike(self) -> None:
        column = measured([[1, 2], [3], [], [4, 5]])
        assert (column.width, column.unlike, column.missing) == (2, 2, 2)
        assert column.means == (2.5, 3.5)

    def test_a_wide_vector_is_seen_in_blocks(self) -> None:
        rows = np.ones((3, 10_000))
        column = measured(pa.FixedSizeListArray.from_arrays(rows.ravel(), 10_000))
        assert (column.width, len(column.means)) == (10_000, 256)
        assert set(column.means) == {1.0}

    @pytest.mark.parametrize("value", [{"a": 1}, b"bytes"])
    def test_what_cannot_be_measured_is_unlike(self, value: object) -> None:
        column = measured(pa.array([value, None, value]))
        assert (column.rows, column.missing, column.unlike) == (3, 3, 2)

    def test_nothing_but_missing_values(self) -> None:
        column = measured(pa.nulls(5))
        assert (column.rows, column.missing, column.values) == (5, 5, 0)


class TestLike:
    LIKE = measure_table(
        pa.table(
            {
                "number": [1.5, 2.5],
                "flag": [True, False],
                "code": ["1", "2"],
                "day": [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)],
                "v": [[1.0, 2.0], [3.0, 4.0]],
            }
        ).to_batches()
    )

    def test_values_are_read_as_the_reference_has_them(self) -> None:
        window = pa.table(
            {
                "number": ["1", " 2e1 ", "much", ""],
                "flag": ["true", "FALSE", "maybe", None],
                "code": [1, 2, 3, None],
                "day": ["2024-01-01", "2024-01-02T10:00:00Z", "soon", ""],
                "v": [1.0, 2.0, 3.0, 4.0],
            }
        )
        found = measure_table(window.to_batches(), like=self.LIKE)
        kinds = {column.name: column.kind for column in found.columns}
        assert kinds == {column.name: column.kind for column in self.LIKE.columns}
        assert {column.name: column.unlike for column in found.columns if column.unlike} == {
            "number": 1,
            "flag": 1,
            "day": 1,
            "v": 4,
        }
        number = found.column("number")
        assert number is not None
        assert (number.low, number.high, number.missing, number.outside) == (1.0, 20.0, 2, 2)
        code = found.column("code")
        assert code is not None
        assert code.counts == {"1": 1, "2": 1, "3": 1}


class TestTables:
    def test_batches_may_have_other_columns(self) -> None:
        parts = [pa.record_batch({"a": [1, 2]}), pa.record_batch({"b": ["x"], "a": [2.5]})]
        profile = measure_table(parts)
        assert profile.rows == 3
        assert [(column.name, column.missing) for column in profile.columns] == [("a", 0), ("b", 2)]

    @pytest.mark.parametrize("rows", [0, 1])
    def test_tables_of_hardly_any_rows(self, rows: int) -> None:
        table = pa.table({"a": [1.0], "b": ["x"], "v": [[1.0]]}).slice(0, rows)
        profile = measure_table(
            [
                pa.RecordBatch.from_arrays(
                    [column.combine_chunks() for column in table.columns], names=table.column_names
                )
            ]
        )
        assert profile.rows == rows
        assert all(column.rows == rows for column in profile.columns)

    def test_no_batches_are_no_columns(self) -> None:
        assert measure_table([]) == Profile(rows=0, columns=())

    def test_two_columns_of_one_name_are_refused(self) -> None:
        batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
        with pytest.raises(UsageError, match="several columns 'a'"):
            measure_table([batch])


class TestFiles:
    """Parquet is measured by groups of columns: as the whole table is."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """Two files of unlike columns, of more than a batch, with a vector and odd names."""
        rng = np.random.default_rng(5)
        rows = 70_000
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(size=2 * rows)), 2)
        names = [f"x{number}" for number in range(40)]
        first: dict[str, Any] = {name: rng.normal(size=rows) for name in names}
        # The name `x1` takes `x1.deep` along, and a vector `v` has the column `v.norm`.
        first |= {"x1.deep": rng.integers(0, 5, rows), "v": vectors, "w": vectors}
        first |= {"v.norm": np.ones(rows), "kind": rng.choice(["a", "b"], rows)}
        parquet.write_table(pa.table(first), tmp_path / "a.parquet", row_group_size=30_000)
        second = {"new": ["only", "here"], "x3": [1.0, None], "kind": ["c", "a"]}
        parquet.write_table(pa.table(second), tmp_path / "b.parquet")
        return tmp_path

    @pytest.mark.parametrize("workers", [1, 2, 3])
    def test_groups_are_the_same_as_the_table(self, folder: Path, workers: int) -> None:
        table = open_table(folder)
        expected = measure_table(table.batches())
        assert expected.rows == 70_002
        assert [column.name for column in expected.columns][40:] == [
            "x1.deep", "v", "w", "w.norm", "v.norm", "kind", "new",
        ]  # fmt: skip
        assert measure_files(table, workers=workers) == expected

    def test_groups_are_measured_like_a_reference(self, folder: Path) -> None:
        like = measure_table(
            pa.table({"x0": ["1", "2"], "x2": [0.0, 0.5], "v": [[1.0, 2.0]] * 2}).to_batches()
        )
        table = open_table(folder, like=like)
        expected = measure_table(table.batches(), like=like)
        outside = expected.column("x2")
        assert outside is not None
        assert outside.outside
        assert measure_files(table, like=like) == expected

    def test_named_columns_are_measured_alone(self, folder: Path) -> None:
        table = open_table(folder)
        for names in (["x1", "v", "kind"], ["new"], []):
            found = measure_files(table, columns=names)
            assert found == measure_table(table.batches(names))
            assert found.rows == 70_002
            norms = ["v.norm"] if "v" in names else []
            assert {column.name for column in found.columns} == {*names, *norms}

    def test_no_rows_have_the_columns_of_the_reference_once(self, tmp_path: Path) -> None:
        empty = pa.table({name: pa.array([], pa.float64()) for name in "abc"})
        parquet.write_table(empty, tmp_path / "empty.parquet")
        like = measure_table(pa.table({"a": [1.0], "z": [2.0]}).to_batches())
        table = open_table(tmp_path)
        assert measure_files(table, like=like) == measure_table(table.batches(), like=like)
        assert measure_files(table) == Profile(rows=0, columns=())

    def test_what_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        twice = pa.Table.from_arrays([pa.array([1])] * 3, names=["a", "b", "a"])
        parquet.write_table(twice, tmp_path / "twice.parquet")
        with pytest.raises(UsageError, match="several columns 'a'"):
            measure_files(open_table(tmp_path / "twice.parquet"))
        (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
        with pytest.raises(UsageError, match=r"broken.parquet: the table cannot be read"):
            measure_files(open_table(tmp_path / "broken.parquet"))
