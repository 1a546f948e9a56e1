"""What the index may remember of a file, and when it has to read it again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from nbci.store.file_index import FileIndex
from nbci.store.seen import md5_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_change_within_the_clocks_resolution_is_seen(tmp_path: Path) -> None:
    """Same size and same times: only reading the file again can tell."""
    place = tmp_path / "file"
    for number in range(200):
        place.write_text("a")
        index = FileIndex(tmp_path / "index")
        index.fingerprint(tmp_path, "file")
        index.digest(place)
        place.write_text("b")
        assert index.fingerprint(tmp_path, "file").digest == md5_of(place), number
        assert index.digest(place) == FileIndex(tmp_path / "none").digest(place), number


def test_a_change_in_a_folder_within_the_clocks_resolution_is_seen(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for _ in range(100):
        (tmp_path / "out/f").write_text("a")
        index = FileIndex(tmp_path / "index")
        before = index.fingerprint(tmp_path, "out")
        (tmp_path / "out/f").write_text("b")
        assert index.fingerprint(tmp_path, "out").digest != before.digest


@pytest.mark.parametrize("when", [-1e6, -3, 0, 3, 1e6])
def test_a_clock_that_jumps_never_hides_a_change(tmp_path: Path, when: float) -> None:
    """A file written again with the same size and time.

    Its time is not the clock's, as after the clock was set.
    """
    place, index = tmp_path / "file", FileIndex(tmp_path / "index")
    at = time.time() + when
    place.write_text("a")
    os.utime(place, (at, at))
    index.fingerprint(tmp_path, "file")
    time.sleep(0.06)  # the file system's clock is coarse
    place.write_text("b")
    os.utime(place, (at, at))
    assert index.fingerprint(tmp_path, "file").digest == md5_of(place)


def test_a_file_system_that_counts_seconds_is_not_trusted_for_two(tmp_path: Path) -> None:
    place, index = tmp_path / "file", FileIndex(tmp_path / "index")
    place.write_text("a")
    now = int(time.time())
    place.chmod(0o444)  # without the time of the inode, as such file systems may have it
    os.utime(place, (now, now))
    index.fingerprint(tmp_path, "file")
    place.chmod(0o644)
    place.write_text("b")
    place.chmod(0o444)
    os.utime(place, (now, now))
    assert index.fingerprint(tmp_path, "file").digest == md5_of(place)


def test_what_has_settled_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    places = [tmp_path / "file", tmp_path / "out/f"]
    for place in places:
        place.write_text("a")
    old = time.time() - 100
    for place in places:
        os.utime(place, (old, old))
        place.chmod(0o444)
    index = FileIndex(tmp_path / "index.json")
    before = [index.fingerprint(tmp_path, name) for name in ("file", "out")]
    index.save()
    for place in places:
        place.chmod(0o644)
        place.write_text("b")
        os.utime(place, (old, old))
        place.chmod(0o444)
    again = FileIndex(tmp_path / "index.json")
    assert [again.fingerprint(tmp_path, name) for name in ("file", "out")] == before


def test_an_index_that_cannot_be_read_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    for text in ("", "[]", "{", '{"entries": {"md5:x": [1]}}'):
        (tmp_path / "index.json").write_text(text)
        assert FileIndex(tmp_path / "index.json").fingerprint(tmp_path, "file").digest == md5_of(
            tmp_path / "file"
        )


def test_files_that_come_and_go_change_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out/deep").mkdir(parents=True)
    index = FileIndex(tmp_path / "index.json")
    seen = [index.fingerprint(tmp_path, "out").digest]
    (tmp_path / "out/deep/a").write_text("a")
    seen.append(index.fingerprint(tmp_path, "out").digest)
    (tmp_path / "out/deep/a").rename(tmp_path / "out/a")
    seen.append(index.fingerprint(tmp_path, "out").digest)
    assert len(set(seen)) == 3
    (tmp_path / "out/a").unlink()
    assert index.fingerprint(tmp_path, "out").digest == seen[0]
