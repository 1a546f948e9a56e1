"""When two floats count as equal: in outputs that are shown again, in runs that are proved."""

from __future__ import annotations

import math

RELATIVE_TOLERANCE = 1e-6
"""A share of the larger number.

About the seventh digit: beyond float32's own rounding and what the order of its additions changes,
below what people print and compare.
"""
ABSOLUTE_TOLERANCE = 1e-12
"""Around zero no share is small."""


def are_close(one: float, other: float, relative: float = RELATIVE_TOLERANCE) -> bool:
    """Whether the two differ by at most that share of the larger one, or by next to nothing."""
    return math.isclose(one, other, rel_tol=relative, abs_tol=ABSOLUTE_TOLERANCE)
