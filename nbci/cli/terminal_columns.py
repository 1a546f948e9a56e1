"""How wide the terminal is that a command prints to."""

from __future__ import annotations

import contextlib
import os
import sys


def terminal_columns() -> int | None:
    """As `shutil.get_terminal_size`, whose module takes some milliseconds to import.

    None where the command prints to no terminal.
    """
    with contextlib.suppress(ValueError):
        columns = int(os.environ.get("COLUMNS", ""))
        if columns > 0:
            return columns

    # None where the process was started without a stdout.
    if sys.__stdout__ is None:
        return None
    try:
        columns = os.get_terminal_size(sys.__stdout__.fileno()).columns
    except (OSError, ValueError):
        return None
    # Some pseudo-terminals have no size: they answer with 0 columns.
    return columns or None
