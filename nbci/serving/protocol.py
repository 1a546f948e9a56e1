"""Requests and answers of the Open Inference Protocol, in JSON and with binary tensors.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from nbci.serving.datatypes import BYTES, dtype_of
from nbci.serving.refusal import Refusal
from nbci.serving.signature import (
    check_names,
    check_tensor,
    listed,
    short,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from nbci.serving.signature import ModelSignature, TensorSpec

    Array = npt.NDArray[np.generic]

HEADER_LENGTH = "inference-header-content-length"
"""The header that says how long the JSON is, behind which binary tensors lie."""
_LENGTH_BYTES = 4
_MOST_AXES = 32
_MOST_DIGITS = 20
_MOST_VALUES = 2**48


class _Input(Struct):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw = msgspec.Raw()
    parameters: dict[str, Any] = field(default_factory=dict)


class _Output(Struct):
    name: str
    parameters: dict[str, Any] = field(default_factory=dict)


class _Document(Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: list[_Output] = field(default_factory=list)


class InferRequest(Struct, frozen=True, kw_only=True):
    """What is asked of a model; `outputs` are those that are wanted, each whether as bytes."""

    id: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, bool]


_DECODER = msgspec.json.Decoder(_Document)


def read_request(
    body: bytes | memoryview, header_length: str | None, signature: ModelSignature
) -> InferRequest:
    """The request that a body holds.

    Refusal (400) where it is none, or does not fit the signature; it names the tensor and the
    reason, and repeats nothing of the data.
    """
    header, binary = _split(body, header_length)
    # Only the frame is decoded here: the data are read once it is known what they are to be.
    try:
        document = _DECODER.decode(header)
    except msgspec.ValidationError as error:
        raise Refusal(400, f"the body is no inference request: {error}") from error
    except UnicodeDecodeError as error:
        raise Refusal(400, "the body is no JSON: it is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(400, f"the body is no JSON: {error}") from error

    check_names(signature, [given.name for given in document.inputs])
    specs = {spec.name: spec for spec in signature.inputs}
    inputs = {}
    # In the order of the JSON: so the bytes behind it lie.
    for given in document.inputs:
        size = _binary_size(given, len(binary))
        part = None
        if size is not None:
            part, binary = binary[:size], binary[size:]
        inputs[given.name] = _array(specs[given.name], given, part)
    # Most likely a size is wrong, and the tensors before are shifted.
    if len(binary):
        raise Refusal(400, f"{len(binary)} bytes are left behind the tensors of the body")
    return InferRequest(id=document.id, inputs=inputs, outputs=_wanted(document, signature))


def _split(body: bytes | memoryview, header_length: str | None) -> tuple[memoryview, memoryview]:
    """The JSON of a body, and the bytes behind it."""
    # Parts of it are taken without copying an image of megabytes.
    whole = memoryview(body)
    if header_length is None:
        return whole, whole[:0]
    if not header_length.isascii() or not header_length.isdecimal():
        raise Refusal(400, f"the header {HEADER_LENGTH} is no number")
    # Python converts no more than 4,300 digits.
    if len(header_length) > _MOST_DIGITS or int(header_length) > len(body):
        raise Refusal(
            400,
            f"the header {HEADER_LENGTH} says more than the {len(body)} bytes that the body has",
        )
    length = int(header_length)
    return whole[:length], whole[length:]


def _binary_size(given: _Input, left: int) -> int | None:
    """How many bytes of the body belong to the input; None where its data are in the JSON."""
    size = given.parameters.get("binary_data_size")
    if size is None:
        return None
    # In Python, True is a whole number.
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Refusal(400, f"the binary_data_size of {short(given.name)} is no number of bytes")
    if size > left:
        raise Refusal(
            400, f"the input {short(given.name)} says more bytes than the {left} that are left"
        )
    return size


def _array(spec: TensorSpec, given: _Input, binary: memoryview | None) -> Array:
    # Before the data are looked at: they are read as what the model takes.
    check_tensor(spec, given.datatype, given.shape)
    # numpy takes -1 for whatever is left, and no sizes beyond its own, beside a 0 neither.
    is_shape = len(given.shape) <= _MOST_AXES and all(
        0 <= size < _MOST_VALUES for size in given.shape
    )
    if not is_shape or math.prod(size or 1 for size in given.shape) > _MOST_VALUES:
        raise Refusal(400, f"the shape of the input {short(spec.name)} is none")
    if binary is not None:
        return from_bytes(spec, given.shape, binary)
    return _from_json(spec, given.shape, bytes(given.data))


def from_bytes(spec: TensorSpec, shape: Sequence[int], binary: memoryview) -> Array:
    """The tensor that lies behind the JSON; Refusal where it has more bytes than that, or less."""
    import numpy as np

    count = math.prod(shape)
    if spec.datatype == BYTES:
        return np.array(_read_texts(spec, count, binary), dtype=object).reshape(shape)
    dtype = dtype_of(spec.datatype)
    assert dtype is not None, "a signature has only types that the protocol knows"
    if len(binary) != count * dtype.itemsize:
        raise Refusal(
            400,
            f"the input {short(spec.name)} has {len(binary)} bytes, and its shape takes "
            f"{count * dtype.itemsize}",
        )
    # Other bytes are no bool, and what a runtime makes of them is not defined.
    if spec.datatype == "BOOL" and np.any(np.frombuffer(binary, np.uint8) > 1):
        raise Refusal(400, f"a value of the input {short(spec.name)} is outside of BOOL")
    # No copy: the body is kept as long as the array is.
    return np.frombuffer(binary, dtype).reshape(shape)


def _read_texts(spec: TensorSpec, count: int, binary: memoryview) -> list[str]:
    """Texts, each behind its length in four bytes, the lowest first."""
    texts = []
    at = 0
    # Each length is checked against what is left before anything is read by it.
    for _ in range(count):
        end = at + _LENGTH_BYTES
        length = int.from_bytes(binary[at:end], "little")
        if end + length > len(binary):
            raise Refusal(400, f"the input {short(spec.name)} ends in the middle of a text")
        texts.append(_decode_text(spec, bytes(binary[end : end + length])))
        at = end + length
    if at != len(binary):
        raise Refusal(400, f"the input {short(spec.name)} has more bytes than its shape says")
    return texts


def _decode_text(spec: TensorSpec, text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise Refusal(400, f"a text of the input {short(spec.name)} is not UTF-8") from error


def _from_json(spec: TensorSpec, shape: Sequence[int], data: bytes) -> Array:
    """The array of data that are flat, or nested as the shape is."""
    import numpy as np

    if not data:
        raise Refusal(400, f"the input {short(spec.name)} has no data")
    # By its type, so that 1.5 is no whole number and "1" no number.
    kind = _JSON_KINDS.get(spec.datatype, int)
    try:
        values = msgspec.json.decode(data, type=list[kind])  # type: ignore[valid-type]  # a value
    # Texts are first decoded here: they may be no UTF-8.
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Nested data are the rarer form, and slower to read.
        values = _flattened(spec, shape, data, kind)
    if len(values) != math.prod(shape):
        raise Refusal(
            400,
            f"the input {short(spec.name)} has {len(values)} values, and its shape takes "
            f"{math.prod(shape)}",
        )
    try:
        # A number that is too large for the type would become infinite, with a warning only.
        with np.errstate(over="raise"):
            return np.array(values, dtype=dtype_of(spec.datatype)).reshape(shape)
    except (OverflowError, FloatingPointError, ValueError) as error:
        raise Refusal(
            400, f"a value of the input {short(spec.name)} is outside of {spec.datatype}"
        ) from error


_JSON_KINDS: Mapping[str, Any] = {
    "BOOL": bool,
    "FP16": float,
    "FP32": float,
    "FP64": float,
    BYTES: str,
}


def _flattened(spec: TensorSpec, shape: Sequence[int], data: bytes, kind: type) -> list[Any]:
    nested = kind
    for _ in shape:
        nested = list[nested]  # type: ignore[valid-type]  # a type that is made here
    try:
        values: Any = msgspec.json.decode(data, type=nested)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # Not the decoder's own words: they would quote a value.
        raise Refusal(
            400,
            f"the data of the input {short(spec.name)} are no list of {spec.datatype}, "
            "flat or nested as its shape is",
        ) from error
    # Of no axis: the value itself.
    if not shape:
        return [values]
    for axis, size in enumerate(shape[:-1]):
        if axis == 0 and len(values) != size:
            raise Refusal(400, f"the data of {short(spec.name)} are not nested as its shape is")
        flat: list[Any] = []
        for each in values:
            if len(each) != shape[axis + 1]:
                raise Refusal(400, f"the data of {short(spec.name)} are not nested as its shape is")
            flat += each
        values = flat
    return list(values)


def _wanted(document: _Document, signature: ModelSignature) -> dict[str, bool]:
    """The outputs that the request asks for, all of them where it names none."""
    as_binary = document.parameters.get("binary_data_output") is True
    known = [spec.name for spec in signature.outputs]
    # An empty list is what clients send that have no wish.
    if not document.outputs:
        return dict.fromkeys(known, as_binary)
    wanted = {}
    for output in document.outputs:
        if output.name not in known:
            raise Refusal(
                400,
                f"the model has no output {short(output.name)}; its outputs: {listed(known)}",
            )
        wanted[output.name] = output.parameters.get("binary_data", as_binary) is True
    return wanted


def write_answer(
    model: str,
    version: str,
    request: InferRequest,
    answers: Mapping[str, Array],
    signature: ModelSignature,
) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON where binary tensors lie behind it."""
    specs = {spec.name: spec for spec in signature.outputs}
    outputs, parts = [], []
    for name, is_binary in request.outputs.items():
        array = answers[name]
        output: dict[str, Any] = {
            "name": name,
            "datatype": specs[name].datatype,
            "shape": list(array.shape),
        }
        if is_binary:
            part = to_bytes(array, specs[name].datatype)
            parts.append(part)
            output["parameters"] = {"binary_data_size": len(part)}
        else:
            output["data"] = array.reshape(-1).tolist()
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": outputs}
    if request.id:
        answer["id"] = request.id
    # NaN and the infinities become null.
    header = msgspec.json.encode(answer)
    if not parts:
        return header, None
    return b"".join((header, *parts)), len(header)


def to_bytes(array: Array, datatype: str) -> bytes | memoryview:
    """A tensor as it lies behind the JSON."""
    if datatype != BYTES:
        import numpy as np

        # Copied only where its rows lie apart, or the machine has the other order.
        flat = array.astype(dtype_of(datatype), copy=False).reshape(-1)
        return flat.view(np.uint8).data
    parts = []
    for value in array.reshape(-1).tolist():
        text = value if isinstance(value, bytes) else str(value).encode()
        parts += [len(text).to_bytes(_LENGTH_BYTES, "little"), text]
    return b"".join(parts)
