"""What is installed, cheaply: changes when a distribution is added, removed or upgraded."""

from __future__ import annotations

import hashlib
import os
from typing import Any

RECORDS = (".dist-info", ".egg-info", ".pth", ".egg-link")


def fingerprint(folders: list[str]) -> str:
    """A digest of the names and times of the distributions' own records in these folders of
    `sys.path`.
    """
    seen: list[Any] = []
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                found = sorted(
                    (e.name, e.stat().st_mtime_ns) for e in entries if e.name.endswith(RECORDS)
                )
        except OSError:
            found = []
        seen.append((folder, found))
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:32]
