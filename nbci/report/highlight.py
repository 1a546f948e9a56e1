"""Source code with its syntax marked by classes; without pygments, or for a language it does not know, plain."""

from __future__ import annotations

from functools import cache
from typing import Any

from nbci.report.markup import Markup, element, escaped
from nbci.report.text import clean, shortened

_LIMIT = 100_000


def source_code(source: str, language: str) -> Markup:
    """The source in a `<pre>`."""
    if len(source) > _LIMIT:
        short = shortened(source, _LIMIT)
        text = f"{short.head}\n… {short.left_out:,} characters are left out …\n{short.tail}"
        return element("pre", element("code", text), class_="source")
    return element("pre", element("code", _marked(clean(source), language)), class_="source")


def _marked(source: str, language: str) -> Markup:
    pygments = _pygments(language)
    if pygments is None:
        return escaped(source)
    lexer, formatter, highlight = pygments
    marked = Markup(highlight(source, lexer, formatter))
    return Markup(marked.removesuffix("\n"))


@cache
def _pygments(language: str) -> tuple[Any, Any, Any] | None:
    try:
        from pygments import highlight  # type: ignore[import-untyped]  # it ships no types
        from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped]  # it ships no types
        from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]  # it ships no types
        from pygments.util import ClassNotFound  # type: ignore[import-untyped]  # it ships no types
    except ImportError:
        return None
    try:
        lexer = get_lexer_by_name("python" if language == "ipython" else language, stripnl=False)
    except ClassNotFound:
        return None
    return lexer, HtmlFormatter(nowrap=True), highlight
