"""A run with nothing to do, where even its record cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.console import ROOT, Console
from tests.support.notebooks import write_notebook

if TYPE_CHECKING:
    from pathlib import Path

_READ_ONLY = """\
mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 99
cd "$1"
"$2" -P -m nbci run n.ipynb -p n=1; first=$?
"$2" -P -m nbci run n.ipynb -p n=2; second=$?
cd / && umount "$1"
echo "ended with $first and $second"
"""


def test_a_read_only_project_is_told_what_stands(tmp_path: Path) -> None:
    """On a file system of its own, where this machine lets a test mount one."""
    project, env = tmp_path / "project", {"NBCI_CACHE": str(tmp_path / "cache")}
    project.mkdir()
    write_notebook(project / "n.ipynb", [("parameters", "n = 0"), ("step:a", "print(n)")])
    assert Console(project)("run", "n.ipynb", "-p", "n=1", env=env).returncode == 0
    runs = sorted((project / ".nbci/runs").iterdir())

    command = ["unshare", "-rm", "sh", "-c", _READ_ONLY, "sh", str(project), sys.executable]
    environ = {**os.environ, **env, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if done.returncode in (1, 99) and "nbci" not in done.stderr:
        pytest.skip(f"no file system can be mounted: {done.stderr}")

    assert done.stdout.endswith("ended with 0 and 4\n"), done.stdout + done.stderr
    assert "nothing has changed" in done.stdout
    assert f"1 reused from run {runs[0].name}" in done.stdout
    assert "record:" not in done.stdout
    assert "warning: this run leaves no record" in done.stderr
    assert done.stderr.count("Read-only file system") == 2
    assert sorted((project / ".nbci/runs").iterdir()) == runs
