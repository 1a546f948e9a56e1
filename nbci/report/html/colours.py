"""Keep only the colours of a notebook's HTML, as rules of a style sheet that nbci writes.

pandas' Styler has them in a `<style>` by the ids of its cells, others in `style` attributes.
"""

from __future__ import annotations

import colorsys
import re
from functools import lru_cache, partial
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    _Parts = tuple[float, float, float]

_LIMIT = 500_000
_TABLE = re.compile(r"<table id=['\"](T_[A-Za-z0-9_-]{1,60})['\"]")
_STYLE = re.compile(r"<style\b[^>]*>", re.IGNORECASE)
_CELL = re.compile(r"#T_[A-Za-z0-9_-]{1,90}")
_COLOUR = r"(?:#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,20}|rgba?\([0-9]{1,3}(?:, ?[0-9.]{1,5}){2,3}\))"
_ALLOWED = {
    "background-color": re.compile(_COLOUR),
    "background": re.compile(
        rf"{_COLOUR}|linear-gradient\([0-9]{{1,3}}deg"
        rf"(?:, ?{_COLOUR}(?: [0-9.]{{1,8}}%){{0,2}}){{1,8}}\)"
    ),
    "color": re.compile(_COLOUR),
    "font-style": re.compile("italic|normal"),
    "font-weight": re.compile("bold|bolder|normal|[1-9]00"),
    "text-align": re.compile("left|right|center"),
    "text-decoration": re.compile("underline|line-through|none"),
}
_NAMED = {
    "black": "#000000",
    "blue": "#0000ff",
    "crimson": "#dc143c",
    "darkblue": "#00008b",
    "darkgreen": "#006400",
    "darkred": "#8b0000",
    "gold": "#ffd700",
    "gray": "#808080",
    "green": "#008000",
    "grey": "#808080",
    "lightblue": "#add8e6",
    "lightgray": "#d3d3d3",
    "lightgreen": "#90ee90",
    "navy": "#000080",
    "orange": "#ffa500",
    "pink": "#ffc0cb",
    "purple": "#800080",
    "red": "#ff0000",
    "teal": "#008080",
    "white": "#ffffff",
    "yellow": "#ffff00",
}
_TRANSLUCENT = re.compile(r"#(?:[0-9a-fA-F]{4}|[0-9a-fA-F]{8})|rgba.*(?<!, 1)(?<!,1)(?<!1\.0)\)")
_COLOURS = re.compile(r"#[0-9a-fA-F]{3,8}|rgba?\([^)]*\)|[a-zA-Z]{3,20}")
_ALPHA = re.compile(r"(?:, ?[0-9.]+){2}, ?([0-9]*\.?[0-9]+)\)")
_PAGES = (("#ffffff", "#1d2329"), ("#14181c", "#dce2e8"))
"""The colours of a page and of its text in the style sheet: light, then dark."""
_SHARES = range(100, 0, -10)
_SHARE_OF_UNKNOWN = 30
"""In per cent; on any colour so thin, both texts have the contrast that WCAG asks for."""
_NO_BACKGROUND = ("transparent", "none", "inherit", "initial", "unset")
_LONG_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})(?:[0-9a-fA-F]{2})?")
_SHORT_HEX = re.compile("#([0-9a-fA-F])([0-9a-fA-F])([0-9a-fA-F])[0-9a-fA-F]?")
_RGB = re.compile(r"rgba?\((\d+), ?(\d+), ?(\d+)")
# Where each hue ends, in degrees, and the style sheet's own colour for it.
_OWN = (
    (20, "var(--bad)"),
    (70, "var(--warm)"),
    (165, "var(--good)"),
    (250, "var(--link)"),
    (330, "var(--keyword)"),
    (361, "var(--bad)"),
)
_LEAST_CONTRAST = 4.5
"""To 1: https://www.w3.org/TR/WCAG21/#contrast-minimum"""
_BLACK, _WHITE = "#000000", "#ffffff"


def rename_taken_table(html: str, taken: Container[str]) -> str:
    """Rename the table that Styler made if the page already has a table with that name.

    `taken` are the ids of untrusted markup on the page, which begin with `u-`.
    """
    found = _TABLE.search(html[:_LIMIT])
    if found is None:
        return html
    name = new_name = found[1]
    numbers = count(2)
    # The name is random, unless the notebook sets it with `Styler.set_uuid`.
    while f"u-{new_name}" in taken:
        new_name = f"{name}-{next(numbers)}"
    return html.replace(name, new_name)


def colour_rules(html: str) -> tuple[str, ...]:
    """Return CSS rules for the cells of Styler's table, whose ids begin with `u-` on the page."""
    if len(html) > _LIMIT:
        return ()
    rules: list[str] = []
    for part in _STYLE.split(html)[1:]:
        sheet = part.partition("</style")[0]
        rules += _rules(sheet)
    return tuple(rules)


def _rules(sheet: str) -> Iterator[str]:
    for part in sheet.split("}")[:-1]:
        before, _, declarations = part.rpartition("{")
        # A rule within `@media` has the query and its brace before it.
        selectors = _cell_selectors(before.rpartition("{")[2])
        kept = look(declarations)
        if kept and selectors:
            yield rule(", ".join(selectors), kept)


def _cell_selectors(text: str) -> list[str]:
    """The selectors with the ids that the page has.

    None of them where one selects something else than a cell of Styler's table.
    """
    selectors = []
    for part in text.split(","):
        cell = part.strip()
        if not _CELL.fullmatch(cell):
            return []
        selectors.append(f"#u-{cell[1:]}")
    return selectors


