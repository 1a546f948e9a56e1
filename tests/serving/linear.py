"""A small ONNX model, its sample, and requests to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from nbci.serving.loading import Loaded, Loading, ModelFile, load
from tests.promotion.test_packaging import ROWS, WEIGHTS, write_model

if TYPE_CHECKING:
    from pathlib import Path


def linear(folder: Path, version: str = "v1.0.0", **recorded: Any) -> ModelFile:
    """The model in a folder; `recorded` replaces outputs that the sample records."""
    folder.mkdir(parents=True, exist_ok=True)
    write_model(folder / "linear.onnx")
    scores = ROWS @ WEIGHTS
    outputs = {"scores": scores, "label": scores.argmax(axis=1), **recorded}
    np.savez(folder / "sample.npz", X=ROWS, **outputs)
    return ModelFile(
        model="linear",
        version=version,
        path=str(folder / "linear.onnx"),
        sample=str(folder / "sample.npz"),
    )


def loaded_of(file: ModelFile) -> Loaded:
    """The model, loaded as servers do."""
    return load(file, Loading())


def request_body(rows: Any = ROWS) -> bytes:
    """A request with these rows."""
    array = np.asarray(rows)
    tensor = {
        "name": "X",
        "shape": list(array.shape),
        "datatype": "FP32",
        "data": array.ravel().tolist(),
    }
    return json.dumps({"inputs": [tensor]}).encode()
