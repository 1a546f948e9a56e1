"""What a model takes and answers, and whether a request's tensors fit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from nbci.serving.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    Arrays = Mapping[str, npt.NDArray[np.generic]]

_SHOWN = 10
_LONGEST = 80


class TensorSpec(Struct, frozen=True, kw_only=True):
    """An input or output of a model; a size of -1 may be any, as the protocol has it."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def is_batched(self) -> bool:
        """Whether its first axis may be of any size, as that of rows is."""
        return bool(self.shape) and self.shape[0] == -1


class ModelSignature(Struct, frozen=True, kw_only=True):
    """The inputs and outputs of a model, in their order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def is_batched(self) -> bool:
        """Whether the rows of several requests may go through the model as one."""
        return all(tensor.is_batched for tensor in (*self.inputs, *self.outputs))


class ServedModel(Protocol):
    """What answers requests: an ONNX file in this process, or a notebook in a kernel.

    `platform` is what the protocol calls its kind. `is_in_process` where an answer may be so quick
    that a thread would take longer.
    """

    platform: str
    is_in_process: bool
    signature: ModelSignature

    @property
    def is_ready(self) -> bool:
        """Whether it answers now."""

    def answer(self, outputs: Sequence[str], inputs: Arrays) -> list[Any]:
        """The arrays of these outputs; Refusal where it says itself why there are none."""

    def close(self) -> None:
        """Give back what it holds; it is asked nothing any more."""


def check_names(signature: ModelSignature, given: Sequence[str]) -> None:
    """Refusal (400) where an input is unknown, missing or there twice."""
    known = [tensor.name for tensor in signature.inputs]
    for name in given:
        # A misspelt input would be told as a missing one, which says less.
        if name not in known:
            raise Refusal(400, f"the model has no input {short(name)}; its inputs: {listed(known)}")
        if given.count(name) > 1:
            raise Refusal(400, f"the input {short(name)} is there twice")
    for name in known:
        if name not in given:
            raise Refusal(400, f"the input {short(name)} is missing")


def check_tensor(spec: TensorSpec, datatype: str, shape: Sequence[int]) -> None:
    """Refusal (400) where a tensor of this type and shape does not fit the model's input."""
    # Not converted: a client that sends other types sends something else than it was trained on.
    if datatype != spec.datatype:
        raise Refusal(
            400, f"the input {short(spec.name)} is {spec.datatype}, not {short(datatype)}"
        )
    if len(shape) != len(spec.shape) or any(
        wanted not in (-1, size) for wanted, size in zip(spec.shape, shape, strict=True)
    ):
        raise Refusal(
            400,
            f"the input {short(spec.name)} has the shape {shape_text(spec.shape)}, "
            f"not {shape_text(shape)[:_LONGEST]}",
        )


def check_rows(arrays: Arrays) -> int:
    """The number of rows that all inputs have; Refusal (400) where they differ."""
    # The runtime would say it, too, in words of the graph's inner nodes.
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{short(name)} {count}" for name, count in rows.items())
        raise Refusal(400, f"the inputs have different numbers of rows: {counts}")
    return next(iter(rows.values()))


def shape_text(shape: Sequence[int]) -> str:
    """A shape in words of the protocol.

    >>> shape_text((-1, 64))
    '[-1, 64]'
    """
    return f"[{', '.join(map(str, shape))}]"


def short(name: str) -> str:
    """A name from outside, in quotes and never long."""
    # It may be a megabyte, or hold escapes of a terminal that shows the log.
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - 3]}..."
    return ascii(name)


def listed(names: Sequence[str]) -> str:
    """Some names; of many, the first."""
    text = ", ".join(map(short, names[:_SHOWN]))
    if len(names) > _SHOWN:
        text += f" and {len(names) - _SHOWN} more"
    return text
