"""Values from step to step: written with their digest and touched by a reader.

The peer is writing the bare bytes.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pandas  # type: ignore[import-untyped]  # its stubs are a package of their own

from benchmarks.measure import Wrong, compared, figure, take_turns
from nbci.inkernel.sharing import Groups, Probe
from nbci.inkernel.untouched import LoadedGroup, MappedFile, Picture
from nbci.inkernel.value_files import Files, Mapped
from nbci.kernels.value_digests import blake3_extension

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Bench, Row

MB = 1_000_000
PAGE_BYTES = 4096
MEMORY = Path("/dev/shm")
AT_MOST = 1.6
SEEN_SECONDS = 0.005


def rows(bench: Bench) -> Iterator[Row]:
    """Arrays of growing size and a table, in memory and on disk.

    Then what it costs to take one that is there.
    """
    for place in (MEMORY, bench.folder):
        if not place.is_dir():
            continue
        with tempfile.TemporaryDirectory(dir=place) as folder:
            where = "memory" if place == MEMORY else "disk"
            for size in (50, 200, 800)[: bench.pick(3, 2)]:
                yield passed_on(bench, Path(folder), f"{size} MB array, {where}", array(size))
            yield passed_on(bench, Path(folder), f"200 MB DataFrame, {where}", table(200))
            if where == "memory":
                yield from seen(bench, Path(folder))


def array(size_mb: int) -> Any:
    return numpy.random.default_rng(0).random(size_mb * MB // 8)


def table(size_mb: int) -> Any:
    return pandas.DataFrame({f"c{number}": array(size_mb // 10) for number in range(10)})


def passed_on(bench: Bench, folder: Path, work: str, value: Any) -> Row:
    """Written with its digest, mapped and touched, against writing as many bytes."""
    ways = {"nbci": partial(through_a_value, folder, value), "bytes": partial(bare, folder, value)}
    taken = take_turns(ways, rounds=bench.pick(9, 3))
    return compared(work, taken["nbci"], "writing the bytes", taken["bytes"], at_most=AT_MOST)


def through_a_value(folder: Path, value: Any) -> float:
    began = time.perf_counter()
    digest = write(folder, value)
    back = Mapped(str(folder), digest, True).load()["x"]
    touched = touch(back)
    seconds = time.perf_counter() - began
    if touched != touch(value):
        raise Wrong("the value that came back is another")
    (folder / digest[:2] / digest[2:]).unlink()
    return seconds


def write(folder: Path, value: Any) -> str:
    """Save it as a kernel does."""
    values = {"x": value}
    digest, _ = Files(str(folder), list(blake3_extension())).write(
        Groups({"x": Probe("x", value)}).stream_of(("x",), values)
    )
    return str(digest)


def touch(value: Any) -> float:
    """Read a number of every page."""
    return float(sum(part.reshape(-1)[:: PAGE_BYTES // 8].sum() for part in parts(value)))


def parts(value: Any) -> list[Any]:
    return (
        [value]
        if isinstance(value, numpy.ndarray)
        else [value[name].to_numpy() for name in value.columns]
    )


def bare(folder: Path, value: Any) -> float:
    memory = [memoryview(part).cast("B") for part in parts(value)]
    path = folder / "bytes"
    began = time.perf_counter()
    with path.open("wb") as file:
        for view in memory:
            file.write(view)
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def seen(bench: Bench, folder: Path) -> Iterator[Row]:
    """A reader that takes what is known to be whole, and hands it on as it was."""
    for name, value in (("array", array(200)), ("DataFrame", table(200))):
        digest = write(folder, value)
        for work, way in (("mapped", take), ("mapped, and handed on unchanged", hand_on)):
            each: Callable[[], float] = partial(way, folder, digest)
            taken = take_turns({"nbci": each}, rounds=bench.pick(15, 5))["nbci"]
            yield figure(f"200 MB {name} already seen: {work}", taken, at_most=SEEN_SECONDS)


def take(folder: Path, digest: str) -> float:
    began = time.perf_counter()
    Mapped(str(folder), digest, True).load()
    return time.perf_counter() - began


def hand_on(folder: Path, digest: str) -> float:
    began = time.perf_counter()
    mapped = Mapped(str(folder), digest, True)
    values = mapped.load()
    kept = LoadedGroup(Picture(values), [MappedFile(mapped.path, mapped.data)])
    unchanged = kept.equals(Picture(values))
    seconds = time.perf_counter() - began
    if not unchanged:
        raise Wrong("nobody changed it")
    return seconds
