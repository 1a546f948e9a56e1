"""Pictures that look the same, and those that do not."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from nbci.outputs.pictures import drawing_as_text, picture_difference
from nbci.outputs.text import is_same_text


def _encoded(picture: Image.Image, form: str = "PNG") -> str:
    written = io.BytesIO()
    picture.save(written, form)
    return base64.b64encode(written.getvalue()).decode()


def _chart(values: list[float], *, dpi: float = 100, title: str = "loss", **metadata: str) -> str:
    figure = Figure(dpi=dpi)
    axes = figure.add_subplot()
    axes.plot(values)
    axes.set_title(title)
    written = io.BytesIO()
    figure.savefig(written, format="png", metadata=metadata)
    return base64.b64encode(written.getvalue()).decode()


def _dot(x: float, radius: float = 3) -> str:
    picture = Image.new("RGB", (640, 480), "white")
    box = (x - radius, 200 - radius, x + radius, 200 + radius)
    ImageDraw.Draw(picture).ellipse(box, fill="black")
    return _encoded(picture)


def _grown(encoded: str) -> str:
    """The picture with a column and a row more."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    larger = Image.new("RGB", (picture.width + 1, picture.height + 1), "white")
    larger.paste(picture.convert("RGB"), (1, 1))
    return _encoded(larger)


CHART = _chart([1, 2, 3])


@pytest.mark.parametrize(
    "now",
    [
        _chart([1, 2, 3], Software="another"),
        _chart([1, 2, 3.001]),
        _grown(CHART),
        CHART[:76] + "\n" + CHART[76:],
    ],
)
def test_it_looks_the_same(now: str) -> None:
    assert now != CHART
    assert picture_difference(CHART, now) is None


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (_chart([1, 2, 2.5]), "of its pixels"),
        (_chart([1, 2, 3], title="accuracy"), "of its pixels"),
        (_chart([1, 2, 3], dpi=150), "the picture is 960 by 720, stored is 640 by 480"),
        (CHART[:200], "cannot be read"),
        ("no picture", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_it_looks_otherwise(now: str, message: str) -> None:
    found = picture_difference(CHART, now)
    assert found is not None
    assert message in found


def _drawing(values: list[float]) -> str:
    figure = Figure()
    figure.add_subplot().plot(values)
    written = io.StringIO()
    figure.savefig(written, format="svg")
    return written.getvalue()


def test_ids_of_drawings_are_no_difference() -> None:
    first, second = _drawing([1, 2, 3]), _drawing([1, 2, 3])
    assert first != second
    assert is_same_text(drawing_as_text(first), drawing_as_text(second))
    other = drawing_as_text(_drawing([1, 2, 2.5]))
    assert not is_same_text(drawing_as_text(first), other)
    assert "#1f77b4" in other


def test_a_dot_that_moved_is_seen() -> None:
    assert picture_difference(_dot(100), _dot(101)) is None
    assert picture_difference(_dot(100), _dot(110)) is not None


def test_colours_of_transparent_pixels_are_not_seen() -> None:
    clear, other = (Image.new("RGBA", (50, 50), colour) for colour in ("#f000", "#0f00"))
    assert picture_difference(_encoded(clear), _encoded(other)) is None
    assert picture_difference(_encoded(clear), _encoded(Image.new("RGB", (50, 50)))) is not None


def test_a_picture_too_large_is_compared_by_its_bytes() -> None:
    large: Any = [_encoded(Image.new("1", (9000, 5000), colour)) for colour in (0, 1)]
    assert picture_difference(large[0], large[0]) is None
    assert picture_difference(*large) == "the picture differs, and is too large to compare"
    bomb = _encoded(Image.new("1", (20_000, 10_000)))
    assert picture_difference(CHART, bomb) == "the picture differs, and cannot be read"
