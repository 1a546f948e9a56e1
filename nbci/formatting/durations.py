"""Durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")


def parse_duration(text: str | float) -> float:
    """Seconds of `90s`, `30m`, `1h30m`, `2d`, or a bare number of seconds; ValueError when it is
    none.

    >>> parse_duration("1h30m")
    5400.0
    """
    if isinstance(text, int | float):
        seconds = float(text)
    elif _DURATION.fullmatch(text.strip()):
        seconds = sum(
            float(amount) * _UNITS[unit] for amount, unit in re.findall(r"([\d.]+)([smhd])", text)
        )
    else:
        seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds
