"""The umask of this process."""

from __future__ import annotations

import os

_STATUS = "/proc/self/status"


def current_umask() -> int:
    """The umask as it is now.

    Python can only ask by setting another, which for a moment holds for the files of all threads:
    so the system is asked first.
    """
    try:
        with open(_STATUS, encoding="utf-8", errors="replace") as status:
            return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
    except (OSError, StopIteration):
        umask = os.umask(0o077)
        os.umask(umask)
        return umask
