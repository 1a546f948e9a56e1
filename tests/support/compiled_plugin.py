"""The compiled plugin as `make plugin` packs it."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from typing import TYPE_CHECKING, Final

from tests.support.console import ROOT
from tests.support.tools import JENKINS_PLUGIN

if TYPE_CHECKING:
    from pathlib import Path

_SOURCES: Final = ROOT / "jenkins-plugin-shim/plugin"


@functools.cache
def archive_to_test() -> tuple[Path, str]:
    """The archive of these very sources, and its SHA-256; built anew where one of them is newer."""
    if not JENKINS_PLUGIN.exists() or JENKINS_PLUGIN.stat().st_mtime < _newest_source():
        done = subprocess.run(
            ["make", "plugin"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return JENKINS_PLUGIN, hashlib.sha256(JENKINS_PLUGIN.read_bytes()).hexdigest()


def _newest_source() -> float:
    sources = [
        path
        for pattern in ("pom.xml", "*/pom.xml", "*/src/main/**/*", "*/src/assembly/*")
        for path in _SOURCES.glob(pattern)
    ]
    return max(path.stat().st_mtime for path in sources if path.is_file())
