"""The frame of every page of the report, and how results, times and lists of facts look."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbci.formatting.durations import moment
from nbci.formatting.numbers import and_more
from nbci.formatting.text import short_line
from nbci.report.html.markup import Markup, element, fragment, item_list, optional, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.report.data.view import ShownStep

# In characters: both are texts of the pipeline file, of any length.
_LONGEST_NOTE = 500
_LONGEST_PARAGRAPH = 2_000
SIGNS = {
    "passed": "✓",
    "complete": "✓",
    "earlier": "↺",
    "pruned": "▽",
    "failed": "✗",
    "reused": "↺",
    "skipped": "○",
    "running": "…",
    "waiting": "○",
    "interrupted": "■",
    "not run": "○",
    "refused": "✗",
    "warned": "!",
    "overridden": "!",
    "left out": "○",
    "drifted": "✗",
}


def page(
    title: str,
    *,
    root: str,
    header: Markup,
    main: Markup,
    footer: str,
    contents: Markup | None = None,
    sheet: str | None = None,
) -> bytes:
    """A whole page as UTF-8.

    `root` leads from the page to the report's folder, `contents` links to the page's own parts.
    `sheet` is the address of a style sheet for this page alone.
    """
    class_ = None
    if contents:
        class_ = "with-contents"
    body = element(
        "body",
        # The first thing that the keyboard reaches (WCAG 2.4.1, "Bypass Blocks").
        element("a", "Skip to the content", href="#content", class_="skip"),
        element("header", header),
        contents,
        element("main", main, id="content"),
        element("footer", element("p", footer)),
        class_=class_,
    )
    html = element("html", _head(title, root, sheet), body, lang="en")
    return f"<!doctype html>\n{html}\n".encode()


def _head(title: str, root: str, sheet: str | None) -> Markup:
    own_sheet = None
    if sheet:
        own_sheet = element("link", rel="stylesheet", href=sheet)
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("title", title),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="stylesheet", href=f"{root}style.css"),
        own_sheet,
    )


def verdict(result: str) -> Markup:
    """A result as a word with a sign; its colour only repeats it."""
    # A screen reader would read the sign's name before the word that says the same.
    sign = element("span", SIGNS.get(result, ""), aria_hidden="true")
    return element("span", sign, " ", result, class_=f"verdict {result.replace(' ', '-')}")


def time(utc: str | None) -> Markup:
    """A moment of the record."""
    shown = moment(utc)
    # `moment` gives back what it cannot read, and that is no value for `datetime` either.
    if utc and shown != utc:
        return element("time", shown, datetime=utc)
    return fragment(shown)


def facts(pairs: Iterable[tuple[str, str | None]]) -> Markup:
    """A list of names with what they are; pairs without a second part are left out."""
    shown = [
        element("div", element("dt", name), element("dd", what)) for name, what in pairs if what
    ]
    return element("dl", *shown, class_="facts")


def description_paragraphs(description: str | None) -> Markup | None:
    """What the pipeline file says of the whole or of a step, for under the page's title."""
    if description is None:
        return None
    # YAML's `|` keeps the line ends of whoever wrapped the text; only blank lines mean something.
    paragraphs = re.split(r"\n\s*\n", description.strip())
    shown = []
    for paragraph in paragraphs:
        line = short_line(paragraph, _LONGEST_PARAGRAPH)
        shown.append(optional("p", line, class_="description"))
    return fragment(*shown)


def with_note(text: str, note: str | None) -> Markup:
    """The text, and on a line under it what there is to know about it."""
    return fragment(text, optional("span", short_line(note or "", _LONGEST_NOTE), class_="under"))


def step_link(step: ShownStep) -> Markup | str:
    """The step's name; a link to its page, where it has one, from the report's folder."""
    if step.page is None:
        return step.record.name
    return element("a", step.record.name, href=step.page)


def section(title: str, *content: str | None, anchor: str, class_: str | None = None) -> Markup:
    """A part of the page under its heading."""
    heading = element("h2", title, id=f"{anchor}-title")
    return element(
        "section", heading, *content, id=anchor, class_=class_, aria_labelledby=f"{anchor}-title"
    )


def table_section(
    title: str,
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    anchor: str,
) -> Markup | None:
    """A part of the page that is one table; None where it has no rows."""
    if not rows:
        return None
    return section(title, table(caption, heads, rows, is_stacked=True), anchor=anchor)


def left_out_note(total: int, limit: int) -> Markup | None:
    """How many items of a list or a table are not shown; None where all of them are."""
    if total <= limit:
        return None
    return element("p", f"…{and_more(total, limit)}.", class_="note")


def contents_of(parts: Mapping[str, Markup]) -> Markup:
    """Links to the parts of the page by their titles."""
    links = []
    for title, part in parts.items():
        # A part is known by the id of the first element in it.
        anchor = part.partition(' id="')[2].partition('"')[0]
        links.append(element("a", title, href=f"#{anchor}"))
    return element("nav", item_list(links), class_="contents", aria_label="Parts of this page")
