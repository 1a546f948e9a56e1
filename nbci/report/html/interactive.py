"""Name the outputs that need a script, a player or a viewer, and what replaces them on a page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import joined_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

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
_NEEDS_MORE = re.compile(
    r"<(?:script|iframe|object|embed|canvas|audio|video|input|select)\b", re.IGNORECASE
)
_HIDES = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|grid-template", re.IGNORECASE)
_NO_WORDS = re.compile(r"\s*<[\w.]+(?: (?:object|size|at)\b[^>]*)?>\s*")
_TELLS = re.compile(r"<(?:table|img|pre|ul|ol|p|h[1-6])\b")


def lively_forms(data: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a bundle only a script, a player or a viewer could show, in words."""
    found = [name for mime in data for start, name in _NAMES if mime.lower().startswith(start)]
    found = [name for name in found if name != "JavaScript"] or found
    if not found and needs_more(html := joined_lines(data.get("text/html", ""))):
        found = [name for pattern, name in _HTML_NAMES if pattern.search(html[:_LOOKED_AT])][
            :1
        ] or ["HTML with a script"]
    return tuple(dict.fromkeys(found))


def only_loads(data: Mapping[str, Any]) -> bool:
    """Whether the output only brings a library's scripts into the notebook."""
    return any(mime.endswith("_load.v0+json") for mime in data)


def needs_more(html: str) -> bool:
    """Whether the HTML is made to be run or played, not only read."""
    return bool(_NEEDS_MORE.search(html[:_LOOKED_AT]))


def is_readable_alone(shown: str) -> bool:
    """Whether sanitised HTML still tells something where the script in it was left out."""
    return bool(_TELLS.search(shown))


def is_better_plain(data: Mapping[str, Any]) -> bool:
    """Whether the text says more than the HTML without its style sheet.

    A style sheet may hide or place parts of the HTML.

    So it is with scikit-learn's estimators and with xarray; what rich prints keeps its colours only
    in the text.
    """
    html, text = (
        joined_lines(data.get("text/html", ""))[:_LOOKED_AT],
        joined_lines(data.get("text/plain", "")),
    )
    if is_wordless(text):
        return False
    if html.lstrip().lower().startswith("<pre") and "\x1b[" in text:
        return True
    return any(
        _HIDES.search(part.partition("</style")[0]) for part in html.lower().split("<style")[1:]
    )


def is_wordless(text: str) -> bool:
    """Whether the text is only the name of an object, as `<IPython.core.display.HTML object>`."""
    return not text.strip() or bool(_NO_WORDS.fullmatch(text))
