"""Compare a model's answers with those that were recorded when it was made."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.generic]

RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4


class UnreadableSampleError(Exception):
    """A file is no sample; the text says why."""


def read_sample(path: str | Path) -> dict[str, Array]:
    """The arrays of a sample by name; UnreadableSampleError where the file is none."""
    import numpy as np

    try:
        # A pickle could run code of the author of the sample.
        loaded = np.load(path, allow_pickle=False)
        # numpy goes by the content, whatever the file is called.
        if isinstance(loaded, np.ndarray):
            raise UnreadableSampleError(
                "it holds a single array without a name, as np.save writes it"
            )
        with loaded:
            return dict(loaded)
    # numpy lets through what zipfile raises for half an archive, and its own end of file.
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UnreadableSampleError(str(error)) from error


def arrays_of_file(sample: Mapping[str, Array], file: str) -> dict[str, Array]:
    """The arrays for one of several files: those called `FILE.NAME`, before those called NAME."""
    prefix = f"{file}."
    own = {}
    for name, array in sample.items():
        if name.startswith(prefix):
            own[name.removeprefix(prefix)] = array
    return {**sample, **own}


def difference(recorded: Array, answered: object) -> dict[str, Any]:
    """Compare an answer with the recorded one, and measure the largest difference.

    Labels must be equal, numbers close.
    """
    import numpy as np

    found = np.asarray(answered)
    if found.shape != recorded.shape:
        return {"same": False, "shapes": [list(recorded.shape), list(found.shape)]}
    if np.issubdtype(recorded.dtype, np.inexact) and np.issubdtype(found.dtype, np.number):
        close = np.isclose(
            found, recorded, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True
        )
        # Infinity minus infinity warns; `close` has judged those already.
        with np.errstate(invalid="ignore"):
            apart = np.abs(found.astype(float) - recorded.astype(float))
        largest = 0.0
        # Of nothing but NaN, or of no elements, there is no maximum.
        if np.isfinite(apart).any():
            largest = float(np.nanmax(apart))
        return {"same": bool(close.all()), "largest": largest}
    unequal = int((found.astype(recorded.dtype) != recorded).sum())
    return {"same": unequal == 0, "unequal": unequal, "of": int(recorded.size)}
