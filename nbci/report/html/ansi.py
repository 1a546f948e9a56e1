"""Show terminal colours as `<span class="ansi-…">`.

A colour outside the sixteen named ones becomes the nearest of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from nbci.formatting.text import without_ansi
from nbci.report.html.markup import Markup, element, escape

if TYPE_CHECKING:
    from collections.abc import Iterator

# "Select graphic rendition" of ECMA-48; programs part the codes by `;` or, as ISO 8613-6, by `:`.
_SGR = re.compile(r"\x1b\[([0-9;:]*)m")
_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_STYLES = {1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse", 9: "strike"}
_ENDS = {
    22: ("bold", "faint"),
    23: ("italic",),
    24: ("underline",),
    27: ("inverse",),
    29: ("strike",),
}
# xterm's own sixteen colours: https://invisible-island.net/xterm/
_PALETTE = (
    *(
        (0, 0, 0),
        (205, 0, 0),
        (0, 205, 0),
        (205, 205, 0),
        (0, 0, 238),
        (205, 0, 205),
        (0, 205, 205),
        (229, 229, 229),
    ),
    *(
        (127, 127, 127),
        (255, 0, 0),
        (0, 255, 0),
        (255, 255, 0),
        (92, 92, 255),
        (255, 0, 255),
        (0, 255, 255),
    ),
    (255, 255, 255),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    foreground: int | None = None
    background: int | None = None
    styles: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        names = [f"ansi-{style}" for style in sorted(self.styles)]
        if self.foreground is not None:
            names.append(f"ansi-{_colour_name(self.foreground)}-fg")
        if self.background is not None:
            names.append(f"ansi-{_colour_name(self.background)}-bg")
        return " ".join(names)


def ansi_to_html(text: str) -> Markup:
    """The text escaped, with its colours as spans and without any other terminal sequence."""
    if "\x1b" not in text:
        return escape(text)
    parts: list[str] = []
    look, at = _Look(), 0
    for match in _SGR.finditer(text):
        parts.append(_with_look(text[at : match.start()], look))
        look = _apply_codes(look, match[1])
        at = match.end()
    parts.append(_with_look(text[at:], look))
    return Markup("".join(parts))


def _with_look(text: str, look: _Look) -> Markup:
    plain = without_ansi(text)
    if plain and look.classes:
        return element("span", plain, class_=look.classes)
    return escape(plain)


def _apply_codes(look: _Look, parameters: str) -> _Look:
    # An empty code means 0. Cut, because Python refuses to convert numbers of over 4300 digits.
    codes = iter([int(code[:4] or "0") for code in re.split("[;:]", parameters)])
    for code in codes:
        look = _apply_code(look, code, codes)
    return look


def _apply_code(look: _Look, code: int, following: Iterator[int]) -> _Look:
    """The look after one code, which may take its colour from those that follow."""
    match code:
        case 0:
            return _Look()
        case _ if code in _STYLES:
            return replace(look, styles=look.styles | {_STYLES[code]})
        case _ if code in _ENDS:
            return replace(look, styles=look.styles - set(_ENDS[code]))
        case 38:
            return replace(look, foreground=_extended_colour(following))
        case 48:
            return replace(look, background=_extended_colour(following))
        case 39:
            return replace(look, foreground=None)
        case 49:
            return replace(look, background=None)
        case _ if 30 <= code <= 37:
            return replace(look, foreground=code - 30)
        case _ if 40 <= code <= 47:
            return replace(look, background=code - 40)
        # The bright forms are 8 to 15 in the palette.
        case _ if 90 <= code <= 97:
            return replace(look, foreground=code - 90 + 8)
        case _ if 100 <= code <= 107:
            return replace(look, background=code - 100 + 8)
    return look


def _extended_colour(following: Iterator[int]) -> int | None:
    """The nearest named colour of one given by its index (mode 5) or its parts (mode 2)."""
    mode = next(following, None)
    if mode == 5:
        index = next(following, None)
        if index is None or index < 16:
            return index
        return _nearest(*_of_256(min(index, 255)))
    if mode == 2:
        return _nearest(next(following, 0), next(following, 0), next(following, 0))
    return None


def _of_256(index: int) -> tuple[int, int, int]:
    if index >= 232:
        grey = 8 + 10 * (index - 232)
        return grey, grey, grey
    # The colour cube of xterm: its six levels are not evenly spaced.
    levels = (0, 95, 135, 175, 215, 255)
    index -= 16
    return levels[index // 36], levels[index // 6 % 6], levels[index % 6]


# A picture drawn in a terminal names its few colours thousands of times.
@cache
def _nearest(red: int, green: int, blue: int) -> int:
    def distance(at: int) -> int:
        other = _PALETTE[at]
        return (red - other[0]) ** 2 + (green - other[1]) ** 2 + (blue - other[2]) ** 2

    return min(range(16), key=distance)


def _colour_name(index: int) -> str:
    name = _COLOURS[index % 8]
    if index >= 8:
        return f"{name}-intense"
    return name
