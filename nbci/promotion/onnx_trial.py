"""Try an ONNX model in a separate process.

A broken or hostile file may crash the runtime that loads it.

Run as `python -m nbci.promotion.onnx_trial MODEL [SAMPLE [FILE]]`; prints one JSON document.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from nbci.behaviour.recorded_answers import (
    UnreadableSampleError,
    arrays_of_file,
    difference,
    read_sample,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import onnxruntime  # type: ignore[import-untyped]  # it has no types


def main(model: str, sample: str | None = None, file: str = "") -> dict[str, Any]:
    """Return the model's signature and, with a sample, how far its answers are from it.

    `file` is what arrays of the sample begin with that are for this file only.
    """
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
        answer |= _try_sample(session, sample, file)
    return answer


def _tensor(node: onnxruntime.NodeArg) -> dict[str, Any]:
    return {
        "name": node.name,
        "dtype": node.type.removeprefix("tensor(").removesuffix(")"),
        "shape": node.shape,
    }


def _try_sample(session: onnxruntime.InferenceSession, sample: str, file: str) -> dict[str, Any]:
    try:
        arrays = arrays_of_file(read_sample(sample), file)
    except UnreadableSampleError as error:
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
