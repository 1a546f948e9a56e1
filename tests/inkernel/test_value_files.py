"""The codec of values, in this process: what is written comes back, changed files do not."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as of_numpy

from nbci.inkernel import value_files
from nbci.inkernel.forms import Refused
from nbci.kernels.value_digests import blake3_extension
from tests.inkernel.value_tools import Taken, groups_of, read, write

if TYPE_CHECKING:
    from collections.abc import Callable

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
)
arrays = of_numpy.arrays(
    st.sampled_from(["f8", "i4", "u1", "U3"]),
    of_numpy.array_shapes(max_dims=2, max_side=5),
    fill=st.nothing(),
)
nested = st.recursive(
    scalars | arrays | st.frozensets(st.integers()),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return bool(
            left.dtype == right.dtype
            and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        )
    if isinstance(left, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, float):
        return left == right or math.isnan(left)
    return bool(left == right)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), nested, min_size=1))
def test_groups_come_back_as_they_were_written(group: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        digest, size = write(folder, group)
        path = Path(folder) / digest[:2] / digest[2:]
        assert path.stat().st_size == size
        back = read(folder, digest)
        assert same(back, group)
        again, _ = write(folder, group)
        assert again == digest
        assert [path] == [file for file in Path(folder).rglob("*") if file.is_file()]


@settings(deadline=None)
@given(nested, st.integers(min_value=0), st.integers(1, 255))
def test_any_changed_byte_is_noticed(value: Any, place: int, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        digest, size = write(folder, {"x": value})
        path = Path(folder) / digest[:2] / digest[2:]
        data = bytearray(path.read_bytes())
        data[place % size] ^= flip
        path.chmod(0o644)
        path.write_bytes(data)
        with pytest.raises(Refused, match="altered"):
            read(folder, digest)


@settings(deadline=None)
@given(nested)
def test_what_nobody_changes_is_unchanged(value: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        digest, _ = write(folder, {"x": value})
        assert Taken(folder, digest).unchanged


def test_arrays_come_back_writable_and_aligned(tmp_path: Path) -> None:
    big = np.arange(100_000.0)
    digest, size = write(tmp_path, {"big": big, "odd": np.arange(3, dtype="u1")})
    back = read(tmp_path, digest)

    assert size < big.nbytes + 1000
    assert back["big"].flags.writeable
    back["big"][0] = 5
    assert same(back["odd"], np.arange(3, dtype="u1"))


def test_sharing_decides_the_groups() -> None:
    shared = [1]
    base = np.arange(5)
    text, pair = "long text " * 3, (1, 2)
    values = {
        "a": {"k": shared},
        "b": [shared],
        "c": text,
        "d": [text, pair],
        "e": pair,
        "f": base[1:],
        "g": base[:2],
        "h": np.arange(5),
    }
    groups = groups_of(values).names

    assert groups == [("a", "b"), ("c",), ("d",), ("e",), ("f", "g"), ("h",)]


HIDDEN: dict[str, Callable[[str], Any]] = {
    "text": lambda secret: ["x" * 2000, {"url": "db://" + secret}],
    "bytes": lambda secret: bytearray(b" " * 2000 + secret.encode()),
    "array of bytes": lambda secret: np.array(["x" * 2000, secret]).astype("S"),
    "array of text": lambda secret: np.array(["x" * 2000, secret]),
    "big-endian text": lambda secret: np.array(["x" * 2000, secret]).astype(">U2000"),
    "two bytes a character": lambda secret: np.frombuffer(
        (" " * 2000 + secret).encode("utf-16-be"), "u2"
    ),
    "four bytes a character": lambda secret: np.array(
        [ord(char) for char in " " * 2000 + secret], "u4"
    ),
    "eight bytes a character": lambda secret: np.array([ord(char) for char in " " * 2000 + secret]),
    "packed": lambda secret: np.frombuffer((" " * 2000 + secret).encode(), "i8"),
    "packed as decimals": lambda secret: np.frombuffer((" " * 2000 + secret).encode(), "f8"),
    "strided": lambda secret: np.array([list(" " * 2000 + secret)] * 2, "U1").T[:, 0],
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_a_secret_is_found_however_wide(kind: str) -> None:
    value = HIDDEN[kind]("hunter-2")
    stream = groups_of({"x": value}).stream_of(("x",), {"x": value})
    assert stream.holds(["hunter-2"])
    assert not stream.holds(["hunter-3"])


def test_secrets_of_pandas_and_arrow_are_found() -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    for column in (
        pd.array(["x" * 2000, "é-secret"], dtype=kind) for kind in ("str", "object", "category")
    ):
        table = pd.DataFrame({"s": column})
        values = {"table": table, "column": table["s"], "arrow": pa.table(table)}
        for name, value in values.items():
            stream = groups_of({name: value}).stream_of((name,), {name: value})
            assert stream.holds(["é-secret"])
            assert not stream.holds(["é-secrets"])


def test_frames_that_pandas_shares_lazily_are_not_one_group(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    groups = groups_of({"table": table, "part": table[["a"]], "column": table["b"]}).names

    assert groups == [("column",), ("part",), ("table",)]


BOTH = """
import sys
from nbci.inkernel.value_files import hasher_of
def digests(): return hasher_of(*sys.argv[2:])(b"x").hexdigest()
def imports():
    import blake3
    return blake3.blake3(b"x").hexdigest()
assert len({(globals()[name]()) for name in sys.argv[1].split() * 2}) == 1
found = [(name, module) for name, module in sys.modules.items() if "blake3" in name]
print([(name, module.__spec__.name, module.__file__) for name, module in found])
"""


@pytest.mark.parametrize("order", ["digests imports", "imports digests"])
def test_the_extension_and_the_package_live_in_one_process(order: str) -> None:
    def modules(order: str) -> str:
        command = [sys.executable, "-c", BOTH, order, *blake3_extension()]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    assert modules(order) == modules("imports"), "the user's package is what it is without nbci"


def test_what_is_no_extension_for_this_interpreter_is_not_loaded(tmp_path: Path) -> None:
    path, abi = blake3_extension()
    broken = tmp_path / Path(path).name
    broken.write_text("of another world")

    assert value_files.hasher_of(path, abi)
    assert value_files.hasher_of(path, ".cpython-38-x86_64-linux-gnu.so") is None
    assert value_files.hasher_of(str(broken), abi) is None
    assert value_files.hasher_of(str(tmp_path / "absent.so"), abi) is None
