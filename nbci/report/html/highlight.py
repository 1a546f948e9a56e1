"""Mark the syntax of source code by classes, and make characters visible that no reader sees.

The code stays plain without pygments, or for a language that pygments does not know.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from nbci.formatting.text import clean, shorten
from nbci.report.html.markup import Markup, element, escape, fragment

_LIMIT = 100_000
_WIDE = 70
"""Characters of a line that a narrow page still shows."""
# A kernel reads these, a reader does not see them: https://trojansource.codes
# Those that join emoji or Arabic letters are left out: they are part of what is written.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_REORDERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_WARNING = (
    "This source holds characters that change the order in which it is shown; they are written out "
    "here."
)


def source_code(source: str, language: str) -> Markup:
    """The source in a `<pre>`, with a warning where it reads otherwise than it runs."""
    shown = _source(source, language)
    if not _REORDERING.search(source):
        return shown
    return fragment(shown, element("p", _WARNING, class_="note warning"))


def reveal_unseen(markup: Markup) -> Markup:
    """The markup with each character that would not be seen written out by its number."""

    def written_out(found: re.Match[str]) -> str:
        return f'<span class="unseen-character">U+{ord(found[0]):04X}</span>'

    return Markup(_UNSEEN.sub(written_out, markup))


def _source(source: str, language: str) -> Markup:
    # pygments takes seconds for megabytes, which nobody reads in a report.
    if len(source) > _LIMIT:
        short = shorten(source, _LIMIT)
        text = f"{short.head}\n… {short.left_out:,} characters are left out …\n{short.tail}"
        code = element("code", reveal_unseen(escape(text)))
        return element("pre", code, class_="source", tabindex=0)

    code = element("code", reveal_unseen(_with_syntax(clean(source), language)))
    # What may be wider than the page is scrolled with the keyboard, too.
    if any(len(line) > _WIDE for line in source.splitlines()):
        return element("pre", code, class_="source", tabindex=0)
    return element("pre", code, class_="source")


def _with_syntax(source: str, language: str) -> Markup:
    pygments = _pygments(language)
    if pygments is None:
        return escape(source)
    lexer, formatter, highlight = pygments
    # pygments ends what it writes with a newline, which the source may not have.
    return Markup(highlight(source, lexer, formatter).removesuffix("\n"))


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
    if language == "ipython":
        language = "python"
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None
    return lexer, HtmlFormatter(nowrap=True), highlight
