"""What answers for a model: an ONNX file in this process, or a notebook in a kernel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.serving.datatypes import datatype_of, datatype_of_numpy
from nbci.serving.refusal import Refusal
from nbci.serving.signature import ModelSignature, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from nbci.pipeline.models import PredictNotebook, Tensor

    Arrays = Mapping[str, npt.NDArray[np.generic]]

_ERRORS_ONLY = 3


class OnnxModel:
    """One ONNX file, ready to answer; `threads` are those that one answer may use."""

    platform = "onnx_onnxv1"
    is_in_process = True
    is_ready = True

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

    def close(self) -> None:
        """Nothing to do: the memory goes with the object."""


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
        specs.append(_spec(node.name, datatype, node.shape))
    return tuple(specs)


def _spec(name: str, datatype: str, sizes: Sequence[object]) -> TensorSpec:
    # A size with a name, or none, may be any.
    shape = tuple(size if isinstance(size, int) else -1 for size in sizes)
    return TensorSpec(name=name, datatype=datatype, shape=shape)


class NotebookModel:
    """A notebook in a kernel, ready to answer."""

    platform = "nbci_notebook"
    is_in_process = False

    def __init__(self, notebook: PredictNotebook, seconds: float, log: Callable[..., None]) -> None:
        """`seconds` are what an answer may take; `log` hears of the kernel, and of failures.

        UsageError where the signature has types that the protocol does not know, and errors as of
        `Predictor`.
        """
        # Jupyter is imported where it is needed only.
        from nbci.kernels.predictor import Predictor

        self.signature = ModelSignature(
            inputs=_declared_specs(notebook, notebook.signature.inputs),
            outputs=_declared_specs(notebook, notebook.signature.outputs),
        )
        self._seconds = seconds
        self._log = log
        self._path = notebook.path
        self._predictor = Predictor(notebook, os.environ, log)

    @property
    def is_ready(self) -> bool:
        """Whether there is a kernel now."""
        return self._predictor.is_ready

    def answer(self, outputs: Sequence[str], inputs: Arrays) -> list[Any]:
        """The arrays of these outputs; Refusal (503) without a kernel, (500) where it fails."""
        from nbci.kernels.predictor_kernel import PredictFailed, PredictorGone

        try:
            return self._predictor.answer(outputs, inputs, self._seconds)
        except PredictorGone as error:
            raise Refusal(503, f"{error}; try again in a moment") from error
        except PredictFailed as error:
            # The client learns nothing of a program that is not its own.
            self._log("model failed", notebook=self._path, reason=str(error))
            raise Refusal(500, "the model failed") from error

    def close(self) -> None:
        """End the kernel."""
        self._predictor.close()


def _declared_specs(notebook: PredictNotebook, tensors: Sequence[Tensor]) -> tuple[TensorSpec, ...]:
    specs = []
    for tensor in tensors:
        datatype = datatype_of_numpy(tensor.dtype)
        if datatype is None:
            raise UsageError(
                f"{notebook.path} cannot be served: its signature has {tensor}, for which the Open "
                "Inference Protocol has no type"
            )
        specs.append(_spec(tensor.name, datatype, tensor.shape))
    return tuple(specs)
