"""Load a version of a model, and hold it against its recorded sample before it answers anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.behaviour.recorded_answers import UnreadableSampleError, difference, read_sample
from nbci.errors import IntegrityError, Location
from nbci.serving.onnx_model import OnnxModel
from nbci.serving.signature import short

if TYPE_CHECKING:
    from nbci.behaviour.recorded_answers import Array

_FEWEST_ROWS = 2


class ModelFile(Struct, frozen=True, kw_only=True):
    """A released model on this machine: its ONNX file, and the sample that it must answer."""

    model: str
    version: str
    path: str
    sample: str | None = None


class Loaded(Struct, frozen=True, kw_only=True):
    """A model that answers as it did when it was made; `notices` are what could not be checked.

    `joins_rows`: rows of several requests give in one batch what they give alone.
    """

    file: ModelFile
    onnx: OnnxModel
    joins_rows: bool
    notices: tuple[str, ...] = ()


def load(file: ModelFile, threads: int) -> Loaded:
    """The model, ready; IntegrityError where it does not answer its sample as recorded."""
    onnx = OnnxModel(Path(file.path), threads)
    name = f"{file.model}@{file.version}"
    if file.sample is None:
        notice = (
            f"{name} was released without a sample: nobody has seen that it answers here as it did "
            "in training, and requests are answered one by one"
        )
        return Loaded(file=file, onnx=onnx, joins_rows=False, notices=(notice,))
    # A release holds what its promotion was tried with: it was readable then.
    try:
        sample = read_sample(file.sample)
    except UnreadableSampleError as error:
        raise IntegrityError(
            f"the sample of {name} cannot be read: {error}", where=Location(file.sample)
        ) from error
    inputs, outputs = _parts(onnx, sample, name)
    answers = dict(zip(outputs, onnx.answer([*outputs], inputs), strict=True))
    for output, recorded in outputs.items():
        found = difference(recorded, answers[output])
        if not found["same"]:
            raise IntegrityError(
                f"{name} does not answer its sample as it was recorded: {short(output)} "
                f"{_apart(found)}",
                hint="another version of ONNX Runtime, or another machine, may compute otherwise; "
                "nothing is served",
            )
    # Tried, not believed: the shapes of a graph say what its author wrote.
    joins_rows = onnx.signature.is_batched and _answers_rows_alike(onnx, inputs, answers)
    notices = []
    if onnx.signature.is_batched and not joins_rows:
        notices.append(
            f"{name} answers rows of its sample alone otherwise than together: requests are "
            "answered one by one"
        )
    return Loaded(file=file, onnx=onnx, joins_rows=joins_rows, notices=tuple(notices))


def _parts(
    onnx: OnnxModel, sample: dict[str, Array], name: str
) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the sample gives the model, and what was recorded of its answers."""
    inputs = {}
    for spec in onnx.signature.inputs:
        if spec.name not in sample:
            raise IntegrityError(f"the sample of {name} lacks the input {short(spec.name)}")
        inputs[spec.name] = sample[spec.name]
    # A sample may record some of the outputs only: those are compared.
    recorded = {
        spec.name: sample[spec.name] for spec in onnx.signature.outputs if spec.name in sample
    }
    if not recorded:
        raise IntegrityError(f"the sample of {name} has none of the model's outputs")
    return inputs, recorded


def _answers_rows_alike(onnx: OnnxModel, inputs: dict[str, Array], answers: dict[str, Any]) -> bool:
    """Whether the first rows, each by itself, get the answers that they have among the others.

    A model may mix its rows, as one that norms a batch does.
    """
    # With one row there is nothing to compare: then requests stay alone.
    rows = min(len(array) for array in inputs.values())
    if rows < _FEWEST_ROWS:
        return False
    for row in range(_FEWEST_ROWS):
        alone = onnx.answer(
            [*answers], {name: part[row : row + 1] for name, part in inputs.items()}
        )
        for (_, whole), part in zip(answers.items(), alone, strict=True):
            if len(whole) < rows or not difference(whole[row : row + 1], part)["same"]:
                return False
    return True


def _apart(found: dict[str, Any]) -> str:
    if "shapes" in found:
        one, other = found["shapes"]
        return f"has the shape {other}, not {one}"
    if "unequal" in found:
        return f"differs in {found['unequal']} of {found['of']} values"
    return f"is up to {found['largest']:.3g} apart"
