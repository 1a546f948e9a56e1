"""The colours of a table that pandas' Styler made: of the style sheet that it brings along, what only colours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT = 500_000
_STYLE = re.compile(r"<style\b[^>]*>", re.IGNORECASE)
_CELL = re.compile(r"#T_[A-Za-z0-9_-]{1,90}")
_COLOUR = r"(?:#[0-9a-fA-F]{3,8}|[a-zA-Z]{3,20}|rgba?\([0-9]{1,3}(?:, ?[0-9.]{1,5}){2,3}\))"
_ALLOWED = {
    "background-color": re.compile(_COLOUR),
    "background": re.compile(
        rf"{_COLOUR}|linear-gradient\([0-9]{{1,3}}deg(?:, ?{_COLOUR}(?: [0-9.]{{1,8}}%){{0,2}}){{1,8}}\)"
    ),
    "color": re.compile(_COLOUR),
    "font-style": re.compile("italic|normal"),
    "font-weight": re.compile("bold|bolder|normal|[1-9]00"),
    "text-align": re.compile("left|right|center"),
    "text-decoration": re.compile("underline|line-through|none"),
}
_DARK, _LIGHT = "#1d2329", "#ffffff"


def colour_rules(html: str) -> tuple[str, ...]:
    """CSS rules for the cells of the table, whose ids begin with `u-` in a page of ours."""
    if len(html) > _LIMIT:
        return ()
    sheets = [part.partition("</style")[0] for part in _STYLE.split(html)[1:]]
    return tuple(rule for sheet in sheets for rule in _rules(sheet))


def _rules(sheet: str) -> Iterator[str]:
    for rule in sheet.split("}")[:-1]:
        before, _, declarations = rule.rpartition("{")
        cells = [selector.strip() for selector in before.rpartition("{")[2].split(",")]
        kept = _kept(declarations)
        if kept and all(_CELL.fullmatch(cell) for cell in cells):
            looks = "; ".join(f"{name}: {value}" for name, value in kept.items())
            yield f"{', '.join(f'#u-{cell[1:]}' for cell in cells)} {{ {looks}; }}"


def _kept(declarations: str) -> dict[str, str]:
    kept: dict[str, str] = {}
    for declaration in declarations.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name in _ALLOWED and _ALLOWED[name].fullmatch(value):
            kept.pop(name, None)
            kept[name] = value
    background = kept.get("background-color")
    if background and "color" not in kept:
        # The page's own text may be light: what the notebook's author saw was dark on this.
        kept["color"] = _readable_on(background)
    return kept


def _readable_on(background: str) -> str:
    found = re.fullmatch("#([0-9a-fA-F]{6})", background)
    if found is None:
        return _DARK
    red, green, blue = bytes.fromhex(found[1])
    return _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else _LIGHT
