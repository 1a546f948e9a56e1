"""By what an environment is known, and which environments may be used and removed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from nbci.store.environments import Environments, environment_key, interpreter_of, lock_files

if TYPE_CHECKING:
    from pathlib import Path

SOON = time.time() + 86_400  # a day after the tests began, which take less


def made(environments: Environments, key: str) -> Path:
    folder = environments.begin(key)
    interpreter_of(folder).parent.mkdir(parents=True)
    interpreter_of(folder).touch()
    environments.complete(key, folder, "r.lock")
    return folder


def test_the_lock_and_what_it_includes_are_read(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "a.whl").write_bytes(b"a")
    lock = tmp_path / "locks" / "r.lock"
    lock.write_text(
        "# a comment\n-r base.lock\n--constraint=pins.txt\n-r https://example.com/x\n"
        "six==1.0 \\\n  --hash=sha256:0\n"
        "wheels/a.whl\nodd @ file:///nowhere\n"
    )
    (tmp_path / "locks" / "base.lock").write_text("-r r.lock\n")
    names = [path.relative_to(tmp_path).as_posix() for path in lock_files(tmp_path, "locks/r.lock")]
    assert names == ["locks/r.lock", "wheels/a.whl", "locks/base.lock", "locks/pins.txt"]


def test_the_key_changes_with_whatever_the_lock_says(tmp_path: Path) -> None:
    (tmp_path / "r.lock").write_text("-r base.lock\na.whl\n")
    (tmp_path / "base.lock").write_text("six==1.0\n")
    (tmp_path / "a.whl").write_bytes(b"1")
    keys = [environment_key(tmp_path, "r.lock")]
    assert environment_key(tmp_path, "r.lock") == keys[0]
    for name in ("base.lock", "a.whl", "r.lock"):
        with (tmp_path / name).open("a") as file:
            file.write("# changed\n")
        keys.append(environment_key(tmp_path, "r.lock"))
    assert len(set(keys)) == 4


def test_a_lock_that_names_a_folder_is_of_one_place_and_what_lies_there(tmp_path: Path) -> None:
    keys = set()
    for place in ("one", "two"):
        (tmp_path / place / "wheels").mkdir(parents=True)
        (tmp_path / place / "r.lock").write_text("--find-links wheels\nsix==1.0\n")
        keys.add(environment_key(tmp_path / place, "r.lock"))
    (tmp_path / "two" / "wheels" / "six-1.0-py3-none-any.whl").write_bytes(b"another")
    keys.add(environment_key(tmp_path / "two", "r.lock"))
    assert len(keys) == 3


def test_a_lock_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        environment_key(tmp_path, "r.lock")


def test_only_what_is_complete_is_found(tmp_path: Path) -> None:
    environments = Environments(tmp_path)
    assert environments.find("k") is None
    unfinished = environments.begin("k")
    assert environments.find("k") is None
    folder = made(environments, "k")
    assert environments.find("k") == folder
    assert not unfinished.exists()
    interpreter_of(folder).unlink()
    assert environments.find("k") is None
    (tmp_path / "k" / "made.json").write_text("half of", encoding="utf-8")
    assert environments.find("k") is None


def test_what_is_held_stays(tmp_path: Path) -> None:
    environments = Environments(tmp_path)
    made(environments, "held")
    made(environments, "free")
    environments.begin("unfinished")
    held = environments.try_hold("held", alone=False)
    assert held is not None
    assert environments.try_hold("held", alone=True) is None
    assert environments.find_unused(time.time() - 1000) == ()
    environments.remove_unused(SOON)
    assert environments.find("held") is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["held", "locks"]
    os.close(held)
    assert [path.name for path in environments.find_unused(SOON)] == ["held"]
