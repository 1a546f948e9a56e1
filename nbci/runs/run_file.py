"""The id of a run, its `run.json` and its seal: what every writer of runs has in common.

A run with nothing to do writes its record through this module alone, so it imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import milliseconds
from nbci.runs.file_names import RUN_FILE, SEAL_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def new_run_id(seconds: float) -> str:
    """An id that sorts by time, which is given in seconds since the epoch."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
    return f"{stamp}-{milliseconds(seconds)}{os.urandom(2).hex()}"


def user_name() -> str | None:
    """The user's name for records; a container's user may have none."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def seal_text(digests: Mapping[str, str]) -> str:
    """The content of a seal: each sealed file of the run with the digest of its bytes."""
    return json.dumps(digests, indent=1) + "\n"


def content_digest(content: bytes) -> str:
    """The digest by which a seal knows a file."""
    return hashlib.sha256(content).hexdigest()


def write_reusing_run(folder: Path, document: Mapping[str, Any]) -> None:
    """Make the folder of a run that reuses everything, with its record and seal.

    The record names the run whose results it stands on. OSError where it cannot be written.
    """
    content = json.dumps(document).encode()
    folder.mkdir()
    (folder / SEAL_FILE).write_text(
        seal_text({RUN_FILE: content_digest(content)}), encoding="utf-8"
    )
    # the record comes last and whole: a folder without one is no run yet. `store.files` would do
    # the same, but imports tempfile and shutil, for which such a run has no time
    temporary = folder / f".{RUN_FILE}"
    temporary.write_bytes(content)
    temporary.replace(folder / RUN_FILE)
