from __future__ import annotations

import math

import pytest

from nbci.formatting.durations import duration, moment, moment_without_zone


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (math.nan, ""),
        (-1, "0 ms"),
        (0.0012, "1 ms"),
        (0.04, "40 ms"),
        (0.25, "0.25 s"),
        (3.21, "3.2 s"),
        (9.96, "10.0 s"),
        (59.9, "59.9 s"),
        (59.97, "1 min 00 s"),
        (90, "1 min 30 s"),
        (725, "12 min 05 s"),
        (3599.6, "1 h 00 min"),
        (3600, "1 h 00 min"),
        (7380, "2 h 03 min"),
        (11_220, "3 h 07 min"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("utc", "shown"),
    [
        ("2026-01-02T03:04:05.678Z", "2026-01-02 03:04:05 UTC"),
        ("2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05 UTC"),
        ("yesterday", "yesterday"),
        (None, ""),
    ],
)
def test_moments(utc: str | None, shown: str) -> None:
    assert moment(utc) == shown
    assert moment_without_zone(utc) == shown.removesuffix(" UTC")
