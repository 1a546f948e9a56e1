"""HTML built from values: whatever is not markup already is escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from nbci.formatting.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    return Markup("".join(_written(parts)))


def _written(parts: Iterable[str | None]) -> list[str]:
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
    return Markup("".join([start, *_written(children), f"</{tag}>"]))


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
    return element("ul", *[element("li", item) for item in items], class_=class_)


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
    titles, kept = _with_content(list(heads), [list(row) for row in rows])
    if is_stacked:
        inner = _stacked(caption, titles, kept, f"stacked {class_ or ''}".strip())
    else:
        head = element("tr", *(element("th", text, scope="col") for text in titles))
        inner = element(
            "table",
            element("caption", caption, class_="unseen"),
            element("thead", head),
            element("tbody", *(_row(*row) for row in kept)),
            class_=class_,
        )
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _with_content(heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    empty = {at for at in range(1, len(heads)) if rows and not any(row[at] for row in rows)}
    if not empty:
        return heads, rows

    def without_empty(row: list[str]) -> list[str]:
        return [text for at, text in enumerate(row) if at not in empty]

    return without_empty(heads), list(map(without_empty, rows))


def _stacked(caption: str, heads: list[str], rows: list[list[str]], class_: str) -> Markup:
    """Write out the roles of a table that can be stacked.

    Cells that the style sheet does not display as table cells would lose their roles otherwise.
    """
    head = element(
        "tr", *(element("th", text, scope="col", role="columnheader") for text in heads), role="row"
    )
    body = [_stacked_row(heads, row) for row in rows]
    return element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", head, role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        class_=class_,
        role="table",
    )


def _stacked_row(heads: list[str], row: list[str]) -> Markup:
    cells = [element("th", row[0], scope="row", role="rowheader")]
    for head, cell in zip(heads[1:], row[1:], strict=True):
        # Only a phone shows it; screen readers know the head from the column.
        label = element("span", head, class_="head", aria_hidden="true")
        cells.append(element("td", label, element("span", cell), role="cell"))
    return element("tr", *cells, role="row")


def _row(first: str, *cells: str) -> Markup:
    # Written out instead of by `element`, since a table may have thousands of rows.
    others = "".join([f"<td>{escape(cell)}</td>" for cell in cells])
    return Markup(f'<tr><th scope="row">{escape(first)}</th>{others}</tr>')


def fold(summary: str, *content: str | None, is_open: bool = False) -> Markup:
    """Content that a click on `summary` unfolds."""
    return element("details", element("summary", summary), *content, open=is_open)
