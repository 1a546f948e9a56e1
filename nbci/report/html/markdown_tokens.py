"""Markdown as Jupyter reads it: its HTML, not sanitised yet, its formulas, and its headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import clean, short_line
from nbci.report.html.markup import Markup, element
from nbci.report.html.mathml import mathml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

# `clean` removes these noncharacters from a notebook's text: only placeholders hold them.
PLACEHOLDER = re.compile("\ufdd0(\\d+)\ufdd1")
"""Stands in HTML for a part by its number, which is put in once the HTML is sanitised."""
_LONGEST_HEADING = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading as plain text, from level 1 to 6, and the id that it asks for."""

    level: int
    text: str
    wanted_id: str


def placeholder(number: int) -> str:
    """What stands in HTML for the part of that number."""
    return f"\ufdd0{number}\ufdd1"


def markdown_to_html(source: str) -> tuple[str, list[Markup]]:
    """The HTML, in which numbered placeholders stand for its formulas, and these as MathML."""
    formulas: list[Markup] = []
    parser = _parser()
    tokens = parser.parse(source)
    _prepare(tokens, formulas)
    return parser.renderer.render(tokens, parser.options, {}), formulas


def find_headings(source: str) -> Iterator[Heading]:
    """The headings that say something, in order; those written as HTML are left out."""
    tokens = _parser().parse(clean(source))
    for at, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        inline = tokens[at + 1]
        text = short_line(_plain_text(inline.children or ()), _LONGEST_HEADING)
        if text:
            level = int(token.tag.removeprefix("h"))
            yield Heading(level=level, text=text, wanted_id=_heading_id(inline))


def _plain_text(tokens: Sequence[Token]) -> str:
    texts = []
    for token in tokens:
        if token.type == "image":
            texts.append(_plain_text(token.children or ()))
        # Tags in between are markup like that of Markdown itself.
        elif token.type != "html_inline":
            texts.append(token.content or " " * token.type.endswith("break"))
    return "".join(texts)


def _heading_id(inline: Token) -> str:
    """The id that Jupyter gives the heading with this content."""
    return inline.content.replace(" ", "-")


@cache
def _parser() -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.amsmath import amsmath_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    # Which links and pictures are shown is decided after it, for Markdown and HTML alike.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # it is made to be
    return parser.use(
        dollarmath_plugin, allow_labels=False, allow_digits=False, double_inline=True
    ).use(amsmath_plugin)


def _prepare(tokens: Sequence[Token], formulas: list[Markup]) -> None:
    """Replace formulas by placeholders, add Jupyter's heading ids, turn alignment into a class."""
    for at, token in enumerate(tokens):
        if token.type.startswith(("math", "amsmath")):
            formulas.append(_formula(token))
            token.type, token.content = "html_block", placeholder(len(formulas) - 1)
        elif token.type == "heading_open":
            token.attrs["id"] = _heading_id(tokens[at + 1])
        elif token.type in ("th_open", "td_open") and (style := str(token.attrs.pop("style", ""))):
            token.attrs |= {"class": style.replace("text-align:", "to-")}
        elif token.children:
            _prepare(token.children, formulas)


def _formula(token: Token) -> Markup:
    block = token.type not in ("math_inline", "math_single")
    shown = mathml(token.content, block=block)
    if shown is None:
        # The environment's own \begin and \end are in the content already.
        if token.type == "amsmath":
            return element("code", token.content)
        return element("code", f"{token.markup}{token.content}{token.markup}")
    # A `<div>` within a line of text would end its paragraph.
    if block and token.type != "math_inline_double":
        return element("div", shown, class_="math")
    return shown
