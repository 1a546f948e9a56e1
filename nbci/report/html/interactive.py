"""Name the outputs that need a script, a player or a viewer, and what replaces them on a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import joined_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAMES = (
    ("application/vnd.plotly", "a Plotly figure"),
    ("application/vnd.bokeh", "a Bokeh plot"),
    ("application/vnd.holoviews", "a HoloViews plot"),
    ("application/vnd.vegalite", "a Vega-Lite chart"),
    ("application/vnd.vega", "a Vega chart"),
    ("application/vnd.jupyter.widget", "a Jupyter widget"),
    ("application/javascript", "JavaScript"),
    ("text/javascript", "JavaScript"),
    ("application/geo+json", "a map"),
    ("application/pdf", "a PDF document"),
    ("audio/", "a sound"),
    ("video/", "a video"),
)
# Media first, since a page that plays a sound may name a plotting library, too.
_HTML_NAMES = (
    (re.compile(r"<audio\b", re.IGNORECASE), "a sound"),
    (re.compile(r"<video\b", re.IGNORECASE), "a video"),
    (re.compile(r"\bplotly\b", re.IGNORECASE), "a Plotly figure"),
    (re.compile(r"\bbokeh", re.IGNORECASE), "a Bokeh plot"),
    (re.compile(r"\bvega", re.IGNORECASE), "a Vega chart"),
    (re.compile(r"\bleaflet\b|\bfolium\b", re.IGNORECASE), "a map"),
    (re.compile(r"<iframe\b", re.IGNORECASE), "another page in a frame"),
)
_LOOKED_AT = 1_000_000
"""Characters of an output that are searched: a figure may bring its library's megabytes along."""
_NEEDS_MORE = re.compile(
    r"<(?:script|iframe|object|embed|canvas|audio|video|input|select)\b", re.IGNORECASE
)
_HIDES = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|grid-template", re.IGNORECASE)
# What Python's `repr` says of an object that has no text of its own.
_NAME_OF_OBJECT = re.compile(r"\s*<[\w.]+(?: (?:object|size|at)\b[^>]*)?>\s*")
# What Altair's charts say where they are not drawn: `DEFAULT_DISPLAY` in its vegalite/display.py.
_NAME_OF_CHART = re.compile(
    r"\s*<VegaLite \d+ object>\s*(?:If you see this message, it means the renderer.*)?", re.DOTALL
)
_HAS_CONTENT = re.compile(r"<(?:table|img|pre|ul|ol|p|h[1-6])\b")


def interactive_kinds(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a bundle only a script, a player or a viewer could show, in words."""
    kinds = list(_named_kinds(data))
    # Libraries send their script beside the figure: the figure says more.
    kinds = [kind for kind in kinds if kind != "JavaScript"] or kinds
    if not kinds:
        html = joined_lines(data.get("text/html", ""))
        kinds = list(_kinds_in_html(html))
    return tuple(dict.fromkeys(kinds))


def _named_kinds(data: Mapping[str, Any]) -> Iterator[str]:
    for mime in data:
        for start, name in _NAMES:
            if mime.lower().startswith(start):
                yield name
                break


def _kinds_in_html(html: str) -> Iterator[str]:
    """The first kind that the HTML shows signs of; nothing where it can be read as it is."""
    if not needs_more(html):
        return
    for pattern, name in _HTML_NAMES:
        if pattern.search(html[:_LOOKED_AT]):
            yield name
            return
    yield "HTML with a script"


def only_loads(data: Mapping[str, Any]) -> bool:
    """Whether the output only brings a library's scripts into the notebook."""
    return any(mime.endswith("_load.v0+json") for mime in data)


def needs_more(html: str) -> bool:
    """Whether the HTML is made to be run or played, not only read."""
    return bool(_NEEDS_MORE.search(html[:_LOOKED_AT]))


def is_readable_alone(shown: str) -> bool:
    """Whether sanitised HTML has content to read although the script in it was left out."""
    return bool(_HAS_CONTENT.search(shown))


def is_better_plain(data: Mapping[str, Any]) -> bool:
    """Whether the text says more than the HTML without its style sheet.

    A style sheet may hide or place parts of the HTML, as those of scikit-learn's estimators and of
    xarray do; what rich prints keeps its colours only in the text.
    """
    text = joined_lines(data.get("text/plain", ""))
    html = joined_lines(data.get("text/html", ""))[:_LOOKED_AT]
    if is_wordless(text):
        return False
    # rich writes its HTML as one `<pre>` with colours in `style` attributes, which are not kept.
    if html.lstrip().lower().startswith("<pre") and "\x1b[" in text:
        return True
    sheets = html.lower().split("<style")[1:]
    return any(_HIDES.search(sheet.partition("</style")[0]) for sheet in sheets)


def is_wordless(text: str) -> bool:
    """Whether the text is only the name of an object, as `<IPython.core.display.HTML object>`."""
    if not text.strip():
        return True
    return any(pattern.fullmatch(text) for pattern in (_NAME_OF_OBJECT, _NAME_OF_CHART))
