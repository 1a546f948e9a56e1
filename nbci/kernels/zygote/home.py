"""Where warm zygotes keep their sockets: a folder that nobody else can enter."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from nbci.kernels.private import LONGEST

_KEY_CHARACTERS = 20
"""Room for a zygote's folder below the root: its key, and the separators."""


def warm_root(*, make: bool) -> Path:
    """The folder of this user's warm zygotes. Raises OSError when it is missing or not private."""
    root = _root_for_sockets()
    if make:
        root.mkdir(mode=0o700, exist_ok=True)

    # Not stat: in a shared folder, somebody else may have put a link of this name first.
    found = root.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(f"{root} is not a private folder of this user's")
    return root


def _root_for_sockets() -> Path:
    name = f"nbci-{os.getuid()}"
    root = Path(tempfile.gettempdir()) / name
    # The XDG specification has this folder for sockets: it is private, and goes at log-out.
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        root = Path(runtime) / "nbci"
    if len(str(root)) + _KEY_CHARACTERS > LONGEST:
        return Path("/tmp") / name  # noqa: S108  # `warm_root` checks that it is private
    return root
