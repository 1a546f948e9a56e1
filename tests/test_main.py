"""The command ends at once, and leaves nothing undone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_START = """
import atexit, sys
atexit.register(lambda: open({marker!r}, "w").write("ended"))
sys.argv = ["nbci", *sys.argv[1:]]
from nbci.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("no-such-command", 2), ("runs", 0)])
def test_what_is_to_be_done_at_the_end_is_done(tmp_path: Path, argument: str, code: int) -> None:
    marker = tmp_path / "marker"
    command = [sys.executable, "-c", _START.format(marker=str(marker)), argument]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ
    )
    assert done.returncode == code, done.stderr
    assert (done.stdout or done.stderr).endswith("\n")
    assert marker.read_text() == "ended"


@pytest.mark.parametrize("closed", ["0", "1", "2"])
def test_a_standard_stream_that_is_closed_does_no_harm(tmp_path: Path, closed: str) -> None:
    (tmp_path / "n.py").write_text('# %% tags=["step:a"]\nx = 1\n')
    command = f'exec "$0" -m nbci "$@" {closed}>&-'
    for arguments in (("lint", "n.py"), ("run", "n.py")):
        done = subprocess.run(
            ["sh", "-c", command, sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "NBCI_CACHE": str(tmp_path / "cache")},
        )
        assert done.returncode == 0, done.stderr


def test_a_state_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "n.py").write_text('# %% tags=["step:a"]\nx = 1\n')
    env = {**os.environ, "NBCI_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "nbci", "run", "n.py", "--force"]
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env
        )
        assert done.returncode == 0, done.stderr
        [state] = (tmp_path / ".nbci" / "state").glob("run-*.json")
        if state.is_file():
            state.unlink()
            state.mkdir()  # nothing can be put in its place
    assert state.is_dir()
