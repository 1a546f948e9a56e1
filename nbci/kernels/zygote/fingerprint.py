"""A digest of what is installed, cheap enough to be taken before each fork.

It is sent to zygotes as source, too: standard library only, Python 3.8.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

RECORDS = (".dist-info", ".egg-info", ".pth", ".egg-link")


def fingerprint(folders: list[str]) -> str:
    """A digest of the names and times of the distributions' own records in folders of `sys.path`.

    Installers replace the record of what they add, remove or upgrade, so the modules need no look.
    """
    found = [(folder, _records(folder)) for folder in folders]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:32]


def _records(folder: str) -> list[Any]:
    try:
        with os.scandir(folder) as entries:
            records = [entry for entry in entries if entry.name.endswith(RECORDS)]
            return sorted((record.name, record.stat().st_mtime_ns) for record in records)
    except OSError:
        # A folder of `sys.path` that does not exist is usual, and may be made later.
        return []
