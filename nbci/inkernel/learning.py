"""Models and data sets of machine-learning libraries whose own pickles fail, or cannot be read."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from .forms import Refused
from .notes import unnoted

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND_TO_PROCESS = {
    "DatasetV2": (
        "a tf.data set is bound to the TensorFlow of its process; pass on the arrays or paths that "
        "it is made of, and make the data set in the step that uses it"
    ),
    "IteratorBase": (
        "an iterator of a tf.data set is bound to the TensorFlow of its process; pass on the "
        "arrays or paths that the set is made of, and make both in the step that uses them"
    ),
    "BaseSession": (
        "an open TensorFlow session belongs to its process; save what it holds to a file, and open "
        "one in the step that uses it"
    ),
    "Graph": (
        "a TensorFlow graph is bound to its process; save it to a file, or build it in the step "
        "that uses it"
    ),
    "Operation": (
        "an operation is bound to the TensorFlow graph of its process; build it in the step that "
        "uses it"
    ),
    "SymbolicTensor": (
        "a symbolic tensor is bound to the TensorFlow graph of its process; pass on its value as "
        "an array, or build it in the step that uses it"
    ),
    "ConcreteFunction": (
        "a traced TensorFlow function is bound to the graph of its process; pass on the Python "
        "function, or save it with `tf.saved_model.save`"
    ),
}
"""Classes of TensorFlow, and why their instances cannot be passed on.

They hold handles into a runtime that belongs to the process.
"""

NOT_WRITTEN = (
    "xgboost writes no {name} of this kind to a file; pass on the arrays and labels, "
    "and make the {name} in the step that uses it"
)


def form_of(obj: Any) -> Any:
    """How the object is reduced, or None: as it says itself.

    Raises Refused for what cannot leave its process.
    """
    package = (type(obj).__module__ or "").partition(".")[0]
    if package == "xgboost" and hasattr(obj, "save_binary"):
        return matrix_form(obj)
    if package == "tensorflow":
        refuse_bound(obj)
    return None


def refuse_bound(obj: Any) -> None:
    for kind in type(obj).__mro__:
        if kind.__name__ in BOUND_TO_PROCESS and kind.__module__.startswith("tensorflow."):
            raise Refused(BOUND_TO_PROCESS[kind.__name__])


# xgboost


def matrix_form(matrix: Any) -> tuple[Any, ...]:
    """A `DMatrix` as xgboost's own binary file, which has labels, weights and features, too."""
    kind = type(matrix)
    # the others hold an iterator or quantiles, which the file has not
    if kind.__name__ != "DMatrix":
        raise Refused(NOT_WRITTEN.format(name=kind.__name__))
    settings = dict(vars(matrix))
    settings.pop("handle", None)
    return (matrix_of, (kind, pickle.PickleBuffer(binary_of(matrix)), settings))


def binary_of(matrix: Any) -> bytes:
    """What xgboost writes; it writes to paths only."""
    with temporary_path() as path:
        try:
            matrix.save_binary(path)
        except OSError:
            raise
        except Exception as error:  # its errors are of a class that this module must not import
            raise Refused(NOT_WRITTEN.format(name=type(matrix).__name__)) from error
        with open(path, "rb") as file:
            return file.read()


def matrix_of(kind: Any, binary: Any, settings: dict[str, Any]) -> Any:
    """The matrix that xgboost wrote."""
    with temporary_path() as path:
        with open(path, "wb") as file:
            file.write(binary)
        matrix = kind(path, silent=True)
    vars(matrix).update(settings)
    return matrix


@contextlib.contextmanager
def temporary_path() -> Iterator[str]:
    """A path for a moment; its file is not noted as one that the step read or wrote."""
    with unnoted():
        folder = tempfile.mkdtemp(prefix="nbci-")
        try:
            yield os.path.join(folder, "matrix")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
