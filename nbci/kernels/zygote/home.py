"""Where zygotes keep their sockets: folders that nobody else can enter."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

LONGEST_FOLDER = 70
"""Sockets of kernels lie two levels deeper, and 107 characters are all that a socket's path may have."""


def private_folder() -> Path:
    """A new folder, only for this user."""
    for place in (None, "/tmp"):  # noqa: S108  # mkdtemp makes a private folder in it
        folder = Path(tempfile.mkdtemp(prefix="nbci-", dir=place))
        if len(str(folder)) <= LONGEST_FOLDER:
            return folder
        folder.rmdir()
    raise OSError("no temporary folder has a path that is short enough for sockets")


def warm_root(*, make: bool) -> Path:
    """The folder of this user's warm zygotes. Raises OSError when it is missing or not private."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    root = Path(runtime) / "nbci" if runtime else Path(tempfile.gettempdir()) / f"nbci-{os.getuid()}"
    if len(str(root)) + 20 > LONGEST_FOLDER:
        root = Path("/tmp") / f"nbci-{os.getuid()}"  # noqa: S108  # checked below
    if make:
        root.mkdir(mode=0o700, exist_ok=True)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(f"{root} is not a private folder of this user's")
    return root
