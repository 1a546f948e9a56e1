"""Where warm zygotes keep their sockets: a folder that nobody else can enter."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from nbci.kernels.private import LONGEST


def warm_root(*, make: bool) -> Path:
    """The folder of this user's warm zygotes. Raises OSError when it is missing or not private."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    root = (
        Path(runtime) / "nbci" if runtime else Path(tempfile.gettempdir()) / f"nbci-{os.getuid()}"
    )
    if len(str(root)) + 20 > LONGEST:
        root = Path("/tmp") / f"nbci-{os.getuid()}"  # noqa: S108  # checked below
    if make:
        root.mkdir(mode=0o700, exist_ok=True)
    found = root.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.getuid()
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise OSError(f"{root} is not a private folder of this user's")
    return root
