"""Pictures out of outputs, as the bytes of a file; what is no picture or could run something is refused."""

from __future__ import annotations

import base64
import binascii
import re
from xml.etree import ElementTree

from nbci.report.text import clean

_SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
}
SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/svg+xml": "svg"}

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_ACTIVE = {"script", "foreignobject", "iframe", "object", "embed", "handler", "listener", "set", "animate"}


def picture(mime: str, data: str) -> bytes | None:
    """The picture that an output holds as `data` (base64, or SVG's text), or None when it cannot be one."""
    if mime == "image/svg+xml":
        return _svg(data)
    try:
        content = base64.b64decode(re.sub(r"\s+", "", data), validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if content.startswith(_SIGNATURES[mime]) else None


def _svg(text: str) -> bytes | None:
    if "<!ENTITY" in text:
        return None
    try:
        root = ElementTree.fromstring(clean(text))  # noqa: S314 - entities are refused above, expat fetches nothing
    except ElementTree.ParseError:
        return None
    if root.tag not in ("svg", f"{{{_SVG}}}svg"):
        return None
    for node in root.iter():
        for child in [child for child in node if _is_active(child)]:
            node.remove(child)
        for name in [name for name, value in node.attrib.items() if _acts(name, value)]:
            del node.attrib[name]
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + ElementTree.tostring(root, encoding="unicode").encode()


def _local(name: str) -> str:
    return name.rpartition("}")[2].lower()


def _is_active(node: ElementTree.Element) -> bool:
    return _local(node.tag) in _ACTIVE


def _acts(name: str, value: str) -> bool:
    if _local(name).startswith("on"):
        return True
    return _local(name) == "href" and not value.strip().startswith(("#", "data:image/png", "data:image/jpeg"))
