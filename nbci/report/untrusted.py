"""HTML and Markdown that a notebook brought along, reduced to what cannot do anything."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from nbci.report.markup import Markup, escaped
from nbci.report.text import clean

if TYPE_CHECKING:
    from markdown_it.token import Token

_KEPT = {"b", "br", "caption", "code", "div", "em", "i", "p", "pre", "span", "strong"}
_KEPT |= {"table", "tbody", "td", "tfoot", "th", "thead", "tr"}
_VOID = frozenset({"br"})
_ATTRIBUTES = {"colspan", "rowspan"}
_SCOPES = {"row", "col", "rowgroup", "colgroup"}


class _Refused(Exception):
    """The HTML holds something that is not on the list."""


class _Filter(HTMLParser):
    """Writes the elements on the list again, balanced, without attributes but a table's spans and scopes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.open: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "style":
            self.in_style = True
            return
        if tag not in _KEPT:
            raise _Refused(tag)
        written = "".join(f' {name}="{value}"' for name, value in attrs if _is_kept(name, value))
        self.parts.append(f"<{tag}{written}>")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self.in_style = False
        elif tag in self.open:
            while (last := self.open.pop()) != tag:
                self.parts.append(f"</{last}>")
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.in_style:
            self.parts.append(escaped(data))


def _is_kept(name: str, value: str | None) -> bool:
    if name in _ATTRIBUTES:
        return value is not None and value.isascii() and value.isdecimal() and 0 < int(value[:9]) <= 1000
    return name == "scope" and value in _SCOPES


def filtered(source: str) -> Markup | None:
    """The HTML without styles and attributes; None when it holds any element that is not on the list, or nothing."""
    parser = _Filter()
    try:
        parser.feed(clean(source))
        parser.close()
    except _Refused:
        return None
    written = "".join(parser.parts) + "".join(f"</{tag}>" for tag in reversed(parser.open))
    return Markup(written) if any(part.strip() and not part.startswith("<") for part in parser.parts) else None


def from_markdown(source: str) -> Markup:
    """Markdown as HTML: HTML in it is shown as text, pictures by their description, only links to the web are links."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = parser.parse(clean(source))
    for token in tokens:
        # Alignment would be an inline style, which Jenkins' policy refuses.
        token.attrs.pop("style", None)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
        if token.children:
            token.children = _harmless(token.children)
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def _harmless(tokens: list[Token]) -> list[Token]:
    kept: list[Token] = []
    links: list[bool] = []
    for token in tokens:
        if token.type == "link_open":
            links.append(str(token.attrs.get("href", "")).lower().startswith(("https://", "http://", "mailto:")))
        if token.type in ("link_open", "link_close"):
            if links[-1]:
                kept.append(token)
            if token.type == "link_close":
                links.pop()
            continue
        if token.type == "image":
            token.type, token.tag, token.content = "text", "", f"[picture: {token.content}]"
            token.attrs, token.children = {}, None
        kept.append(token)
    return kept
