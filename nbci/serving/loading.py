"""Load a version of a model, and hold it against its recorded sample before it answers anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.behaviour.recorded_answers import (
    UnreadableSampleError,
    arrays_of_file,
    difference,
    read_sample,
)
from nbci.errors import IntegrityError, Location, NbciError
from nbci.pipeline.models import PredictNotebook
from nbci.serving.served_models import NotebookModel, OnnxModel
from nbci.serving.signature import short

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.behaviour.recorded_answers import Array
    from nbci.serving.signature import ServedModel

_FEWEST_ROWS = 2


class ModelFile(Struct, frozen=True, kw_only=True):
    """A released model on this machine: what answers, and the sample that it must answer.

    That is the ONNX file `path`, or the notebook. `part` is the file's name among several ones, as
    the sample has it.
    """

    model: str
    version: str
    path: str
    sample: str | None = None
    part: str | None = None
    notebook: PredictNotebook | None = None


class Loading(Struct, frozen=True, kw_only=True):
    """How models are loaded: the threads of one answer, and the seconds that it may take."""

    threads: int = 1
    seconds: float = 30.0


class Loaded(Struct, frozen=True, kw_only=True):
    """A model that answers as it did when it was made; `notices` are what could not be checked.

    `joins_rows`: rows of several requests give in one batch what they give alone.
    """

    file: ModelFile
    model: ServedModel
    joins_rows: bool
    notices: tuple[str, ...] = ()


def _say_nothing(*_: object, **__: object) -> None:
    """Hear what happens to a model that is loaded for a moment only."""


def load(file: ModelFile, loading: Loading, log: Callable[..., None] = _say_nothing) -> Loaded:
    """The model, ready; IntegrityError where it does not answer its sample as recorded.

    `log` hears what happens to it later.
    """
    model = _open(file, loading, log)
    # A kernel that answers otherwise would stay for ever.
    try:
        return _checked(file, model)
    except BaseException:
        model.close()
        raise


def _open(file: ModelFile, loading: Loading, log: Callable[..., None]) -> ServedModel:
    if file.notebook is not None:
        return NotebookModel(file.notebook, loading.seconds, log)
    try:
        return OnnxModel(Path(file.path), loading.threads)
    except NbciError:
        raise
    # It was tried when it was promoted, by another version of the runtime perhaps.
    except Exception as error:
        raise IntegrityError(
            f"{file.model}@{file.version} is no model that ONNX Runtime can run here: {error}"
        ) from error


def _checked(file: ModelFile, model: ServedModel) -> Loaded:
    name = f"{file.model}@{file.version}"
    notices = []
    if not model.is_in_process:
        notices.append(
            f"{name} is answered by a notebook in a kernel, which takes milliseconds longer than "
            "an ONNX file does"
        )
    if file.sample is None:
        notices.append(
            f"{name} was released without a sample: nobody has seen that it answers here as it did "
            "in training, and requests are answered one by one"
        )
        return Loaded(file=file, model=model, joins_rows=False, notices=tuple(notices))
    # A release holds what its promotion was tried with: it was readable then.
    try:
        sample = arrays_of_file(read_sample(file.sample), file.part or "")
    except UnreadableSampleError as error:
        raise IntegrityError(
            f"the sample of {name} cannot be read: {error}", where=Location(file.sample)
        ) from error
    inputs, outputs = _parts(model, sample, name)
    answers = _answers(model, inputs, outputs, name)
    for output, recorded in outputs.items():
        found = difference(recorded, answers[output])
        if not found["same"]:
            raise IntegrityError(
                f"{name} does not answer its sample as it was recorded: {short(output)} "
                f"{_apart(found)}",
                hint="other versions of its libraries, or another machine, may compute otherwise; "
                "nothing is served",
            )
    # Tried, not believed: the shapes of a graph say what its author wrote.
    joins_rows = model.signature.is_batched and _answers_rows_alike(model, inputs, answers)
    if model.signature.is_batched and not joins_rows:
        notices.append(
            f"{name} answers rows of its sample alone otherwise than together: requests are "
            "answered one by one"
        )
    return Loaded(file=file, model=model, joins_rows=joins_rows, notices=tuple(notices))


def _parts(
    model: ServedModel, sample: dict[str, Array], name: str
) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the sample gives the model, and what was recorded of its answers."""
    inputs = {}
    for spec in model.signature.inputs:
        if spec.name not in sample:
            raise IntegrityError(f"the sample of {name} lacks the input {short(spec.name)}")
        inputs[spec.name] = sample[spec.name]
    # A sample may record some of the outputs only: those are compared.
    recorded = {
        spec.name: sample[spec.name] for spec in model.signature.outputs if spec.name in sample
    }
    if not recorded:
        raise IntegrityError(f"the sample of {name} has none of the model's outputs")
    return inputs, recorded


def _answers(
    model: ServedModel, inputs: dict[str, Array], outputs: dict[str, Array], name: str
) -> dict[str, Any]:
    try:
        return dict(zip(outputs, model.answer([*outputs], inputs), strict=True))
    except Exception as error:
        # What a notebook raised is behind what its clients are told of it.
        raise IntegrityError(
            f"{name} does not answer its sample: {error.__cause__ or error}"
        ) from error


def _answers_rows_alike(
    model: ServedModel, inputs: dict[str, Array], answers: dict[str, Any]
) -> bool:
    """Whether the first rows, each by itself, get the answers that they have among the others.

    A model may mix its rows, as one that norms a batch does.
    """
    # With one row there is nothing to compare: then requests stay alone.
    rows = min(len(array) for array in inputs.values())
    if rows < _FEWEST_ROWS:
        return False
    for row in range(_FEWEST_ROWS):
        one = {name: part[row : row + 1] for name, part in inputs.items()}
        # A model that takes several rows only is no model that is broken.
        try:
            alone = model.answer([*answers], one)
        except Exception:  # noqa: BLE001 - the runtime has errors of many types
            return False
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
