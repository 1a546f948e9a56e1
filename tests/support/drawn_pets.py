"""Drawn cats and dogs: pictures that a network can tell apart, where there are no photographs."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("cat", "dog")


def draw_pets(folder: Path, count: int, seed: int = 1) -> Path:
    """Write `count` pictures of each kind to `folder`/cat and `folder`/dog."""
    generator = random.Random(seed)
    for kind in KINDS:
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            content = jpeg(drawn_pet(kind, generator))
            (folder / kind / f"{seed}-{number}.jpg").write_bytes(content)
    return folder


def drawn_pet(kind: str, generator: random.Random) -> Image.Image:
    """A head on a meadow: a cat's has pointed ears and stripes, a dog's hanging ears and spots."""
    side = generator.choice((96, 128, 160))
    picture = Image.new("RGB", (side, side), _like(generator, (140, 200, 120)))
    pen = ImageDraw.Draw(picture)
    fur = _like(generator, (170, 120, 80))
    # As shares of the side.
    x, y, radius = generator.uniform(0.4, 0.6), generator.uniform(0.45, 0.6), 0.33

    def at(*places: float) -> list[float]:
        """Places in units of the radius, from the head's middle."""
        middle = (x, y) * (len(places) // 2)
        return [
            (start + place * radius) * side for start, place in zip(middle, places, strict=True)
        ]

    pen.ellipse(at(-1, -1, 1, 1), fill=fur)
    if kind == "cat":
        pen.polygon(at(-1, 0, -0.9, -1.5, 0, -1), fill=fur)
        pen.polygon(at(1, 0, 0.9, -1.5, 0, -1), fill=fur)
        for place in (-0.7, -0.35, 0.35, 0.7):
            pen.line(at(place, -0.7, place, 0.7), fill="black", width=side // 20)
    else:
        pen.ellipse(at(-1.5, -0.7, -0.8, 1.2), fill=fur)
        pen.ellipse(at(0.8, -0.7, 1.5, 1.2), fill=fur)
        for across, down in ((-0.6, -0.4), (0.5, -0.5), (-0.4, 0.5), (0.6, 0.3)):
            spot = at(across - 0.2, down - 0.2, across + 0.2, down + 0.2)
            pen.ellipse(spot, fill="white")
    pen.ellipse(at(-0.4, -0.3, -0.2, -0.1), fill="yellow")
    pen.ellipse(at(0.2, -0.3, 0.4, -0.1), fill="yellow")
    return picture


def jpeg(picture: Image.Image) -> bytes:
    """The picture as the content of a file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=92)
    return file.getvalue()


def _like(generator: random.Random, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (part + generator.randint(-25, 25) for part in colour)
    return red, green, blue
