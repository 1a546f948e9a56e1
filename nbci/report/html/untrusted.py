"""Reduce HTML and Markdown from a notebook to what can be shown and cannot act."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import clean, joined_lines, short_line
from nbci.report.html.markdown_tokens import PLACEHOLDER, markdown_to_html, placeholder
from nbci.report.html.markup import Markup, element
from nbci.report.html.pictures import SUFFIXES, Album, BrokenPicture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Keep = Callable[[str, str, str], str | None]

_TAGS = set(
    (
        "a abbr b bdi blockquote br caption cite code col colgroup dd del details dfn div dl dt em"
        " figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span"
        " strong sub summary sup table tbody td tfoot th thead tr u ul var wbr"
    ).split()
)
# What these hold is no text for a reader.
_EMPTIED = set(
    (
        "script style template noscript iframe object embed applet svg math canvas audio video"
        " textarea select button title head noembed noframes xmp plaintext frameset"
    ).split()
)
_ATTRIBUTES = {
    "*": {"class", "id", "style"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}
_VALUES = {
    "th": {"scope": {"row", "col", "rowgroup", "colgroup"}},
    "details": {"open": {"", "open"}},
}
_CLASSES = set(
    "alert alert-info alert-warning alert-danger alert-success to-right to-center".split()
)
_LOOK = re.compile(r"u-look-[0-9]+")
_STYLED = re.compile(rf' style="({_LOOK.pattern})"')
_WEB = re.compile(r"(?:https?://|mailto:)[^\s<>\"'\\^`{|}]+", re.IGNORECASE)
_DATA = re.compile(r"\s*data:(image/[a-z+]+)(?:;[\w=-]+)*;base64,(.*)", re.IGNORECASE | re.DOTALL)
_SVG_START = re.compile(r"<svg[\s>]", re.IGNORECASE)
_SVG_TITLE = re.compile(r"<title[^>]*>([^<]*)</title>")
_SVG_END = re.compile(r"</svg\s*>", re.IGNORECASE)
# Void elements and those that close implicitly are left out: they need no end tag.
_NESTED = re.compile(
    r"<(/?)(?!(?:p|li|dt|dd|tr|td|th|br|hr|img|input|col|wbr|option|meta|link)\b)[a-z]",
    re.IGNORECASE,
)
# Chromium nests elements no deeper than 512 levels.
_DEEPEST = 500
_LONGEST_STYLE = 1_000
_IMG = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
_ADDRESS = re.compile(r"(?:\.\./)+[\w./-]+")
_EMPTY_LINK = re.compile(r'<a href="[^"]*"(?: class="[^"]*")?>\s*</a>')
_HEADING = re.compile(r"<(/?)h([1-6])\b")
_FRAGMENT = re.compile(r' href="#(u-[^"]*)"')
# Cleaned markup can parse differently a second time (mutation XSS), but settles soon.
_MOST_PASSES = 5


@dataclass(slots=True)
class Surroundings:
    """The page around untrusted markup: its picture files, the ids in use, a cell's attachments.

    `stem` begins the names of picture files. Ids of untrusted markup begin with `u-`; the ids
    of nbci's own markup do not.
    """

    album: Album
    stem: str
    ids: set[str] = field(default_factory=set)
    attachments: Mapping[str, Any] = field(default_factory=dict)
    pictures: int = 0

    def picture(self, mime: str, data: str) -> str | None:
        """The address of a picture that stood within the markup."""
        if mime not in SUFFIXES:
            return None
        self.pictures += 1
        try:
            return self.album.keep(f"{self.stem}-{self.pictures}", mime, data)
        except BrokenPicture:
            return None


def from_html(source: str, around: Surroundings | None = None) -> Markup | None:
    """Return the HTML without anything that acts or loads; None if nothing visible is left."""
    shown = _sanitise(clean(source), around, [])
    if not _says_something(shown):
        return None
    return shown


def from_markdown(source: str, around: Surroundings | None = None) -> Markup:
    """Markdown as HTML, the HTML within it sanitised, its formulas as MathML."""
    html, formulas = markdown_to_html(clean(source))
    return _sanitise(html, around, formulas)


def without_dead_links(page: str, ids: set[str]) -> str:
    """Return the page without links to parts of it that do not exist."""

    def keep_live(found: re.Match[str]) -> str:
        if found[1] in ids:
            return found[0]
        return ""

    return _FRAGMENT.sub(keep_live, page)


def _says_something(shown: str) -> bool:
    return bool(
        re.search(r"<(?:img|math|hr)\b", shown)
        or re.sub(r"<[^>]*>", "", shown).replace("&nbsp;", "").strip()
    )


def _sanitise(source: str, around: Surroundings | None, parts: list[Markup]) -> Markup:
    """Sanitise until nothing changes any more, so that a browser reads what was written.

    `parts` are put in at their places afterwards; drawings that stand within the markup join them.
    """
    source = _with_drawings_placed(source, around, parts)
    if _is_deep(source):
        return element("pre", source)
    shown = _clean_tags(source, lambda _tag, name, value: _attribute(name, clean(value), around))
    shown = _STYLED.sub(r' class="\1"', shown)
    for _ in range(_MOST_PASSES):
        again = _clean_tags(shown, _keep_ours)
        if again == shown:
            return _finish(shown, parts)
        shown = again
    return element("pre", source)


def _with_drawings_placed(source: str, around: Surroundings | None, parts: list[Markup]) -> str:
    """Return the source with a placeholder for each `<svg>`, which becomes a file."""
    written: list[str] = []
    at = 0
    while (start := _SVG_START.search(source, at)) and (
        end := _SVG_END.search(source, start.end())
    ):
        drawn = source[start.start() : end.end()]
        parts.append(_drawing_file(drawn, around))
        written += [source[at : start.start()], placeholder(len(parts) - 1)]
        at = end.end()
    return "".join([*written, source[at:]])


def _drawing_file(svg: str, around: Surroundings | None) -> Markup:
    """The drawing as a picture of the page; nothing where it cannot be shown."""
    address = None
    if around:
        address = around.picture("image/svg+xml", svg)
    if not address:
        return Markup()
    title = _SVG_TITLE.search(svg)
    if title is None or not title[1].strip():
        return element("img", src=address, alt="Drawing")
    return element("img", src=address, alt=short_line(title[1]))


def _is_deep(source: str) -> bool:
    """Whether elements may be nested deeper than browsers follow.

    Checked before parsing, because a parser's time grows with the square of the depth.
    """
    depth = 0
    for found in _NESTED.finditer(source):
        if found[1]:
            # A stray end tag closes nothing.
            depth = max(0, depth - 1)
        else:
            depth += 1
        if depth > _DEEPEST:
            return True
    return False


def _clean_tags(source: str, keep: Keep) -> str:
    import nh3

    return nh3.clean(
        source,
        tags=_TAGS,
        clean_content_tags=_EMPTIED,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        tag_attribute_values=_VALUES,
        url_schemes={"http", "https", "mailto", "data", "attachment"},
        link_rel=None,
    )


def _keep_ours(_tag: str, name: str, value: str) -> str | None:
    if _is_ours(name, value):
        return value
    return None


def _is_ours(name: str, value: str) -> bool:
    """Whether a first pass may have left this.

    Anything else that a second pass finds has not been checked by the first.
    """
    match name:
        case "href":
            return bool(_WEB.fullmatch(value)) or value.startswith("#u-")
        case "src":
            return bool(_ADDRESS.fullmatch(value))
        case "id":
            return value.startswith("u-")
        case "class":
            return all(word in _CLASSES or _LOOK.fullmatch(word) for word in value.split())
        case "style":
            return False
    return True


def _attribute(name: str, value: str, around: Surroundings | None) -> str | None:
    match name:
        case "href":
            return _link(value, around)
        case "src":
            return _source(value, around)
        case "id":
            return _identity(value, around)
        case "class":
            return " ".join(word for word in value.split() if word in _CLASSES) or None
        case "style":
            if around is None or len(value) >= _LONGEST_STYLE:
                return None
            return around.album.class_for(value)
        case "colspan" | "rowspan" | "width" | "height" | "start":
            if value.isascii() and value.isdecimal() and 0 < int(value[:9]) <= 10_000:
                return value
            return None
        case "alt":
            return short_line(value, 300)
    return value


def _link(value: str, around: Surroundings | None) -> str | None:
    if _WEB.fullmatch(value.strip()):
        return value.strip()
    if value.startswith("#") and around is not None:
        return f"#{own_id(value[1:])}"
    return None


def own_id(text: str) -> str:
    """The id that an element of untrusted markup gets for the one that it asks for."""
    from urllib.parse import unquote

    return "u-" + re.sub(r"[^\w.-]+", "-", clean(unquote(text)))[:100]


def _identity(value: str, around: Surroundings | None) -> str | None:
    if around is None or not value.strip():
        return None
    own = own_id(value)
    if own in around.ids:
        return None
    around.ids.add(own)
    return own


def _source(value: str, around: Surroundings | None) -> str | None:
    """Return the address of the picture as a file of the report; None for one that is elsewhere."""
    if around is None:
        return None
    if inline := _DATA.fullmatch(value):
        mime = inline[1].lower().replace("image/jpg", "image/jpeg")
        data = inline[2]
        if mime == "image/svg+xml":
            data = _svg_text(data)
        return around.picture(mime, data)
    if value.startswith("attachment:"):
        return _attached_picture(value.removeprefix("attachment:"), around)
    return None


def _svg_text(data: str) -> str:
    import base64

    try:
        return base64.b64decode(data).decode()
    # binascii.Error and UnicodeDecodeError are ValueErrors.
    except ValueError:
        return ""


def _attached_picture(name: str, around: Surroundings) -> str | None:
    from urllib.parse import unquote

    forms = around.attachments.get(unquote(name), around.attachments.get(name))
    if not isinstance(forms, dict):
        return None
    for mime in SUFFIXES:
        if mime not in forms:
            continue
        data = joined_lines(forms[mime])
        # An attached SVG is either text or base64.
        if mime == "image/svg+xml" and "<" not in data:
            data = _svg_text(data)
        return around.picture(mime, data)
    return None


def _finish(shown: str, parts: Sequence[Markup]) -> Markup:
    """Lower headings below the page's own, name unavailable pictures in text, insert formulas."""
    # The page's own headings take the levels above.
    shown = _HEADING.sub(lambda found: f"<{found[1]}h{min(6, int(found[2]) + 2)}", shown)
    shown = _IMG.sub(_image, shown)
    # A box that scrolls must be reachable with the keyboard, hence the tabindex.
    shown = _EMPTY_LINK.sub("", shown).replace("<pre>", '<pre tabindex="0">')

    def drawing_or_formula(found: re.Match[str]) -> str:
        number = int(found[1])
        if number < len(parts):
            return parts[number]
        return ""

    return Markup(clean(PLACEHOLDER.sub(drawing_or_formula, shown)))


def _image(found: re.Match[str]) -> str:
    attributes = dict(re.findall(r' ([a-z]+)="([^"]*)"', found[1]))
    alt = attributes.get("alt", "")
    if "src" not in attributes and alt:
        return f"[picture: {alt}]"
    if "src" not in attributes:
        return "[picture]"
    if alt:
        return found[0]
    without = found[1].replace(' alt=""', "")
    return f'<img alt="Picture in the notebook"{without}>'
