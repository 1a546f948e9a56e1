"""A small convolutional network that starts with nothing: four convolutions, trained by JAX on whatever device it finds.

`network: small`, to compare with what a network does that has seen other photographs before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from backbone import Graph, add_scaling, picture_input, quiet_session
from onnx import TensorProto, helper

SIDE = 64  # pixels; what pictures are brought to
BATCH = 64
GROWTH = (1, 2, 4, 4)  # channels of the convolutions, as multiples of the width

Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SmallNetwork:
    """Weights that were trained, and the mean loss of each epoch."""

    params: Params
    losses: list[float]

    def probability(self, pictures: np.ndarray) -> np.ndarray:
        """How likely each picture is of the second kind."""
        graph = Graph()
        score = self.add_to(graph)
        output = helper.make_tensor_value_info(score, TensorProto.FLOAT, ["batch", 1])
        scores = in_batches(graph.model([picture_input()], [output]), pictures)
        return 1 / (1 + np.exp(-scores[:, 0].astype(np.float64)))

    def add_to(self, graph: Graph) -> str:
        """Add all from `image` to the score; returns its name."""
        value = add_scaling(graph, SIDE)
        for number, (kernel, bias) in enumerate(self.params["convolutions"]):
            name = f"convolution.{number}"
            weights = [graph.constant(f"{name}.kernel", kernel), graph.constant(f"{name}.bias", bias)]
            value = graph.add("Conv", [value, *weights], name, strides=[2, 2], auto_pad="SAME_UPPER")
            value = graph.add("Relu", [value], f"{name}.positive")
        graph.add("GlobalAveragePool", [value], "means")
        graph.add("Flatten", ["means"], "channels")
        kernel, bias = self.params["last"]
        weights = [graph.constant("last.kernel", kernel), graph.constant("last.bias", bias)]
        return graph.add("Gemm", ["channels", *weights], "score")


def in_batches(model: onnx.ModelProto, pictures: np.ndarray) -> np.ndarray:
    """The output of an ONNX model for all pictures."""
    session = quiet_session(model.SerializeToString())
    parts = []
    for at in range(0, len(pictures), BATCH):
        parts.append(session.run(None, {"image": np.ascontiguousarray(pictures[at : at + BATCH])})[0])
    return np.concatenate(parts)


def prepare(pictures: np.ndarray) -> np.ndarray:
    """The pictures as they are: bytes go from step to step, and are scaled where they are needed."""
    return pictures


def scaled(pictures: np.ndarray) -> np.ndarray:
    """Pictures by colour, row and column, made smaller by the very operators that the packed model has."""
    graph = Graph()
    planes = add_scaling(graph, SIDE)
    output = helper.make_tensor_value_info(planes, TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    return in_batches(graph.model([picture_input()], [output]), pictures)


def fit(
    pictures: np.ndarray, labels: np.ndarray, *, width: int, learning_rate: float, weight_decay: float, epochs: int, seed: int
) -> SmallNetwork:
    """Train with Adam (arXiv:1412.6980) on mean log loss; ModuleNotFoundError says what to install."""
    try:
        import jax
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("network 'small' is trained by JAX: pip install 'nbci[pets]'") from error
    print(f"{len(labels)} pictures are learned on {jax.devices()[0].device_kind}")

    planes = scaled(pictures)
    generator = np.random.default_rng(seed)
    params = first_weights(width or GROWTH[0], generator)
    step = training_step(learning_rate, weight_decay)
    state = (params, jax.tree.map(np.zeros_like, params), jax.tree.map(np.zeros_like, params), 0)
    losses = []
    for _ in range(epochs):
        order = generator.permutation(len(labels))
        of_epoch = []
        # Batches of one size: for another one, everything would be compiled anew.
        for at in range(0, max(1, len(order) - BATCH + 1), BATCH):
            chosen = order[at : at + BATCH]
            state, loss = step(state, planes[chosen], labels[chosen].astype(np.float32))
            of_epoch.append(loss)
        losses.append(float(np.mean(of_epoch)))
    return SmallNetwork(params=jax.tree.map(np.asarray, state[0]), losses=losses)


def first_weights(width: int, generator: np.random.Generator) -> Params:
    """Weights as large as keeps the spread of values from layer to layer (arXiv:1502.01852)."""
    convolutions = []
    channels = 3
    for multiple in GROWTH:
        spread = np.sqrt(2 / (channels * 9))
        kernel = generator.normal(0, spread, (width * multiple, channels, 3, 3)).astype(np.float32)
        channels = width * multiple
        convolutions.append((kernel, np.zeros(channels, np.float32)))
    last = generator.normal(0, np.sqrt(1 / channels), (channels, 1)).astype(np.float32)
    return {"convolutions": convolutions, "last": (last, np.zeros(1, np.float32))}


def training_step(learning_rate: float, weight_decay: float) -> Callable[..., Any]:
    """A compiled function from weights, both of Adam's moments, and a count to the next ones, with the loss."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    def scores(params: Params, planes: Any) -> Any:
        value = planes
        for kernel, bias in params["convolutions"]:
            # Steps of two halve the picture, as pooling would, at a quarter of the work.
            value = lax.conv_general_dilated(value, kernel, (2, 2), "SAME") + bias[:, None, None]
            value = jax.nn.relu(value)
        kernel, bias = params["last"]
        return (value.mean(axis=(2, 3)) @ kernel + bias)[:, 0]

    def loss_of(params: Params, planes: Any, labels: Any) -> Any:
        found = scores(params, planes)
        # log(1 + exp(x)) without overflow
        log_loss = jnp.mean(jnp.logaddexp(0, found) - labels * found)
        squares = sum(jnp.sum(kernel**2) for kernel, _ in [*params["convolutions"], params["last"]])
        return log_loss + weight_decay / (2 * BATCH) * squares

    @jax.jit
    def step(state: Any, planes: Any, labels: Any) -> Any:
        params, first, second, count = state
        loss, slopes = jax.value_and_grad(loss_of)(params, planes, labels)
        count += 1
        first = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, first, slopes)
        second = jax.tree.map(lambda old, new: 0.999 * old + 0.001 * new**2, second, slopes)
        rate = learning_rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        params = jax.tree.map(lambda old, m, v: old - rate * m / (jnp.sqrt(v) + 1e-8), params, first, second)
        return (params, first, second, count), loss

    return step
