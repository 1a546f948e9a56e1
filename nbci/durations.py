"""Durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")


def parse_duration(text: str | float) -> float:
    """Seconds of `90s`, `30m`, `1h30m`, `2d`, or a bare number of seconds; ValueError when it is none.

    >>> parse_duration("1h30m")
    5400.0
    """
    if isinstance(text, int | float):
        seconds = float(text)
    elif _DURATION.fullmatch(text.strip()):
        seconds = sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(r"([\d.]+)([smhd])", text))
    else:
        seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


def format_duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> format_duration(0.0421), format_duration(3.25), format_duration(75), format_duration(5400)
    ('42 ms', '3.2 s', '1 min 15 s', '1 h 30 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
