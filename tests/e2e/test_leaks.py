"""Commands one after another leave nothing on the machine.

No process, no socket, no temporary file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import MakeNotebook
    from tests.support.console import Console


def bearers(mark: str) -> list[str]:
    """The commands of all processes whose environment has this."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and mark.encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text())
        except OSError:
            continue
    return found


def runs_leave_nothing(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path, count: int
) -> None:
    place = tmp_path / "t"
    place.mkdir()
    notebook = make_notebook("one.ipynb", [("step:a", "x = 1"), ("step:b prev:a", "print(x)")])
    mark = f"TMPDIR={place}"
    assert bearers(mark) == []
    shared = set(os.listdir("/dev/shm"))
    for _ in range(count):
        done = nbci("run", notebook, "--force", env={"TMPDIR": str(place), "NBCI_ZYGOTE": "on"})
        assert done.returncode == 0, done.stderr

    assert bearers(mark) == []
    assert list(place.iterdir()) == []
    assert set(os.listdir("/dev/shm")) <= shared
    state = {path.name for path in (nbci.cwd / ".nbci").iterdir()} | set(
        os.listdir(nbci.cwd / ".nbci" / "state")
    )
    assert not {name for name in state if ".new" in name or "tmp" in name}


def test_runs_one_after_another_leave_nothing(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    runs_leave_nothing(nbci, make_notebook, tmp_path, 8)


@pytest.mark.soak
def test_very_many_runs_leave_nothing(
    nbci: Console, make_notebook: MakeNotebook, tmp_path: Path
) -> None:
    runs_leave_nothing(nbci, make_notebook, tmp_path, 200)
