"""Make a home folder for users who have none, as is often so in containers."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def ensure_home(environ: MutableMapping[str, str]) -> None:
    """Give a user who has neither HOME nor an entry in the list of users a private folder.

    Jupyter refuses to start without: https://github.com/jupyter/jupyter_core/issues/334
    """
    if not environ.get("HOME") and os.path.expanduser("~") == "~":
        environ["HOME"] = str(private_folder())


def private_folder() -> Path:
    """A folder of this user's among the temporary files, which nobody else can enter."""
    import tempfile

    folder = Path(tempfile.gettempdir()) / f"nbci-{os.getuid()}"
    hint = "HOME names a home folder, NBCI_CACHE one for the cache"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"there is no home folder, and {folder} cannot be made: {error.strerror}", hint=hint
        ) from error
    # Not stat: in a shared folder, somebody else may have put a link or folder of this name first.
    found = folder.lstat()
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != os.getuid()
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise InfrastructureError(
            f"there is no home folder, and {folder} is no private one of this user's", hint=hint
        )
    return folder
