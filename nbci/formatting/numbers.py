"""Numbers, counts and lists, as the terminal, the report, model cards and Jenkins show them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"
ABSENT = "—"
"""What stands in tables for a value that one of two runs does not have."""

# Above this, floats no longer tell neighbouring whole numbers apart for long (2**53 is 9.0e15).
_LARGEST_WHOLE = 1e15


def number(value: float) -> str:
    """A metric's value in six significant digits; NaN and the infinities by name.

    >>> [number(value) for value in (0.9736111111, 1797.0)]
    ['0.973611', '1797']
    """
    if math.isnan(value):
        return "NaN"
    if value == math.inf:
        return "infinity"
    if value == -math.inf:
        return "-infinity"
    if float(value).is_integer() and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    return f"{value:.6g}"


def rough(value: float) -> str:
    """A difference in four significant digits: a subtraction leaves no more of them."""
    return number(float(f"{value:.4g}"))


def brief(value: float) -> str:
    """A number in two significant digits, such as the size of a noise that few values show.

    >>> brief(0.00638), brief(324.7), brief(-0.5) == f"{MINUS}0.5"
    ('0.0064', '320', True)
    """
    text = number(float(f"{abs(value):.2g}"))
    if value < 0:
        return f"{MINUS}{text}"
    return text


def number_or_blank(value: float | None) -> str:
    """A metric's value; an empty cell where there is none."""
    if value is None:
        return ""
    return number(value)


def signed(change: float) -> str:
    """A difference with its sign: a plus, or a minus as wide as a plus.

    >>> signed(0.0123456), signed(-0.5) == f"{MINUS}0.5", signed(0)
    ('+0.01235', True, '0')
    """
    if change > 0:
        return f"+{rough(change)}"
    # An exponent keeps its own sign.
    if change < 0:
        return f"{MINUS}{rough(-change)}"
    return rough(change)


def measured(value: float, unit: str | None) -> str:
    """A metric's value with its unit; a ratio is just a number."""
    if not unit or unit == "ratio":
        return number(value)
    return f"{number(value)} {unit}"


def measured_or_dash(value: float | None, unit: str | None = None) -> str:
    """A metric's value, or a dash where a run has none."""
    if value is None:
        return ABSENT
    return measured(value, unit)


def counted(count: int, noun: str) -> str:
    """`1 line`, `2 lines`, `1,000 lines`."""
    if count == 1:
        return f"{count} {noun}"
    return f"{count:,} {noun}s"


def listed(names: Sequence[str], most: int, *, between: str = ", ") -> str:
    """The first `most` names and how many more there are: `a, b and 3 more`."""
    return between.join(names[:most]) + and_more(len(names), most)


def and_more(total: int, shown: int, noun: str | None = None) -> str:
    """What follows a list of which some are shown: ` and 3 more`, nothing where all are.

    >>> and_more(1203, 3), and_more(4, 3, "line"), and_more(3, 3)
    (' and 1,200 more', ' and 1 more line', '')
    """
    if total <= shown:
        return ""
    if noun is not None:
        return f" and {counted(total - shown, f'more {noun}')}"
    return f" and {total - shown:,} more"
