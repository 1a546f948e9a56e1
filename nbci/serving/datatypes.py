"""The types of tensors, as the protocol, ONNX and numpy call them.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

BYTES = "BYTES"
"""Text, or bytes of any length; in JSON as strings, in binary each behind its length."""

_OF_ONNX = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
    "string": BYTES,
}
"""The protocol's name for each type of ONNX Runtime, `tensor(float)` without its `tensor`."""

_OF_NUMPY = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
    BYTES: "object",
}


def datatype_of(onnx: str) -> str | None:
    """The protocol's name for a type as ONNX Runtime names it; None where it has none.

    >>> datatype_of("tensor(float)")
    'FP32'
    """
    return _OF_ONNX.get(onnx.removeprefix("tensor(").removesuffix(")"))


def datatype_of_numpy(dtype: str) -> str | None:
    """The protocol's name for a dtype as a declared signature names it; None where it has none.

    >>> datatype_of_numpy("float32"), datatype_of_numpy("str")
    ('FP32', 'BYTES')
    """
    # The others are called alike.
    of_onnx = {"float32": "float", "float64": "double", "str": "string"}
    return _OF_ONNX.get(of_onnx.get(dtype, dtype))


def dtype_of(datatype: str) -> np.dtype[Any] | None:
    """The little-endian dtype whose bytes the protocol sends; None where there is no such type."""
    import numpy as np

    name = _OF_NUMPY.get(datatype)
    # BF16, for one: numpy has no such type.
    if name is None:
        return None
    # As the protocol sends them, on machines of the other order, too.
    return np.dtype(name).newbyteorder("<")


def bounds_of(datatype: str) -> tuple[float, float]:
    """The smallest and the largest number of a type that has some.

    >>> bounds_of("INT8"), bounds_of("UINT8"), bounds_of("FP16")
    ((-128, 127), (0, 255), (-65504.0, 65504.0))
    """
    import numpy as np

    dtype = np.dtype(_OF_NUMPY[datatype])
    if dtype.kind != "f":
        return np.iinfo(dtype).min, np.iinfo(dtype).max
    return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
