"""One thing that `nbci doctor` or `nbci jenkins doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at and found.

    `missing`: runs or builds will fail; `note`: some will, or go another way.
    """

    name: str
    state: Literal["ok", "note", "missing"]
    found: str
    advice: str | None = None
