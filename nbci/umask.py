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
            for line in status:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    # macOS has no /proc, and Linux before 4.7 does not say it there.
    except OSError:
        pass
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
