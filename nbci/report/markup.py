"""HTML built from values: whatever is not markup already is escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from nbci.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

_VOID = frozenset({"br", "hr", "img", "link", "meta"})


class Markup(str):
    """Text that is HTML; made by `element`, by `fragment`, and by what escapes or filters text itself."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """The text as HTML; markup stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(clean(text)))


def fragment(*parts: str | None) -> Markup:
    """The parts one after another, escaped where they are no markup; None is left out."""
    return Markup("".join(_written(parts)))


def _written(parts: Iterable[str | None]) -> list[str]:
    return [escaped(part) for part in parts if part is not None]


def element(tag: str, *children: str | None, **attributes: str | int | bool | None) -> Markup:
    """An element. `class_` stands for `class`, `_` within a name for `-`; attributes of None and False are left out."""
    written = "".join(
        f" {name.strip('_').replace('_', '-')}" + ("" if value is True else f'="{escaped(str(value))}"')
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    # A parser drops the first newline of a <pre>, so one more keeps the text as it was.
    start = "\n" if tag == "pre" else ""
    return Markup("".join([f"<{tag}{written}>{start}", *_written(children), f"</{tag}>"]))


def table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[str]], *, class_: str | None = None) -> Markup:
    """A table whose rows are headed by their first cell, in a box that scrolls when the page is narrow."""
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    body = [_row(*row) for row in rows]
    inner = element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", head),
        element("tbody", *body),
        class_=class_,
    )
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _row(first: str, *cells: str) -> Markup:
    """Written out, since a table may have thousands."""
    others = "".join([f"<td>{escaped(cell)}</td>" for cell in cells])
    return Markup(f'<tr><th scope="row">{escaped(first)}</th>{others}</tr>')


def folded(summary: str, *content: str | None, is_open: bool = False) -> Markup:
    """Content that a click on `summary` unfolds."""
    return element("details", element("summary", summary), *content, open=is_open)
