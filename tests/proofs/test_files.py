"""Files of two runs: what counts as equal within the tolerance, and where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.proofs.files import compare_files
from nbci.proofs.tolerance import Tolerance, rank, worse

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.proofs.tolerance import Finding


def compare(folder: Path, name: str, before: bytes, now: bytes) -> Finding:
    """As nbci does: what was before is kept under a digest, which has no suffix."""
    (folder / "0a1b2c").write_bytes(before)
    (folder / name).write_bytes(now)
    return compare_files(name, folder / "0a1b2c", folder / name, Tolerance())


@pytest.mark.parametrize(
    ("name", "before", "now", "agreement", "place"),
    [
        ("a.json", '{"a": 1.0}', '{"a": 1.0000000001}', "close", ".a"),
        ("a.json", '{"a": 1.0}', '{"a": 1.01}', "different", ".a"),
        ("a.json", '{"a": 1}', '{"a": 1.0}', "close", ""),
        ("a.json", '{"a": 1, "b": 2}', '{ "b": 2, "a": 1 }', "close", ""),
        ("a.json", '{"a": 1000000}', '{"a": 1000001}', "different", ".a"),
        ("a.json", '{"a": NaN}', '{"a":NaN}', "close", ""),
        ("a.json", '{"a": true}', '{"a": 1}', "different", ".a"),
        ("a.json", '{"a": [1, 2]}', '{"a": [1]}', "different", ".a"),
        ("a.json", '{"a": [1, {"b": "x"}]}', '{"a": [1, {"b": "y"}]}', "different", ".a[1].b"),
        ("a.json", "{}", "no json", "different", ""),
        ("a.json", "[" * 200_000, "[" * 200_001, "different", ""),
        ("a.jsonl", '{"a": 1}\n{"a": 2.0}', '{"a": 1}\n{"a": 2.0000000001}', "close", "[1].a"),
        ("a.csv", "a,b\n1,x\n", "a,b\n1.0,x\n", "close", ""),
        ("a.csv", "a,b\n1,x\n", "a,b\n2,x\n", "different", "row 2, column 1"),
        ("a.csv", "a,b\n1,x\n", "a,b\n1,y\n", "different", "row 2, column 2"),
        ("a.csv", "a\n1\n", "a\n1\n2\n", "different", ""),
        ("a.tsv", "a\tb\n1\tx\n", "a\tb\n1\ty\n", "different", "row 2, column 2"),
        ("a.csv", "a\n" + "x" * 200_000, "a\n" + "y" * 200_000, "different", ""),
        ("a.bin", "1.0", "1.00", "different", ""),
        ("a.parquet", "no parquet", "nor this", "different", ""),
    ],
)
def test_what_two_files_are_to_each_other(
    tmp_path: Path, name: str, before: str, now: str, agreement: str, place: str
) -> None:
    found = compare(tmp_path, name, before.encode(), now.encode())

    assert (found.agreement, found.place) == (agreement, place)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    assert compare(tmp_path, "a.csv", b"\xff\xfe", b"\xff\xfd").agreement == "different"


@pytest.mark.parametrize(
    ("before", "now", "agreement", "place"),
    [
        ({"a": [1.0, 2.0]}, {"a": [1.0, 2.0 + 1e-12]}, "close", "column a, row 2"),
        ({"a": [1.0, None]}, {"a": [1.0, 2.0]}, "different", "column a, row 2"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "different", "column a, row 2"),
        ({"a": ["x"]}, {"b": ["x"]}, "different", ""),
        ({"a": [1]}, {"a": [1, 2]}, "different", ""),
        ({"a": [1]}, {"a": [1.0]}, "different", "column a"),
        ({"a": [[1, 2]]}, {"a": [[1, 3]]}, "different", "column a, row 1"),
    ],
)
@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_tables(
    tmp_path: Path,
    name: str,
    before: dict[str, list[Any]],
    now: dict[str, list[Any]],
    agreement: str,
    place: str,
) -> None:
    pa = pytest.importorskip("pyarrow")
    feather, parquet = (
        pytest.importorskip("pyarrow.feather"),
        pytest.importorskip("pyarrow.parquet"),
    )
    write = {"t.parquet": parquet.write_table, "t.feather": feather.write_feather}[name]
    write(pa.table(before), tmp_path / "0a1b2c")
    write(pa.table(now), tmp_path / name)

    found = compare_files(name, tmp_path / "0a1b2c", tmp_path / name, Tolerance())

    assert (found.agreement, found.place) == (agreement, place)


@given(st.floats(), st.floats(), st.floats(min_value=0, max_value=0.5))
def test_the_tolerance_has_no_direction(one: float, other: float, relative: float) -> None:
    tolerance = Tolerance(relative)
    assert tolerance.compare(one, other).agreement == tolerance.compare(other, one).agreement
    assert tolerance.compare(one, one).agreement == "identical"


def test_of_two_findings_the_worse_stands() -> None:
    tolerance = Tolerance()
    same, different = tolerance.compare(1, 1), tolerance.compare(1, 2)
    close, closer = tolerance.compare(1, 1 + 1e-8, "a"), tolerance.compare(1, 1 + 1e-9, "b")

    assert worse(same, close) == close
    assert worse(close, different) == different
    assert worse(different, close) == different
    assert worse(closer, close).place == "b"
    assert worse(closer, close).largest == close.largest
    assert rank("identical") < rank("close") < rank("different")
