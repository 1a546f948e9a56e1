"""Projects of git's that tests make anew."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.support.console import Console

if TYPE_CHECKING:
    from pathlib import Path


class Project:
    """An empty one, whose results are kept in a cache of its own."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.nbci = Console(folder)
        self.env = {"NBCI_CACHE": str(cache)}
        folder.mkdir()
        subprocess.run(["git", "init", "-q", folder], check=True)
