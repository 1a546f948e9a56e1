"""A head on a convolutional network that has seen other photographs before: `network: pretrained`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from backbone import SIDE, WIDTH, Graph, add_backbone, picture_input, quiet_session, read_weights
from onnx import TensorProto, helper
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

BATCH = 32  # pictures


@dataclass(frozen=True, kw_only=True)
class Head:
    """What was trained: how features are standardised, the layers on them, and the loss of each epoch."""

    mean: np.ndarray
    deviation: np.ndarray
    classifier: MLPClassifier
    losses: list[float]

    def probability(self, features: np.ndarray) -> np.ndarray:
        """How likely each picture, as `prepare` gives it, is of the second kind."""
        return self.classifier.predict_proba((features - self.mean) / self.deviation)[:, 1]

    def add_to(self, graph: Graph) -> str:
        """Add all from `image` to the score; returns its name. Standardising goes into the first layer's weights."""
        value = add_backbone(graph, read_weights())
        layers = zip(self.classifier.coefs_, self.classifier.intercepts_, strict=True)
        for number, (weights, bias) in enumerate(layers):
            if number == 0:
                weights = weights / self.deviation[:, None]
                bias = bias - self.mean @ weights
            else:
                value = graph.add("Relu", [value], f"head.{number}.positive")
            constants = [
                graph.constant(f"head.{number}.weights", weights.astype(np.float32)),
                graph.constant(f"head.{number}.bias", bias.astype(np.float32)),
            ]
            value = graph.add("Gemm", [value, *constants], f"head.{number}")
        return value


def prepare(pictures: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The 1280 features of each picture: the network without its last layer."""
    graph = Graph()
    features = add_backbone(graph, read_weights(), side)
    output = helper.make_tensor_value_info(features, TensorProto.FLOAT, ["batch", WIDTH])
    session = quiet_session(graph.model([picture_input()], [output]).SerializeToString())
    parts = []
    for at in range(0, len(pictures), BATCH):
        parts.append(session.run(None, {"image": np.ascontiguousarray(pictures[at : at + BATCH])})[0])
    print(f"{len(pictures)} pictures through the network on {session.get_providers()[0]}")
    return np.concatenate(parts)


def fit(
    features: np.ndarray, labels: np.ndarray, *, width: int, learning_rate: float, weight_decay: float, epochs: int, seed: int
) -> Head:
    """Train a head with a hidden layer of `width` units, or with none, on one core: trials go on side by side."""
    # The summand keeps a feature that few pictures have from counting for more than all others.
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 0.1
    classifier = MLPClassifier(
        (width,) if width else (),
        alpha=weight_decay,
        learning_rate_init=learning_rate,
        max_iter=epochs,
        batch_size=min(64, len(features)),
        random_state=seed,
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `epochs` says when training ends
        classifier.fit((features - mean) / deviation, labels)
    return Head(mean=mean, deviation=deviation, classifier=classifier, losses=classifier.loss_curve_)
