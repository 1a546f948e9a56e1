"""A model as the pipeline file declares it: its files, its signature, where it may be promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
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

SIGNATURE_FORM = (
    '{"inputs": [{"name": "X", "dtype": "float32", "shape": [null, 64]}], "outputs": […]}'
)


class Tensor(Struct, frozen=True, kw_only=True):
    """An input or output of a model.

    A dimension is a number, a name (of one that varies), or None (any).
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        sizes = ["?" if size is None else str(size) for size in self.shape]
        return f"{self.name}: {self.dtype}[{', '.join(sizes)}]"

    def fits(self, other: Tensor) -> bool:
        """Whether the two can be the same.

        Names and dtypes are equal, and sizes where both are known.
        """
        if (self.name, self.dtype) != (other.name, other.dtype):
            return False
        if len(self.shape) != len(other.shape):
            return False
        for one, two in zip(self.shape, other.shape, strict=True):
            # A name stands for a size that differs from call to call.
            if isinstance(one, int) and isinstance(two, int) and one != two:
                return False
        return True


class Signature(Struct, frozen=True, kw_only=True):
    """What a model takes and answers."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class PredictNotebook(Struct, frozen=True, kw_only=True):
    """A notebook that defines `predict`, on this machine.

    `path` is in `folder`, as are the files that it reads; `signature` is what `predict` takes and
    answers.
    """

    path: str
    folder: str
    signature: Signature


class ServeSettings(Struct, frozen=True, kw_only=True):
    """A notebook whose `predict` answers for the model, and other files that it needs."""

    notebook: str
    files: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The notebook and the files."""
        return (self.notebook, *self.files)


class Model(Struct, frozen=True, kw_only=True):
    """Files that are promoted together. Paths are relative to the project's root.

    `evaluate` names the step that measures the model from its files, or the node that has only that
    step. `signature` is a path of a JSON file where it is text. `sample` is an .npz with an array
    for each input of the model, and for each output to compare, under the names that the model
    gives them; of several ONNX files, those of one begin with its name, as `encoder.X` of
    `out/encoder.onnx`, where they are not for all. The release has a profile of what is at the
    paths of `profile`. `serve` says how it is served where it is not ONNX. `proved` asks for a
    proof of the run: `required` that it was reproduced, `identical` bit for bit.
    """

    name: str
    paths: tuple[str, ...]
    evaluate: str | None = None
    stage: str | None = None
    branches: tuple[str, ...] = ()
    framework: str | None = None
    signature: Signature | str | None = None
    sample: str | None = None
    profile: tuple[str, ...] = ()
    serve: ServeSettings | None = None
    card: str | None = None
    description: str | None = None
    proved: Literal["required", "identical"] | None = None

    @property
    def onnx_paths(self) -> tuple[str, ...]:
        """Those files that are ONNX models."""
        return tuple(path for path in self.paths if path.endswith(".onnx"))


def models_of(declared: Mapping[str, Mapping[str, Any]] | None) -> tuple[Model, ...]:
    """The models of a pipeline file that its schema has accepted."""
    return tuple(_model(name, fields) for name, fields in (declared or {}).items())


def _model(name: str, fields: Mapping[str, Any]) -> Model:
    # The schema asks for one of the two.
    paths = tuple(fields.get("paths") or (fields["path"],))
    signature = fields.get("signature")
    # A text is the path of a file that is read when the model is promoted.
    if signature is not None and not isinstance(signature, str):
        signature = signature_of(signature, name)
    return Model(
        name=name,
        paths=paths,
        evaluate=fields.get("evaluate"),
        stage=fields.get("stage"),
        branches=tuple(fields.get("branches", ())),
        framework=fields.get("framework") or _framework(paths),
        signature=signature,
        sample=fields.get("sample"),
        profile=_paths(fields.get("profile", ())),
        serve=_serve_settings(fields.get("serve")),
        card=fields.get("card"),
        description=fields.get("description"),
        proved=fields.get("proved"),
    )


def _serve_settings(fields: Mapping[str, Any] | None) -> ServeSettings | None:
    if fields is None:
        return None
    return ServeSettings(notebook=fields["notebook"], files=tuple(fields.get("files", ())))


def _paths(value: str | Sequence[str]) -> tuple[str, ...]:
    """The paths; a single one may stand for itself."""
    if isinstance(value, str):
        return (value,)
    return tuple(value)


def _framework(paths: Sequence[str]) -> str | None:
    for path in paths:
        # A JSON or pickle may be of any library: those say `framework:`.
        framework = _FRAMEWORKS.get(path[path.rfind(".") :])
        if framework is not None:
            return framework
    return None


def signature_of(data: Any, model: str) -> Signature:
    """The signature that the mapping describes; where it is none, a UsageError shows the form."""
    try:
        return msgspec.convert(data, Signature)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"the signature of model {model} cannot be read: {error}",
            hint=f"it has the form {SIGNATURE_FORM}",
        ) from error
