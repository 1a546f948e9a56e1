"""HTML built from values: whatever is not markup already is escaped."""

from __future__ import annotations

import html
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING

from nbci.formatting.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Of HTML's void elements, which have no end tag, those that nbci writes.
_VOID = frozenset({"br", "hr", "img", "link", "meta"})


class Markup(str):
    """Text that is HTML.

    It is made by `element`, by `fragment`, and by functions that escape or filter text themselves.
    """

    __slots__ = ()


def escape(text: str) -> Markup:
    """The text as HTML; markup stays as it is."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(clean(text)))


def fragment(*parts: str | None) -> Markup:
    """The parts one after another, escaped where they are no markup; None is left out."""
    return Markup("".join(_escape_all(parts)))


def _escape_all(parts: Iterable[str | None]) -> list[str]:
    # A list, not a generator: `join` would make one of it, and pages have thousands of elements.
    return [escape(part) for part in parts if part is not None]


def element(tag: str, *children: str | None, **attributes: str | int | bool | None) -> Markup:
    """An element; attributes of None and False are left out.

    `class_` stands for `class`, `_` within a name for `-`.
    """
    start = f"<{tag}{_attributes_text(attributes)}>"
    if tag in _VOID:
        return Markup(start)
    # A parser drops the first newline of a <pre>, so one more keeps the text as it was.
    if tag == "pre":
        start += "\n"
    return Markup("".join([start, *_escape_all(children), f"</{tag}>"]))


def _attributes_text(attributes: Mapping[str, str | int | bool | None]) -> str:
    text = ""
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        text += f" {name.strip('_').replace('_', '-')}"
        if value is not True:
            text += f'="{escape(str(value))}"'
    return text


def optional(tag: str, content: str | None, **attributes: str | int | bool | None) -> Markup | None:
    """The element with its content; None, which `element` leaves out, where there is no content."""
    if not content:
        return None
    return element(tag, content, **attributes)


def item_list(items: Iterable[str], *, class_: str | None = None) -> Markup:
    """A list with a bullet for each item."""
    return element("ul", *map(partial(element, "li"), items), class_=class_)


def table(
    caption: str,
    heads: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    class_: str | None = None,
    is_stacked: bool = False,
) -> Markup:
    """A table whose rows are headed by their first cell; columns without any content are left out.

    It scrolls in a box of its own when the page is narrow; with `is_stacked`, a phone shows each
    cell on a line.
    """
    titles, kept = _without_empty_columns(list(heads), list(map(list, rows)))
    if is_stacked:
        inner = _stacked_table(caption, titles, kept, f"stacked {class_ or ''}".strip())
    else:
        inner = element(
            "table",
            element("caption", caption, class_="unseen"),
            element("thead", _head_row(titles)),
            element("tbody", *map(_row, kept)),
            class_=class_,
        )
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _without_empty_columns(
    heads: list[str], rows: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    if not rows:
        return heads, rows
    wanted = list(map(any, zip(*rows, strict=True)))
    # The first cell heads its row, also where all of them are empty.
    wanted[:1] = [True]
    if all(wanted):
        return heads, rows
    return list(compress(heads, wanted)), [list(compress(row, wanted)) for row in rows]


def _head_row(
    heads: Iterable[str], *, row_role: str | None = None, cell_role: str | None = None
) -> Markup:
    cell = partial(element, "th", scope="col", role=cell_role)
    return element("tr", *map(cell, heads), role=row_role)


def _stacked_table(caption: str, heads: list[str], rows: list[list[str]], class_: str) -> Markup:
    """Write out the roles of a table that can be stacked.

    Cells that the style sheet does not display as table cells would lose their roles otherwise.
    """
    head = _head_row(heads, row_role="row", cell_role="columnheader")
    # Only a phone shows them; screen readers know the head from the column.
    labels = [element("span", head, class_="head", aria_hidden="true") for head in heads[1:]]
    return element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", head, role="rowgroup"),
        element("tbody", *map(partial(_stacked_row, labels), rows), role="rowgroup"),
        class_=class_,
        role="table",
    )


def _stacked_row(labels: Sequence[str], row: Sequence[str]) -> Markup:
    first, *cells = row
    text = f'<tr role="row"><th scope="row" role="rowheader">{escape(first)}</th>'
    for label, cell in zip(labels, cells, strict=True):
        text += f'<td role="cell">{label}<span>{escape(cell)}</span></td>'
    return Markup(f"{text}</tr>")


def _row(row: Sequence[str]) -> Markup:
    # Written out instead of by `element`, since a table may have thousands of rows.
    first, *cells = row
    others = "".join([f"<td>{escape(cell)}</td>" for cell in cells])
    return Markup(f'<tr><th scope="row">{escape(first)}</th>{others}</tr>')


def fold(summary: str, *content: str | None, is_open: bool = False) -> Markup:
    """Content that a click on `summary` unfolds."""
    return element("details", element("summary", summary), *content, open=is_open)
