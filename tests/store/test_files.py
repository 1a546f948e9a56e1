from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from nbci.errors import ExitCode, InfrastructureError
from nbci.store.files import remove, try_lock, write_atomic
from tests.support.console import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep/run.json"
    write_atomic(path, "first")
    write_atomic(path, b"second")
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_readers_see_one_content_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    contents = {letter * 200_000 for letter in "ab"}
    write_atomic(path, "a" * 200_000)
    seen = set()

    def write() -> None:
        for content in [*contents] * 40:
            write_atomic(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        seen.add(path.read_text())
    writer.join()
    assert seen <= contents


def test_text_that_is_no_unicode_can_be_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", "lone \ud800")
    assert (tmp_path / "a").read_bytes() == b"lone \xed\xa0\x80"


def test_a_long_name_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    write_atomic(path, "x")
    assert path.read_text() == "x"


def test_a_file_in_the_way_of_a_folder_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(InfrastructureError) as caught:
        write_atomic(tmp_path / "runs/1/run.json", "x")
    assert caught.value.exit_code == ExitCode.INFRASTRUCTURE
    assert caught.value.hint


def test_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_atomic(path, "old")
    program = (
        "import resource, signal, sys; from pathlib import Path; "
        "from nbci.store.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from nbci.errors import InfrastructureError\n"
        "try: write_atomic(Path(sys.argv[1]), 'n' * 100_000)\n"
        "except InfrastructureError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot write" in done.stdout
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_removing(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target/kept").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "file").touch()
    (tmp_path / "folder/deep").mkdir(parents=True)
    for name in ("link", "file", "folder", "absent"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (tmp_path / "target/kept").exists()


def test_a_lock_ends_with_its_descriptor_and_is_not_inherited(tmp_path: Path) -> None:
    path = tmp_path / "locks/out.lock"
    descriptor = try_lock(path)
    assert descriptor is not None
    assert try_lock(path) is None
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        os.close(descriptor)
        again = try_lock(path)
        assert again is not None
        os.close(again)
    finally:
        child.kill()
        child.wait()
