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
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ)
    assert done.returncode == code, done.stderr
    assert (done.stdout or done.stderr).endswith("\n")
    assert marker.read_text() == "ended"
