"""A model as the pipeline file declares it: which files it is, what it takes and answers, where it
may be promoted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FRAMEWORKS = {
    ".onnx": "onnx",
    ".pt": "torch",
    ".pth": "torch",
    ".safetensors": "safetensors",
    ".keras": "keras",
    ".h5": "keras",
    ".joblib": "sklearn",
    ".cbm": "catboost",
    ".ubj": "xgboost",
}


class Tensor(Struct, frozen=True, kw_only=True):
    """An input or output of a model.

    A dimension is a number, a name (of one that varies), or None (any).
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"

    def fits(self, other: Tensor) -> bool:
        """Whether the two can be the same: names and dtypes equal, sizes equal where both are
        known.
        """
        pairs = zip(self.shape, other.shape, strict=False)
        return (
            (self.name, self.dtype, len(self.shape)) == (other.name, other.dtype, len(other.shape))
        ) and all(one == two for one, two in pairs if isinstance(one, int) and isinstance(two, int))


class Signature(Struct, frozen=True, kw_only=True):
    """What a model takes and answers."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Model(Struct, frozen=True, kw_only=True):
    """Files that are promoted together. Paths are relative to the project's root.

    `signature` is a path of a JSON file where it is text. `sample` is an .npz with an array for
    each input of the model, and for each output to compare, under the names that the model gives
    them.
    """

    name: str
    paths: tuple[str, ...]
    stage: str | None = None
    branches: tuple[str, ...] = ()
    framework: str | None = None
    signature: Signature | str | None = None
    sample: str | None = None
    card: str | None = None
    description: str | None = None

    @property
    def onnx_paths(self) -> tuple[str, ...]:
        """Those files that are ONNX models."""
        return tuple(path for path in self.paths if path.endswith(".onnx"))


def models_of(declared: Mapping[str, Mapping[str, Any]] | None) -> tuple[Model, ...]:
    """The models of a pipeline file that its schema has accepted."""
    return tuple(_model(name, fields) for name, fields in (declared or {}).items())


def _model(name: str, fields: Mapping[str, Any]) -> Model:
    paths = tuple(fields.get("paths") or (fields["path"],))
    signature = fields.get("signature")
    return Model(
        name=name,
        paths=paths,
        stage=fields.get("stage"),
        branches=tuple(fields.get("branches", ())),
        framework=fields.get("framework") or _framework(paths),
        signature=signature
        if signature is None or isinstance(signature, str)
        else signature_of(signature, name),
        sample=fields.get("sample"),
        card=fields.get("card"),
        description=fields.get("description"),
    )


def _framework(paths: Sequence[str]) -> str | None:
    found = (_FRAMEWORKS.get(path[path.rfind(".") :]) for path in paths)
    return next((framework for framework in found if framework is not None), None)


def signature_of(data: Any, model: str) -> Signature:
    """The signature that the mapping describes; a UsageError that shows the form when it does not."""
    import msgspec

    try:
        return msgspec.convert(data, Signature)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"the signature of model {model} cannot be read: {error}",
            hint='it has the form {"inputs": [{"name": "X", "dtype": "float32", "shape": [null, 64]}], "outputs": […]}',
        ) from error
