"""What is measured of images: brightness and the like, and a small vector of their looks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Pixels = NDArray[np.float64]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")
IMAGE = "image"
"""The name of the column of images, and what begins those of what was measured of them."""
EMBEDDING = f"{IMAGE}.embedding"
STATISTICS = ("brightness", "contrast", "saturation", "sharpness", "width", "height", "aspect")
KIND = b"nbci.kind"
"""In the metadata of a column: what it holds, where its type does not tell."""
_BATCH = 512
_SIDE = 128
"""Pixels to which the longer side is made smaller before it is measured."""
_TILES = 8
_COLOURS = 8
_LUMA = (0.299, 0.587, 0.114)


def read_images(
    folder: Path, files: Sequence[Path], problems: list[str]
) -> Iterator[pa.RecordBatch]:
    """A row for each image, of what `measure_image` finds.

    One that cannot be read has no values, and a sentence in `problems`.
    """
    for start in range(0, len(files), _BATCH):
        rows: list[tuple[list[float], Pixels] | None] = []
        for path in files[start : start + _BATCH]:
            try:
                rows.append(measure_image(path))
            # Decoders of broken files raise whatever they stumble upon.
            except Exception as error:  # noqa: BLE001 - it is named, and the others are measured
                name = path.relative_to(folder) if path != folder else path.name
                problems.append(f"{name} is no image that can be read: {error}")
                rows.append(None)
        yield _batch(rows)


def measure_image(path: Path) -> tuple[list[float], Pixels]:
    """The `STATISTICS` of an image in their order, and its vector.

    Brightness, contrast (the deviation of the brightness) and saturation are between 0 and 1.
    Sharpness is the deviation of the Laplacian of the image, made smaller to the same side. The
    vector holds the brightness of 8 x 8 tiles, then the shares of the pixels in 8 steps of red,
    green and blue: 88 numbers between 0 and 1.
    """
    import numpy as np

    width, height, pixels = _pixels(path)
    grey: Pixels = pixels @ np.array(_LUMA)
    highest, lowest = pixels.max(axis=2), pixels.min(axis=2)
    saturation = np.divide(highest - lowest, highest, out=np.zeros_like(highest), where=highest > 0)
    statistics = [
        float(grey.mean()),
        float(grey.std()),
        float(saturation.mean()),
        _sharpness(grey),
        float(width),
        float(height),
        width / height,
    ]
    return statistics, np.concatenate([_tiles(grey), _colours(pixels)])


def _pixels(path: Path) -> tuple[int, int, Pixels]:
    """Width and height of the image, and its pixels, made smaller, between 0 and 1."""
    import numpy as np
    from PIL import Image

    with warnings.catch_warnings():
        # An image of a few bytes may claim to have billions of pixels.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", message="Palette images with Transparency")
        with Image.open(path) as image:
            width, height = image.size
            # A JPEG file is decoded smaller at once.
            image.draft("RGB", (_SIDE, _SIDE))
            # Grey images, palettes and CMYK are compared as what people see.
            small = image.convert("RGB")
            small.thumbnail((_SIDE, _SIDE))
            pixels = np.asarray(small, dtype=np.float64) / 255
    return width, height, pixels


def _sharpness(grey: Pixels) -> float:
    # A border has no pixels around it.
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * inner).std())


def _tiles(grey: Pixels) -> Pixels:
    """The means of 8 x 8 parts, which overlap by a pixel where there are fewer pixels."""
    import numpy as np

    means = grey
    for axis, length in enumerate(grey.shape):
        starts = np.minimum(np.arange(_TILES) * length // _TILES, length - 1)
        ends = np.maximum((np.arange(1, _TILES + 1) * length) // _TILES, starts + 1)
        # Differences of running sums are the sums of parts of unequal lengths.
        sums = np.cumsum(means, axis=axis)
        sums = np.insert(sums, 0, 0.0, axis=axis)
        shape = [1, 1]
        shape[axis] = _TILES
        parts = np.take(sums, ends, axis=axis) - np.take(sums, starts, axis=axis)
        means = parts / (ends - starts).reshape(shape)
    return means.ravel()


def _colours(pixels: Pixels) -> Pixels:
    import numpy as np

    steps = np.minimum((pixels * _COLOURS).astype(int), _COLOURS - 1)
    shares = []
    for channel in range(3):
        counts = np.bincount(steps[:, :, channel].ravel(), minlength=_COLOURS)
        shares.append(counts / counts.sum())
    return np.concatenate(shares)


def _batch(rows: Sequence[tuple[list[float], Pixels] | None]) -> pa.RecordBatch:
    import pyarrow as pa

    # The column of the images themselves says only which ones are there.
    is_read = [True if row is not None else None for row in rows]
    columns: list[Any] = [pa.array(is_read, pa.bool_())]
    fields = [pa.field(IMAGE, pa.bool_(), metadata={KIND: IMAGE.encode()})]
    for place, name in enumerate(STATISTICS):
        values = [row[0][place] if row is not None else None for row in rows]
        columns.append(pa.array(values, pa.float64()))
        fields.append(pa.field(f"{IMAGE}.{name}", pa.float64()))
    vectors = [row[1].tolist() if row is not None else None for row in rows]
    columns.append(pa.array(vectors, pa.list_(pa.float64())))
    fields.append(pa.field(EMBEDDING, pa.list_(pa.float64())))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
