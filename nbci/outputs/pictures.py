"""Compare pictures as an eye does: a shift by a pixel or another smoothing of edges is none."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import TYPE_CHECKING

from nbci.formatting.numbers import rough

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS = 40_000_000
"""Of a larger picture, only the bytes are compared: its pixels take 500 MB and seconds."""
_SIZE_TOLERANCE = 2
"""Pixels: `bbox_inches="tight"` cuts figures to their texts, of which fonts decide the width."""
_VISIBLE = 48
"""The difference of a colour, of 255, from which a pixel counts."""
_SHARE = 1e-4
"""Of a picture's pixels, so many may differ: 30 of 640 by 480, which is a dot or a letter."""

_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_ID = re.compile(r'\bid="([^"]*)"')
# `#1f77b4` is a colour, unless something has it for its id.
_ID_OR_REFERENCE = re.compile(r'(\bid="|#)([^"\s)]+)')


class _UnreadableError(Exception):
    """The value is no picture that Pillow reads, or too large a one."""


def picture_difference(before: object, now: object) -> str | None:
    """What differs between two pictures in base64, in a sentence; None where nothing visible."""
    if before == now:
        return None
    try:
        old, new = _read(before), _read(now)
    except _UnreadableError as error:
        return f"the picture differs, and {error}"
    if not _are_close(old.size, new.size):
        return f"the picture is {_shown_size(new)}, stored is {_shown_size(old)}"
    common = (0, 0, min(old.width, new.width), min(old.height, new.height))
    share = _differing_share(old.crop(common), new.crop(common))
    if share <= _SHARE:
        return None
    return f"the picture differs in {rough(100 * share)} % of its pixels"


def drawing_as_text(svg: str) -> str:
    """The SVG without what differs each time that matplotlib writes it: the date, random ids."""
    svg = _METADATA.sub("", svg)
    numbered = {}
    for number, name in enumerate(dict.fromkeys(_ID.findall(svg))):
        numbered[name] = f"id{number}"

    def renumber(match: re.Match[str]) -> str:
        return match[1] + numbered.get(match[2], match[2])

    return _ID_OR_REFERENCE.sub(renumber, svg)


def _read(value: object) -> Image:
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(base64.b64decode(str(value))))
        if picture.width * picture.height > _MOST_PIXELS:
            raise _UnreadableError("is too large to compare")
        # Transparent pixels have colours, too, which nobody sees.
        shown = picture.convert("RGBA")
    # Pillow's readers raise these for damaged data; a bomb is an error or, in tests, a warning.
    except (
        *(OSError, ValueError, SyntaxError, EOFError, binascii.Error),
        *(Image.DecompressionBombError, Image.DecompressionBombWarning),
    ) as error:
        raise _UnreadableError("cannot be read") from error
    ground = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(ground, shown).convert("RGB")


def _are_close(size: tuple[int, int], other: tuple[int, int]) -> bool:
    return all(
        abs(length - other_length) <= _SIZE_TOLERANCE
        for length, other_length in zip(size, other, strict=True)
    )


def _shown_size(picture: Image) -> str:
    return f"{picture.width} by {picture.height}"


def _differing_share(old: Image, new: Image) -> float:
    """The share of pixels that are far from all their neighbours in the other picture."""
    from PIL import ImageChops

    outside = ImageChops.lighter(_outside(old, new), _outside(new, old))
    red, green, blue = outside.split()
    largest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    return sum(largest.histogram()[_VISIBLE:]) / (old.width * old.height)


def _outside(picture: Image, other: Image) -> Image:
    """How far each pixel is outside the range of the other picture's pixels around its place."""
    from PIL import ImageChops, ImageFilter

    least = other.filter(ImageFilter.MinFilter(3))
    most = other.filter(ImageFilter.MaxFilter(3))
    # Both clip at 0: at most one of the two is more.
    return ImageChops.lighter(
        ImageChops.subtract(least, picture), ImageChops.subtract(picture, most)
    )
