"""The colours of pictures, on light and on dark pages.

An SVG file stands by itself in a pull request or a browser's tab, so it cannot use the variables of
the report's `style.css`. The test of this module compares the two.
"""

from __future__ import annotations

from typing import NamedTuple


class Colour(NamedTuple):
    """A colour as CSS has it, for light and for dark pages."""

    light: str
    dark: str


PAGE = Colour("#fff", "#14181c")
TEXT = Colour("#1d2329", "#dce2e8")
QUIET = Colour("#59636e", "#9aa5b0")
LINE = Colour("#d5dbe1", "#363e46")
LINK = Colour("#0a5cad", "#7db6f0")
GOOD = Colour("#17692f", "#6cc788")
BAD = Colour("#b3261e", "#ff9a90")
KEYWORD = Colour("#8250a8", "#cfa5ee")

LEVELS = (
    Colour("#eaf1f8", "#1a232c"),
    Colour("#d6e4f2", "#1e2d3a"),
    Colour("#bcd4ea", "#22384a"),
    Colour("#9bbfe0", "#27455e"),
    Colour("#3876b3", "#6fa5d8"),
    Colour("#2a6bab", "#86b7e5"),
    Colour("#195696", "#9dc8f0"),
    Colour("#0b407a", "#b6d8f8"),
)
"""From little to much."""
