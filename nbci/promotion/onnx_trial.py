"""Try an ONNX model in a separate process.

A broken or hostile file may crash the runtime that loads it.

Run as `python -m nbci.promotion.onnx_trial MODEL [SAMPLE]`; prints one JSON document.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    told: dict[str, Any] = {
        "inputs": [_tensor(node) for node in session.get_inputs()],
        "outputs": [_tensor(node) for node in session.get_outputs()],
    }
    if sample is not None:
        told |= _tried(session, sample)
    return told


def _tensor(node: onnxruntime.NodeArg) -> dict[str, Any]:
    return {
        "name": node.name,
        "dtype": node.type.removeprefix("tensor(").removesuffix(")"),
        "shape": node.shape,
    }


def _tried(session: onnxruntime.InferenceSession, sample: str) -> dict[str, Any]:
    import numpy as np

    try:
        # a pickle could run code of the author of the sample
        with np.load(sample, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, AttributeError) as error:  # the last: a plain .npy, or text
        return {"unreadable": str(error)}
    inputs = [node.name for node in session.get_inputs()]
    outputs = [node.name for node in session.get_outputs() if node.name in arrays]
    lacking = [name for name in inputs if name not in arrays]
    if lacking or not outputs:
        return {"lacking": lacking, "holds": sorted(arrays)}
    answers = session.run(outputs, {name: arrays[name] for name in inputs})
    differences = {
        name: difference(arrays[name], answer)
        for name, answer in zip(outputs, answers, strict=True)
    }
    return {
        "rows": len(arrays[inputs[0]]) if inputs and arrays[inputs[0]].ndim else 1,
        "differences": differences,
    }


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
        return {
            "same": bool(close.all()),
            "largest": float(np.nanmax(apart)) if np.isfinite(apart).any() else 0.0,
        }
    unequal = int((found.astype(recorded.dtype) != recorded).sum())
    return {"same": unequal == 0, "unequal": unequal, "of": int(recorded.size)}


def _run(arguments: Sequence[str]) -> int:
    try:
        told = main(*arguments)
    except ImportError as error:
        told = {"needs": error.name}
    except Exception as error:  # noqa: BLE001 - whatever the libraries make of the file, the parent says it in a sentence
        told = {"error": str(error).strip() or type(error).__name__}
    print(json.dumps(told))  # noqa: T201 - this is how the parent is told
    return 0


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
