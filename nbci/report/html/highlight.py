"""Mark the syntax of source code by classes.

The code stays plain without pygments, or for a language that pygments does not know.

What no reader sees, but a kernel reads, is made visible: https://trojansource.codes
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from nbci.formatting.text import clean, shorten
from nbci.report.html.markup import Markup, element, escaped, fragment

_LIMIT = 100_000
_WIDE = 70
# Those that join emoji or Arabic letters stay: they are part of what is written.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def source_code(source: str, language: str) -> Markup:
    """The source in a `<pre>`, with a warning where it reads otherwise than it runs."""
    shown = _source(source, language)
    if not _TURNS.search(source):
        return shown
    warning = "This source holds characters that change the order in which it is shown; they are written out here."
    return fragment(shown, element("p", warning, class_="note warning"))


def revealed(markup: Markup) -> Markup:
    """The markup with each character that would not be seen written out by its number."""
    return Markup(
        _UNSEEN.sub(
            lambda found: f'<span class="unseen-character">U+{ord(found[0]):04X}</span>', markup
        )
    )


def _source(source: str, language: str) -> Markup:
    if len(source) > _LIMIT:
        short = shorten(source, _LIMIT)
        text = f"{short.head}\n… {short.left_out:,} characters are left out …\n{short.tail}"
        return element("pre", element("code", revealed(escaped(text))), class_="source", tabindex=0)
    # What may be wider than the page is scrolled with the keyboard, too.
    is_wide = any(len(line) > _WIDE for line in source.splitlines())
    code = element("code", revealed(_marked(clean(source), language)))
    return element("pre", code, class_="source", tabindex=0 if is_wide else None)


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
        # pygments ships no types.
        from pygments import highlight  # type: ignore[import-untyped]
        from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped]
        from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
        from pygments.util import ClassNotFound  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        lexer = get_lexer_by_name("python" if language == "ipython" else language, stripnl=False)
    except ClassNotFound:
        return None
    return lexer, HtmlFormatter(nowrap=True), highlight
