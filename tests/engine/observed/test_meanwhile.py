"""What changed while a step ran: found by what the file system says, named once for each file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nbci.engine.observed.kinds import surroundings_of
from nbci.engine.observed.meanwhile import (
    Change,
    changed_deps,
    changed_meanwhile,
    changed_outs,
    note_changes,
)
from nbci.kernels.job import Seen
from nbci.plan.model import PlannedStep
from nbci.records.run_record import FileRef, Part, StepRecord
from nbci.store.file_index import FileIndex

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEP = PlannedStep(
    name="a",
    notebook="n",
    kernel="k",
    language="python",
    cells=(),
    deps=("dep.csv",),
    outs=("out.csv",),
)


def stamp(place: Path) -> tuple[int, int, int, int]:
    found = place.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def replaced(place: Path) -> None:
    new = place.with_name("new")
    new.write_text("2", encoding="utf-8")
    os.utime(new, ns=(place.stat().st_mtime_ns,) * 2)
    new.replace(place)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda place: None, False),
        (lambda place: place.write_text("22", encoding="utf-8"), True),
        (lambda place: os.utime(place, ns=(1, 1)), True),
        (lambda place: place.unlink(), True),
        (replaced, True),
    ],
)
def test_a_file_that_is_not_as_it_was_read(
    tmp_path: Path, change: Callable[[Path], object], found: bool
) -> None:
    place = tmp_path / "d.txt"
    place.write_text("1", encoding="utf-8")
    seen = Seen(
        interpreter="p", sights=(("file", str(place), ()),), stamps={str(place): stamp(place)}
    )
    change(place)
    around = surroundings_of(tmp_path, STEP, (), FileIndex(tmp_path / "digests.json"))
    changes = list(changed_meanwhile(STEP, seen, around, 0))
    assert changes == ([Change("d.txt", "d.txt changed while the step ran")] if found else [])


def test_a_link_to_what_nobody_may_write_to_is_no_change(tmp_path: Path) -> None:
    place = tmp_path / "d.txt"
    place.write_text("1", encoding="utf-8")
    place.chmod(0o444)
    seen = Seen(
        interpreter="p", sights=(("file", str(place), ()),), stamps={str(place): stamp(place)}
    )
    os.link(place, tmp_path / "kept")
    around = surroundings_of(tmp_path, STEP, (), FileIndex(tmp_path / "digests.json"))
    assert not list(changed_meanwhile(STEP, seen, around, 0))


@pytest.mark.parametrize(("written", "found"), [((), True), (("other.txt",), False)])
def test_a_folder_that_others_put_files_into(
    tmp_path: Path, written: tuple[str, ...], found: bool
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    seen = Seen(
        interpreter="p",
        sights=(("folder", str(folder), ()),),
        stamps={str(folder): stamp(folder)},
        written=tuple(str(folder / name) for name in written),
    )
    (folder / "other.txt").write_text("1", encoding="utf-8")
    around = surroundings_of(tmp_path, STEP, (), FileIndex(tmp_path / "digests.json"))
    assert [change.path for change in changed_meanwhile(STEP, seen, around, 0)] == ["data"] * found


@pytest.mark.parametrize(("since", "found"), [(-1, True), (1, False)])
def test_what_was_read_unseen_is_in_doubt_when_it_is_younger(
    tmp_path: Path, since: int, found: bool
) -> None:
    (tmp_path / "d.txt").write_text("1", encoding="utf-8")
    part = Part(kind="file", label="d.txt", digest="1")
    began = (tmp_path / "d.txt").stat().st_ctime_ns + since
    around = surroundings_of(tmp_path, STEP, (part,), FileIndex(tmp_path / "digests.json"))
    changes = list(changed_meanwhile(STEP, Seen(interpreter="p"), around, began))
    assert [change.path for change in changes] == ["d.txt"] * found


def test_inputs_that_are_declared() -> None:
    before = [
        Part(kind="file", label="dep.csv", digest="1"),
        Part(kind="file", label="out.csv", digest="1"),
    ]
    now = [
        FileRef(path="dep.csv", digest="2", bytes=1),
        FileRef(path="out.csv", digest="2", bytes=1),
    ]
    assert [change.path for change in changed_deps(STEP, before, now)] == ["dep.csv"]
    gave = StepRecord(
        name="load", result="passed", outs=(FileRef(path="dep.csv", digest="1", bytes=1),)
    )
    assert list(changed_outs(now, [gave])) == [
        Change("dep.csv", "dep.csv is not what step load gave")
    ]
    again = StepRecord(name="clean", result="passed", outs=(now[0],))
    assert not list(changed_outs(now, [gave, again]))


def test_each_file_is_told_once() -> None:
    record = StepRecord(name="a", result="passed", warnings=("before",))
    noted = note_changes(
        record, [Change("data/x", "one"), Change("data", "two"), Change("y", "three")]
    )
    assert noted.warnings == (
        "before",
        "one: the step's result is not kept",
        "three: the step's result is not kept",
    )
    assert [(part.kind, part.label) for part in noted.observed] == [
        ("changed", "data/x"),
        ("changed", "y"),
    ]
