"""Arrays and tables of every kind: they come back equal, reading changes nothing, writing is
noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nbci.inkernel import untouched
from tests.inkernel.value_tools import Taken, groups_of, read, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
sparse = pytest.importorskip("scipy.sparse")

N = 3000
GRID = np.arange(2.0 * N).reshape(N, 2)


def read_only() -> Any:
    array = np.arange(float(N))
    array.flags.writeable = False
    return array


ARRAYS: dict[str, Callable[[], Any]] = {
    "plain": lambda: np.arange(float(N)),
    "structured": lambda: np.zeros(N, [("a", "f8"), ("t", "M8[ns]")]),
    "times": lambda: np.arange(N).astype("M8[s]"),
    "durations": lambda: np.arange(N).astype("m8[ms]"),
    "fortran": lambda: np.asfortranarray(GRID),
    "strided": lambda: GRID[:, 0],
    "backwards": lambda: np.arange(float(N))[::-1],
    "objects": lambda: np.array([str(n) for n in range(N)], object),
    "text": lambda: np.array([str(n) for n in range(N)]),
    "big-endian": lambda: np.arange(N, dtype=">i4"),
    "read-only": read_only,
    "single": lambda: np.array(3.5),
    "empty": lambda: np.zeros((0, 5)),
    "records": lambda: np.zeros(N, [("a", "f8"), ("b", "i4")]).view(np.recarray),
}
TABLES: dict[str, Callable[[], Any]] = {
    "blocks": lambda: pd.DataFrame(
        {"a": np.arange(N), "b": np.arange(N) / 2, "c": np.arange(N) / 3}
    ),
    "rows-first": lambda: pd.DataFrame(GRID),
    "part": lambda: pd.DataFrame({"a": np.arange(N), "b": np.arange(N)}).iloc[10:-10],
    "categories": lambda: pd.DataFrame(
        {"k": pd.Categorical.from_codes(np.arange(N) % 3, ["x", "y", "z"])}
    ),
    "strings": lambda: pd.DataFrame({"s": [f"text {n}" for n in range(N)]}),
    "python-strings": lambda: pd.DataFrame(
        {"s": pd.array(["x", None] * N, dtype=pd.StringDtype("python"))}
    ),
    "nullable": lambda: pd.DataFrame({"n": pd.array([1, None] * N, dtype="Int64")}),
    "zoned": lambda: pd.DataFrame(
        {"t": pd.date_range("2020", periods=N, freq="s", tz="Europe/Zurich")}
    ),
    "naive": lambda: pd.DataFrame({"t": pd.date_range("2020", periods=N, freq="s")}),
    "several-times": lambda: pd.DataFrame(
        {k: pd.date_range("2020", periods=N, freq="s") for k in "ab"}
    ),
    "levels": lambda: pd.DataFrame(
        {"v": np.arange(N)}, index=pd.MultiIndex.from_product([range(N // 10), range(10)])
    ),
    "arrow-typed": lambda: pa.table({"a": np.arange(N)}).to_pandas(types_mapper=pd.ArrowDtype),
    "same-name": lambda: pd.DataFrame(GRID, columns=["x", "x"]),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_comes_back_and_reading_leaves_it(kind: str, tmp_path: Path) -> None:
    array = ARRAYS[kind]()
    taken = Taken(tmp_path, write(tmp_path, {"x": array})[0])
    back = taken.values["x"]

    assert type(back) is type(array)
    assert back.dtype == array.dtype
    assert back.flags.writeable == array.flags.writeable
    assert np.array_equal(back, array)
    assert repr(back)
    assert taken.unchanged


@pytest.mark.parametrize("kind", sorted(set(ARRAYS) - {"read-only", "empty"}))
def test_a_change_is_noticed_and_taken_back_it_is_none(kind: str, tmp_path: Path) -> None:
    taken = Taken(tmp_path, write(tmp_path, {"x": ARRAYS[kind]()})[0])
    back = taken.values["x"]
    place = -1 if back.ndim else ()
    before = back[place].copy() if hasattr(back[place], "copy") else back[place]
    back[place] = back[0] if back.ndim and back.dtype.kind != "V" else np.ones((), back.dtype)
    assert not taken.unchanged
    back[place] = before
    assert taken.unchanged


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_comes_back_and_reading_leaves_it(kind: str, tmp_path: Path) -> None:
    table = TABLES[kind]()
    taken = Taken(tmp_path, write(tmp_path, {"x": table})[0])
    back = taken.values["x"]

    pd.testing.assert_frame_equal(back, table)
    assert repr(back)
    back.describe()
    assert len(back.values) == len(table)
    back.isna().sum()
    back.groupby(back.columns[0]).size() if kind != "same-name" else None
    assert taken.unchanged
    back.iloc[-1, 0] = back.iloc[0, 0]
    assert not taken.unchanged


def test_the_system_tells_what_was_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = np.random.default_rng(0).random(1 << 18)
    taken = Taken(tmp_path, write(tmp_path, {"x": big})[0])
    compared: list[Any] = []
    whole = untouched.same_bytes

    def same_bytes(left: Any, right: Any) -> bool:
        compared.append(left)
        return whole(left, right)

    monkeypatch.setattr(untouched, "same_bytes", same_bytes)

    assert taken.values["x"].sum() == big.sum()
    assert taken.unchanged
    assert not compared, "nothing was written to, so nothing is read"
    taken.values["x"][1000] += 0
    assert taken.unchanged
    assert compared
    monkeypatch.setattr(untouched, "PAGES", str(tmp_path / "no such table"))
    taken = Taken(tmp_path, write(tmp_path, {"x": big})[0])
    assert taken.unchanged
    taken.values["x"][1000] += 1
    assert not taken.unchanged


def test_a_table_that_is_handed_on_makes_no_array_of_its_range(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": np.arange(N)})
    taken = Taken(tmp_path, write(tmp_path, {"x": table})[0])
    assert taken.unchanged
    for one in (table, taken.values["x"]):
        assert isinstance(one.index, pd.RangeIndex)
        assert "_data" not in one.index._cache


def test_a_value_that_was_freed_is_not_mistaken_for_another(tmp_path: Path) -> None:
    taken = Taken(tmp_path, write(tmp_path, {"x": np.arange(float(N))})[0])
    taken.values["x"] = taken.values["x"] + 0
    assert taken.unchanged, "the same numbers in other memory"
    taken.values["x"] = taken.values["x"] + 1
    assert not taken.unchanged


def test_masks_and_what_is_under_them_come_back(tmp_path: Path) -> None:
    array = np.ma.masked_greater(np.arange(float(N)), 5)
    array.harden_mask()
    taken = Taken(tmp_path, write(tmp_path, {"x": array, "none": np.ma.array(np.arange(N))})[0])
    back = taken.values["x"]
    assert repr(back)
    assert (back.mask == array.mask).all()
    assert (back.data == array.data).all()
    assert back.hardmask
    assert back.fill_value == array.fill_value
    assert taken.values["none"].mask is np.ma.nomask
    assert taken.unchanged


def test_what_a_matrix_finds_out_about_itself_is_no_change(tmp_path: Path) -> None:
    matrix = sparse.random_array((300, 300), density=0.05, format="csr", rng=0)
    taken = Taken(tmp_path, write(tmp_path, {"x": matrix})[0])
    back = taken.values["x"]
    assert back.has_sorted_indices is not None
    assert back.has_canonical_format is not None
    assert (back != matrix).nnz == 0
    assert taken.unchanged
    back.data[0] += 1
    assert not taken.unchanged


def test_a_slice_of_an_arrow_table_leaves_the_rest_behind(tmp_path: Path) -> None:
    table = pa.table({"a": np.arange(100_000), "s": [f"text {n}" for n in range(100_000)]})
    digest, size = write(tmp_path, {"head": table.slice(5, 10), "column": table["s"].slice(5, 10)})
    back = read(tmp_path, digest)
    assert size < 10_000
    assert back["head"].equals(table.slice(5, 10))
    assert back["column"].equals(table["s"].slice(5, 10))


def owner(kind: str) -> Any:
    return np.array([[n] for n in range(N)], object) if kind == "objects" else ARRAYS[kind]()


@pytest.mark.parametrize("kind", ["fortran", "times", "objects"])
def test_views_keep_sharing(kind: str, tmp_path: Path) -> None:
    base = owner(kind)
    values = {"base": base, "part": base[5:50:3]}
    assert groups_of(values).names == [("base", "part")]
    back = read(tmp_path, write(tmp_path, values)[0])
    assert np.array_equal(back["part"], values["part"])
    back["part"][0] = back["base"][-1]
    assert back["base"][5:6].tolist() == back["base"][-1:].tolist()
