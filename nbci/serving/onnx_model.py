"""A model of ONNX files behind ONNX Runtime: its signature, and its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.serving.datatypes import datatype_of
from nbci.serving.signature import ModelSignature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    Arrays = Mapping[str, npt.NDArray[np.generic]]

_ERRORS_ONLY = 3


class OnnxModel:
    """One ONNX file, ready to answer; `threads` are those that one answer may use."""

    def __init__(self, path: Path, threads: int) -> None:
        """UsageError where its inputs or outputs have types that the protocol does not know."""
        import onnxruntime  # type: ignore[import-untyped]  # it has no types

        options = onnxruntime.SessionOptions()
        # It would print warnings about what it optimises.
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = threads
        # One answer is small, and others wait: threads of each would only take turns.
        options.inter_op_num_threads = 1
        # Threads that spin between two answers take the processor from the server.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.signature = ModelSignature(
            inputs=_specs(path.name, self._session.get_inputs()),
            outputs=_specs(path.name, self._session.get_outputs()),
        )

    def answer(self, outputs: Sequence[str], inputs: Arrays) -> list[Any]:
        """The arrays of these outputs."""
        answers: list[Any] = self._session.run(list(outputs), inputs)
        return answers


def _specs(file: str, nodes: Sequence[Any]) -> tuple[TensorSpec, ...]:
    specs = []
    for node in nodes:
        datatype = datatype_of(node.type)
        if datatype is None:
            raise UsageError(
                f"{file} cannot be served: its tensor {node.name} is a {node.type}, for which the "
                "Open Inference Protocol has no type",
                hint="export the model with plain tensors, in skl2onnx with `zipmap: False`",
            )
        # A size with a name, or none, may be any.
        shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
        specs.append(TensorSpec(name=node.name, datatype=datatype, shape=shape))
    return tuple(specs)
