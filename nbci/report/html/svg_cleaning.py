"""Reduce SVG from a notebook to a drawing that cannot act or load anything from outside."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from nbci.formatting.text import clean

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_STYLE = f"{{{_SVG}}}style"
_DRAWS = frozenset(
    (
        "a circle clipPath defs desc ellipse feBlend feColorMatrix feComponentTransfer feComposite"
        " feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow feFlood"
        " feFuncA feFuncB feFuncG feFuncR feGaussianBlur feMerge feMergeNode feMorphology feOffset"
        " fePointLight feSpecularLighting feSpotLight feTile feTurbulence filter g image line"
        " linearGradient marker mask path pattern polygon polyline radialGradient rect stop style"
        " svg switch symbol text textPath title tspan use view"
    ).split()
)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)
_INSIDE = re.compile(r"#[^\s\"'()<>\\]+")
# In CSS anything may be written with escapes, so a style sheet with a backslash is not read at all.
_ASKS = re.compile(
    r"\\|@import|@namespace|@font-face|expression\s*\(|javascript:|image-set\s*\(|-moz-binding",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_URL = re.compile(r"url\s*\(", re.IGNORECASE)
_TELLING = re.compile(r"[\\(:@]")


class NoDrawing(Exception):
    """The text is no SVG that can be shown; the message says why."""


def clean_svg(text: str) -> bytes:
    """Return the drawing as a separate file. Raises NoDrawing."""
    # Nested entities can expand to gigabytes while expat parses them.
    if "<!ENTITY" in text:
        raise NoDrawing("it declares entities")
    try:
        # Safe here: the text declares no entities, and expat loads nothing from outside.
        root = ElementTree.fromstring(clean(text).strip())  # noqa: S314
        _in_namespace(root)
        if root.tag != f"{{{_SVG}}}svg":
            raise NoDrawing("it is no SVG")
        _reduce(root)
        ElementTree.register_namespace("", _SVG)
        ElementTree.register_namespace("xlink", _XLINK)
        written = ElementTree.tostring(root, encoding="unicode")
    except ElementTree.ParseError as error:
        raise NoDrawing(f"it is not well formed: {error}") from error
    except (RecursionError, ValueError) as error:
        raise NoDrawing("it cannot be written again") from error
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + written.encode()


def _in_namespace(root: ElementTree.Element) -> None:
    """Add the namespace, which SVG within HTML may lack and a separate file needs."""
    for node in root.iter():
        if not node.tag.startswith("{"):
            node.tag = f"{{{_SVG}}}{node.tag}"


def _reduce(root: ElementTree.Element) -> None:
    for node in root.iter():
        for child in list(node):
            if not _draws(child) or (child.tag == _STYLE and not _is_harmless(child.text or "")):
                node.remove(child)
        for name, value in list(node.attrib.items()):
            if not _is_kept(node, name, value):
                del node.attrib[name]


def _draws(node: ElementTree.Element) -> bool:
    namespace, _, name = str(node.tag).rpartition("}")
    return namespace == "{" + _SVG and name in _DRAWS


def _is_kept(node: ElementTree.Element, name: str, value: str) -> bool:
    local = name.rpartition("}")[2].lower()
    # `attributeName` would let an animation set any attribute later, `href` too.
    if local.startswith("on") or local in ("base", "target", "ping", "download", "attributename"):
        return False
    if local in ("href", "src"):
        is_image = node.tag == f"{{{_SVG}}}image"
        return bool(
            _INSIDE.fullmatch(value.strip()) or (is_image and _PICTURE.fullmatch(value.strip()))
        )
    return _is_harmless(value)


def _is_harmless(text: str) -> bool:
    """Whether a style sheet or a single value asks for nothing outside the drawing."""
    # Most values hold none of these characters, and without them CSS can name no address.
    if not _TELLING.search(text):
        return True
    # As it is, since a string may hold what begins a comment elsewhere; without comments, since one
    # inside a rule would hide it from the patterns.
    return _asks_nothing(text) and _asks_nothing(_COMMENT.sub("", text))


def _asks_nothing(text: str) -> bool:
    if _ASKS.search(text):
        return False
    for part in _URL.split(text)[1:]:
        address = part.partition(")")[0].strip(" \t\n'\"")
        if not _INSIDE.fullmatch(address):
            return False
    return True
