"""Try an ONNX model in a separate process.

A broken or hostile file may crash the runtime that loads it.

Run as `python -m nbci.promotion.onnx_trial MODEL [SAMPLE]`; prints one JSON document.
"""

from __future__ import annotations

import json
import sys
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import onnxruntime  # type: ignore[import-untyped]  # it has no types

RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-4


def main(model: str, sample: str | None = None) -> dict[str, Any]:
    """Return the model's signature and, with a sample, how far its answers are from it."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it would print warnings about what it optimises
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    answer: dict[str, Any] = {
        "inputs": list(map(_tensor, session.get_inputs())),
        "outputs": list(map(_tensor, session.get_outputs())),
    }
    if sample is not None:
        answer |= _try_sample(session, sample)
    return answer


def _tensor(node: onnxruntime.NodeArg) -> dict[str, Any]:
    return {
        "name": node.name,
        "dtype": node.type.removeprefix("tensor(").removesuffix(")"),
        "shape": node.shape,
    }


def _try_sample(session: onnxruntime.InferenceSession, sample: str) -> dict[str, Any]:
    import numpy as np

    try:
        # a pickle could run code of the author of the sample
        loaded = np.load(sample, allow_pickle=False)
        # numpy goes by the content, whatever the file is called
        if isinstance(loaded, np.ndarray):
            return {"unreadable": "it holds a single array without a name, as np.save writes it"}
        with loaded:
            arrays = dict(loaded)
    # numpy lets through what zipfile raises for half an archive, and its own end of file
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        return {"unreadable": str(error)}
    given: dict[str, Any] = {}
    lacking: list[str] = []
    for node in session.get_inputs():
        if node.name in arrays:
            given[node.name] = arrays[node.name]
        else:
            lacking.append(node.name)
    # a sample may record some of the outputs only: those are compared
    outputs = [node.name for node in session.get_outputs() if node.name in arrays]
    if lacking or not outputs:
        return {"lacking": lacking, "holds": sorted(arrays)}
    answers = session.run(outputs, given)
    differences = {}
    for name, answer in zip(outputs, answers, strict=True):
        differences[name] = difference(arrays[name], answer)
    return {"rows": _rows(given), "differences": differences}


def _rows(given: Mapping[str, npt.NDArray[np.generic]]) -> int:
    """The number of rows of the first input."""
    first = next(iter(given.values()), None)
    # a scalar has no axis of rows
    if first is None or not first.ndim:
        return 1
    return len(first)


def difference(recorded: npt.NDArray[np.generic], answered: object) -> dict[str, Any]:
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
        # infinity minus infinity warns; `close` has judged those already
        with np.errstate(invalid="ignore"):
            apart = np.abs(found.astype(float) - recorded.astype(float))
        largest = 0.0
        # of nothing but NaN, or of no elements, there is no maximum
        if np.isfinite(apart).any():
            largest = float(np.nanmax(apart))
        return {"same": bool(close.all()), "largest": largest}
    unequal = int((found.astype(recorded.dtype) != recorded).sum())
    return {"same": unequal == 0, "unequal": unequal, "of": int(recorded.size)}


def _run(arguments: Sequence[str]) -> int:
    try:
        answer = main(*arguments)
    except ImportError as error:
        answer = {"needs": error.name}
    # whatever the libraries make of the file, the parent says it in a sentence
    except Exception as error:  # noqa: BLE001 - the libraries raise errors of all types
        answer = {"error": str(error).strip() or type(error).__name__}
    print(json.dumps(answer))  # noqa: T201 - this is how the parent is answer
    return 0


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