@lru_cache(1024)
def look(declarations: str) -> Mapping[str, str]:
    """Keep the declarations that set colours, adjusted to be readable on light and dark pages."""
    kept: dict[str, str] = {}
    for declaration in declarations.split(";"):
        name, _, value = map(str.strip, declaration.partition(":"))
        if name in _ALLOWED and _ALLOWED[name].fullmatch(value):
            # In CSS the last declaration wins, and a dict keeps the place of the first.
            kept.pop(name, None)
            kept[name] = value
    background, text = _background(kept), kept.pop("color", None)
    if background:
        return {**kept, "color": _text_on(background, text)}
    if _thin_backgrounds(kept):
        return kept
    if text:
        own = _own_colour(text)
        if own:
            kept["color"] = own
    return kept


def rule(selector: str, kept: Mapping[str, str]) -> str:
    """A rule of CSS."""
    declarations = "; ".join(f"{name}: {value}" for name, value in kept.items())
    return f"{selector} {{ {declarations}; }}"


def _background(kept: Mapping[str, str]) -> str | None:
    """Return the colour behind the text, or None if the page's own background shows through.

    Gradients, which bars are made of, and translucent colours leave the page's own background
    visible too.
    """
    found = kept.get("background-color") or kept.get("background") or "none"
    if found in _NO_BACKGROUND or "gradient" in found or _TRANSLUCENT.fullmatch(found):
        return None
    return found


def _thin_backgrounds(kept: dict[str, str]) -> bool:
    """Let more of the page through where its own text could not be read; False without any.

    Bars lie behind numbers whose colour has to be that of the page: they end within a word.
    """
    found = False
    for name in ("background-color", "background"):
        value = kept.get(name, "none")
        if value in _NO_BACKGROUND:
            continue
        found = True
        direction, comma, stops = "", "", value
        if "gradient" in value:
            direction, comma, stops = value.partition(",")
        kept[name] = f"{direction}{comma}{_COLOURS.sub(_thin, stops)}"
    return found


def _thin(found: re.Match[str]) -> str:
    colour = found[0]
    share = _readable_share(colour)
    if share == 100:
        return colour
    return f"color-mix(in srgb, {colour} {share}%, transparent)"


def _readable_share(colour: str) -> int:
    """How much of a colour may lie over a page, in per cent, for its text to be read."""
    parts = _parts(colour)
    if colour in _NO_BACKGROUND:
        return 100
    if parts is None:
        return _SHARE_OF_UNKNOWN
    return next(filter(partial(_is_readable, parts, _opacity(colour)), _SHARES), _SHARES[-1])


def _is_readable(colour: _Parts, opacity: float, share: int) -> bool:
    """Whether the pages' own texts can be read on this share of a colour."""
    for page, text in _PAGES:
        behind = _mix(colour, _known_parts(page), opacity * share / 100)
        if _contrast(behind, _known_parts(text)) < _LEAST_CONTRAST:
            return False
    return True


def _mix(over: _Parts, page: _Parts, opacity: float) -> _Parts:
    red, green, blue = map(lambda one, other: opacity * one + (1 - opacity) * other, over, page)
    return red, green, blue


def _opacity(colour: str) -> float:
    if colour.startswith("#") and len(colour) in (5, 9):
        digits = colour[1 + 3 * (len(colour) // 4) :]
        return float(int(digits, 16) / (16 ** len(digits) - 1))
    found = _ALPHA.search(colour)
    if found is None:
        return 1.0
    return min(float(found[1]), 1.0)


def _text_on(background: str, text: str | None) -> str:
    """Return the colour of the text if it can be read on the background, else black or white.

    Readable means a contrast as WCAG asks for it.
    """
    behind = _parts(background)
    if behind is None:
        return text or _BLACK
    asked = _parts(text or "")
    if text and asked and _contrast(behind, asked) >= _LEAST_CONTRAST:
        return text
    return max((_BLACK, _WHITE), key=lambda colour: _contrast(behind, _parts(colour) or behind))


# Contrast and relative luminance as WCAG 2 defines them for sRGB.
def _contrast(one: _Parts, other: _Parts) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(parts: _Parts) -> float:
    red, green, blue = map(_linear, parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    if part <= 0.04045:
        return part / 12.92
    return float(((part + 0.055) / 1.055) ** 2.4)


def _own_colour(text: str) -> str | None:
    """Return the page's colour nearest in hue, which has a light and a dark form.

    None for black, white and grey.
    """
    parts = _parts(text)
    if parts is None:
        return None
    hue, saturation, value = colorsys.rgb_to_hsv(*parts)
    # Nearly grey or black: the text colour of the page is readable on light and dark.
    if saturation < 0.25 or value < 0.2:
        return None
    return next(name for end, name in _OWN if 360 * hue < end)


def _parts(colour: str) -> _Parts | None:
    """Red, green and blue from 0 to 1; None for a name that is not known here."""
    text = _NAMED.get(colour.lower(), colour)
    if found := _LONG_HEX.fullmatch(text):
        return _scale(found, base=16, most=255)
    if found := _SHORT_HEX.fullmatch(text):
        return _scale(found, base=16, most=15)
    if found := _RGB.match(text):
        return _scale(found, base=10, most=255)
    return None


def _known_parts(colour: str) -> _Parts:
    return _parts(colour) or (0.0, 0.0, 0.0)


def _scale(found: re.Match[str], *, base: int, most: int) -> _Parts:
    # Browsers take a part above the largest for the largest.
    red, green, blue = (min(int(part, base), most) / most for part in found.groups())
    return red, green, blue
