"""Durations and moments: how they are written for people, and how people write them."""

from __future__ import annotations

import math
import re
import time

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)?")


def parse_duration(text: str | float) -> float:
    """Seconds of `90s`, `30m`, `1h30m`, `2d` or a bare number; ValueError for anything else.

    >>> parse_duration("1h30m")
    5400.0
    """
    if isinstance(text, int | float):
        seconds = float(text)
    elif _DURATION.fullmatch(text.strip()):
        parts = re.findall(r"([\d.]+)([smhd])", text)
        seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    else:
        seconds = float(text)

    # Also refuses NaN, which `float` reads and every comparison with which is false.
    if not 0 < seconds < math.inf:
        raise ValueError(text)
    return seconds


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them; nothing for None.

    >>> [duration(seconds) for seconds in (0.042, 3.21, 90, 3600)]
    ['42 ms', '3.2 s', '1 min 30 s', '1 h 00 min']
    """
    if seconds is None or not math.isfinite(seconds):
        return ""

    # Clocks of two machines may disagree, and a system's clock may be set back.
    seconds = max(seconds, 0.0)
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 1:
        return f"{seconds:.2f} s"
    # From 59.95 s on, one decimal would be rounded to "60.0 s".
    if seconds < 59.95:
        return f"{seconds:.1f} s"

    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s"


def utc_text(seconds: float) -> str:
    """A time, given in seconds since 1970, as records have it.

    >>> utc_text(1_767_323_045.5)
    '2026-01-02T03:04:05.500Z'
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{milliseconds(seconds)}Z"


def now_utc() -> str:
    """The time as records have it."""
    return utc_text(time.time())


def seconds_of(utc: str | None) -> float | None:
    """A record's time in seconds since 1970; None for what is no time.

    >>> seconds_of("2026-01-02T03:04:05.500Z")
    1767323045.5
    """
    if utc is None:
        return None
    # Imported only here: a run with nothing to do imports this module for its arguments.
    from datetime import datetime

    # Records may come from elsewhere.
    try:
        return datetime.fromisoformat(utc).timestamp()
    except ValueError:
        return None


def milliseconds(seconds: float) -> str:
    """The milliseconds of a time, cut off and not rounded, in three digits."""
    return f"{int(seconds % 1 * 1000):03d}"


def moment(utc: str | None) -> str:
    """A record's time as `2026-01-02 03:04:05 UTC`; anything that is no such time is unchanged."""
    if utc is None:
        return ""
    match = _MOMENT.fullmatch(utc)
    if match is None:
        return utc
    return f"{match[1]} {match[2]} UTC"


def moment_without_zone(utc: str | None) -> str:
    """The same for a column of a table whose head names the zone."""
    return moment(utc).removesuffix(" UTC")


def minute(utc: str) -> str:
    """A record's time without its seconds and zone, for a narrow column: `2026-01-02 03:04`."""
    return utc[:16].replace("T", " ")


def minute_of(milliseconds: int | None) -> str:
    """Milliseconds since 1970 as `2026-01-02 03:04 UTC`; nothing for None.

    >>> minute_of(1_767_323_045_000)
    '2026-01-02 03:04 UTC'
    """
    if milliseconds is None:
        return ""
    # Imported only here: a run with nothing to do imports this module for its arguments.
    from datetime import UTC, datetime

    return f"{minute(datetime.fromtimestamp(milliseconds / 1000, tz=UTC).isoformat())} UTC"
