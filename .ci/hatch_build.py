"""Notes in the wheel which commit it was built of; `nbci --version` names it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Adds `nbci/commit.txt` to wheels; editable installs ask git instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        done = subprocess.run(
            ["git", "-C", self.root, "rev-parse", "--short=10", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
        # An sdist has no repository: a wheel made of one names no commit.
        if done.returncode:
            return
        place = Path(tempfile.mkdtemp(prefix="nbci-build-")) / "commit.txt"
        place.write_text(done.stdout, encoding="utf-8")
        build_data["force_include"][str(place)] = "nbci/commit.txt"
