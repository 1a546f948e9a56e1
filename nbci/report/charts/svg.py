"""Write SVG as text: how a picture's file begins, the width of text, the form of numbers."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from nbci.formatting.text import clean
from nbci.report.html.markup import element

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.report.html.markup import Markup

FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif'


def svg_file(content: Markup, *, width: float, height: float, style: str, title: str) -> bytes:
    """Return the file of a picture that a page shows by `<img>`.

    A style sheet inside such a file works, scripts and links do not.
    """
    root = element(
        "svg",
        element("title", title),
        element("style", style),
        content,
        xmlns="http://www.w3.org/2000/svg",
        width=pixels(width),
        height=pixels(height),
        viewBox=f"0 0 {pixels(width)} {pixels(height)}",
    )
    return f"<?xml version='1.0' encoding='utf-8'?>\n{root}\n".encode()


def pixels(value: float) -> str:
    """Return a coordinate to a tenth of a pixel in its shortest form."""
    text = f"{value:.1f}".removesuffix(".0")
    # What rounds to zero from below would be written as -0.
    if value > -0.05:
        return text.replace("-0", "0")
    return text


def text_width(text: str, font_size: float) -> float:
    """About how many pixels the text takes in a sans-serif font; rather too many than too few."""
    wide = sum(map(_is_wide, text))
    return 0.57 * font_size * (len(text) - wide + 1.7 * wide)


def widest(texts: Iterable[str], font_size: float) -> float:
    """The width of the widest of the texts in pixels; 0 without any."""
    return max((text_width(text, font_size) for text in texts), default=0.0)


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"


def cut_middle(text: str, limit: int) -> str:
    """Return the text on one line; a longer one loses its middle.

    Its beginning and its end are kept, because names differ there.
    """
    line = " ".join(clean(text).split())
    if len(line) <= limit:
        return line
    tail = limit // 2
    return f"{line[: limit - tail - 1]}…{line[-tail:]}"
