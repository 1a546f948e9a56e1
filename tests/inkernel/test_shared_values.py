"""What shares objects travels together and still shares; equal values have one digest, in every
process.
"""

from __future__ import annotations

import array
import concurrent.futures
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.inkernel.value_tools import Taken, groups_of, read, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


CLOSURES = """
def make():
    n = [0]
    def up():
        n[0] += 1
        return n[0]
    return up, lambda: n[0]
"""


def counter() -> dict[str, Any]:
    """Two closures over one list, made where no other process can import them."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(CLOSURES, space)
    up, now = space["make"]()
    return {"up": up, "now": now}


def cycle() -> dict[str, Any]:
    first: list[Any] = []
    second = {"back": first}
    first.append(second)
    return {"first": first, "second": second}


def bound() -> dict[str, Any]:
    kept = [1]
    return {"kept": kept, "append": kept.append}


CASES: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], bool]]] = {
    "closures": (counter, lambda back: back["up"]() == back["now"]() == 1),
    "cycle": (
        cycle,
        lambda back: back["first"][0] is back["second"] and back["second"]["back"] is back["first"],
    ),
    "bound method": (bound, lambda back: back["append"](2) is None and back["kept"] == [1, 2]),
}


@pytest.mark.parametrize("case", CASES)
def test_names_over_one_object_stay_so(case: str, tmp_path: Path) -> None:
    make, still_share = CASES[case]
    values = make()
    assert groups_of(values).names == [tuple(sorted(values))]
    assert still_share(read(tmp_path, write(tmp_path, values)[0]))


def test_a_memoryview_still_looks_into_its_object(tmp_path: Path) -> None:
    text, numbers = bytearray(b"abcdef"), array.array("d", [1, 2, 3])
    values: dict[str, Any] = {
        "text": text,
        "whole": memoryview(text),
        "part": memoryview(text)[2:4],
        "fixed": memoryview(text).toreadonly(),
        "numbers": numbers,
        "rest": memoryview(numbers)[1:],
        "of_bytes": memoryview(b"xyz")[1:],
    }
    digest, _ = write(tmp_path, values)
    came = read(tmp_path, digest)
    came["whole"][2] = ord("X")
    came["rest"][0] = 9.0
    assert (came["text"], bytes(came["part"]), bytes(came["fixed"])) == (
        b"abXdef",
        b"Xd",
        b"abXdef",
    )
    assert (came["numbers"].tolist(), came["fixed"].readonly, bytes(came["of_bytes"])) == (
        [1.0, 9.0, 3.0],
        True,
        b"yz",
    )
    with pytest.raises(TypeError, match="gaps"):
        write(tmp_path, {"gaps": memoryview(text)[::2]})


def test_an_alias_that_ends_is_a_change(tmp_path: Path) -> None:
    base = np.arange(1000.0)
    digest, _ = write(tmp_path, {"base": base, "part": base[10:20]})
    assert Taken(tmp_path, digest).unchanged
    taken = Taken(tmp_path, digest)
    taken.values["part"] = taken.values["part"].copy()
    assert not taken.unchanged
    lists = Taken(tmp_path, write(tmp_path, {"a": (one := [1]), "b": one})[0])
    lists.values["b"] = [1]
    assert not lists.unchanged


MADE = """
import sys
sys.path.insert(0, sys.argv[2])
from tests.inkernel.value_tools import write
import numpy as np
words = {"one", "two", "three"} | {str(n) for n in range(50)}
table = {"b": 1, "a": np.arange(500), "f": lambda n: n + 1}
print(write(sys.argv[1], {"words": words, "table": table})[0])
"""


def test_digests_are_the_same_in_every_process(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    command = [sys.executable, "-c", MADE, str(tmp_path), str(request.path.parent)]
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    answers = [
        subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert answers[0].stdout == answers[1].stdout


def test_two_that_write_one_value_leave_it_whole(tmp_path: Path) -> None:
    value = np.arange(500_000.0)
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        digests = set(threads.map(lambda _: write(tmp_path, {"x": value})[0], range(8)))
    (digest,) = digests
    assert np.array_equal(read(tmp_path, digest)["x"], value)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_what_is_mapped_outlives_its_file(tmp_path: Path) -> None:
    value = np.arange(500_000.0)
    digest, _ = write(tmp_path, {"x": value})
    taken = Taken(tmp_path, digest)
    (tmp_path / digest[:2] / digest[2:]).unlink()
    assert np.array_equal(taken.values["x"], value)
    assert taken.unchanged
