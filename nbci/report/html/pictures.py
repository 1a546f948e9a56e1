"""Pictures out of outputs, as the bytes of a file; what is broken or no picture is refused."""

from __future__ import annotations

import base64
import posixpath
import re
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbci.formatting.sizes import size
from nbci.report.html.colours import look, rule
from nbci.report.html.svg_cleaning import NoDrawing, clean_svg

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = {
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "image/gif": "gif",
}
_KINDS = {".jpeg": "image/jpeg", **{f".{suffix}": mime for mime, suffix in SUFFIXES.items()}}
_MOST_PIXELS = 200_000_000
_MOST_BYTES = {"image/svg+xml": 10_000_000}
_MOST_BYTES_ELSE = 50_000_000
_WIDE = 2
"""Times its height: a figure of several plots beside each other."""


class BrokenPicture(Exception):
    """No browser could show it; the message says why."""


def picture(mime: str, data: str) -> bytes:
    """The picture that an output holds as `data`: base64, or SVG's text. Raises BrokenPicture."""
    if len(data) > _MOST_BYTES.get(mime, _MOST_BYTES_ELSE):
        raise BrokenPicture(f"it is too large: {size(len(data))}")
    if mime == "image/svg+xml":
        return _drawing(data)
    try:
        content = base64.b64decode(re.sub(r"\s+", "", data), validate=True)
    except ValueError as error:
        raise BrokenPicture("it is no base64") from error
    return _pixels(mime, content)


def kind_of_file(path: str) -> str | None:
    """The MIME type of a picture by the end of its file's name; None where that is another one."""
    return _KINDS.get(posixpath.splitext(path)[1].lower())


def picture_of_file(mime: str, content: bytes) -> bytes:
    """The picture that a file holds. Raises BrokenPicture."""
    if mime == "image/svg+xml":
        # clean_svg refuses what is no XML, and so what these characters came from.
        return _drawing(content.decode(errors="replace"))
    return _pixels(mime, content)


def _drawing(text: str) -> bytes:
    try:
        return clean_svg(text)
    except NoDrawing as error:
        raise BrokenPicture(str(error)) from error


def _pixels(mime: str, content: bytes) -> bytes:
    if not content:
        raise BrokenPicture("it is empty")
    _CHECKS[mime](content)
    return content


def is_wide(mime: str, data: str) -> bool:
    """Whether a picture is a PNG, the form of most figures, and far wider than high."""
    if mime != "image/png":
        return False
    # Width and height are in the first chunk: https://www.w3.org/TR/png-3/#11IHDR
    start = base64.b64decode(re.sub(r"\s+", "", data[:100])[:32])
    return int.from_bytes(start[16:20]) > _WIDE * int.from_bytes(start[20:24])


def _check_png(content: bytes) -> None:
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise BrokenPicture("it is no PNG")
    kinds = []
    for kind, body, check in _png_chunks(content):
        if kind == b"IHDR" and len(body) == 13:
            _check_size(int.from_bytes(body[:4]), int.from_bytes(body[4:8]))
        # Names of optional chunks begin in lower case; decoders skip those that are damaged.
        if kind[:1].isupper() and zlib.crc32(body, zlib.crc32(kind)) != check:
            raise BrokenPicture("its check sum does not agree")
        kinds.append(kind)
    if kinds[:1] != [b"IHDR"] or b"IDAT" not in kinds or kinds[-1] != b"IEND":
        raise BrokenPicture("it is cut off")


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    at = 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        kind, end = content[at + 4 : at + 8], at + 8 + size
        if end + 4 > len(content):
            return
        yield kind, content[at + 8 : end], int.from_bytes(content[end : end + 4])
        if kind == b"IEND":
            return
        at = end + 4


def _check_size(width: int, height: int) -> None:
    if not width or not height:
        raise BrokenPicture("it has no size")
    # A small file can declare a huge picture, which a browser would allocate.
    if width * height > _MOST_PIXELS:
        raise BrokenPicture(f"it is too large to be shown: {width:,} by {height:,} pixels")


def _check_jpeg(content: bytes) -> None:
    if not content.startswith(b"\xff\xd8\xff"):
        raise BrokenPicture("it is no JPEG")
    # Not only the last two bytes: some programs append data behind the end marker.
    if b"\xff\xd9" not in content[-4096:]:
        raise BrokenPicture("it is cut off")


def _check_gif(content: bytes) -> None:
    if not content.startswith((b"GIF87a", b"GIF89a")):
        raise BrokenPicture("it is no GIF")
    _check_size(int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little"))
    if b"\x3b" not in content[-4096:]:
        raise BrokenPicture("it is cut off")


def _check_webp(content: bytes) -> None:
    if content[:4] != b"RIFF" or content[8:12] != b"WEBP":
        raise BrokenPicture("it is no WebP")
    if int.from_bytes(content[4:8], "little") + 8 > len(content):
        raise BrokenPicture("it is cut off")


_CHECKS = {
    "image/png": _check_png,
    "image/jpeg": _check_jpeg,
    "image/gif": _check_gif,
    "image/webp": _check_webp,
}


@dataclass(slots=True)
class Album:
    """The files that a page shows or links to, by their path in the report.

    `root` leads from the page to the report's folder. `rules` are those of a style sheet for this
    page alone, `looks` the classes in it by their declarations.
    """

    root: str
    files: dict[str, bytes] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    looks: dict[str, str] = field(default_factory=dict)

    def keep(self, stem: str, mime: str, data: str) -> str:
        """Keep the picture as a file and give the address that the page shows it by.

        Raises BrokenPicture.
        """
        return self.keep_file(f"{stem}.{SUFFIXES[mime]}", picture(mime, data))

    def keep_file(self, path: str, content: bytes) -> str:
        """Keep a file and give its address."""
        self.files[path] = content
        return f"{self.root}{path}"

    def class_for(self, declarations: str) -> str | None:
        """The class that has the colours of the declarations; None where these hold none."""
        kept = {name: value for name, value in look(declarations).items() if name != "text-align"}
        if not kept:
            return None
        written = rule("", kept)
        if written not in self.looks:
            self.looks[written] = f"u-look-{len(self.looks) + 1}"
            self.rules.append(rule(f".{self.looks[written]}", kept))
        return self.looks[written]

    def keep_sheet(self, path: str) -> str | None:
        """Keep the style sheet as a file and give its address; None if there are no rules."""
        if not self.rules:
            return None
        return self.keep_file(path, "\n".join([*self.rules, ""]).encode())
