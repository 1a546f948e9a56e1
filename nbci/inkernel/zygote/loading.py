"""Which module is being imported."""

from __future__ import annotations

import sys
from typing import Any


def module_being_loaded() -> str | None:
    """The innermost module that the import system executes now, as the calling frames tell."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "_load_unlocked":
            name: str = frame.f_locals["spec"].name
            return name
        frame = frame.f_back
    return None
