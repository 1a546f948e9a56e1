"""Check the files of a model before it may be promoted.

The files must exist, and an ONNX file must answer as the step recorded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.errors import InfrastructureError, IntegrityError, Location, UsageError
from nbci.graph import by_name
from nbci.pipeline.models import (
    SIGNATURE_FORM,
    PredictNotebook,
    Signature,
    Tensor,
    signature_of,
)
from nbci.records.manifest import file_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from nbci.pipeline.models import Model, ServeSettings

_TRIAL_TIMEOUT_SECONDS = 600
# ONNX names its types like C; signatures use the names of numpy
_DTYPES = {"float": "float32", "double": "float64"}
_SAMPLE_FORM = (
    "numpy.savez(path, X=rows, label=answers): "
    "an array under the name of each input, and of each output to compare"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The trial of an ONNX model on its sample.

    `rows` counts the sample's rows; `largest_difference` is by output (0 for labels).
    """

    path: str
    sample: str
    rows: int
    largest_difference: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaged:
    """What the check of a model found; it becomes part of the evidence of the release."""

    framework: str | None
    signature: Signature | None
    trials: tuple[Trial, ...] = ()
    description: str | None = None


def needed_files(model: Model) -> tuple[str, ...]:
    """The paths that `check_package` reads: the model's, its sample, signature and notebook."""
    paths = list(model.paths)
    if model.sample:
        paths.append(model.sample)
    # a signature that is no path stands in the pipeline file itself
    if isinstance(model.signature, str):
        paths.append(model.signature)
    if model.serve is not None:
        paths += model.serve.paths
    return tuple(paths)


def check_package(model: Model, folder: Path) -> Packaged:
    """Check the model whose files lie in `folder` under their paths in the project.

    IntegrityError when a file is no model or answers otherwise than recorded, UsageError when
    something that the check needs is missing.
    """
    for path in needed_files(model):
        if not (folder / path).exists():
            raise UsageError(
                f"model {model.name} names {path}, which is not there",
                hint="have a step write it and declare it as an out, or commit it",
            )
    signature = _declared_signature(model, folder)
    trials = []
    for path in model.onnx_paths:
        found, trial = _try_onnx(model, folder, path)
        trials.append(trial)
        # with several files, the declared signature is of the model as a whole, not of one file
        if signature is not None and len(model.onnx_paths) == 1:
            _compare(model, signature, found)
        signature = signature or found
    if model.serve is not None:
        trials.append(_try_notebook(model, model.serve, folder, signature))
    return Packaged(
        framework=model.framework,
        signature=signature,
        trials=tuple(trials),
        description=model.description,
    )


def _declared_signature(model: Model, folder: Path) -> Signature | None:
    if not isinstance(model.signature, str):
        return model.signature
    place = folder / model.signature
    try:
        return signature_of(json.loads(place.read_bytes()), model.name)
    except ValueError as error:
        raise UsageError(
            f"the signature is not JSON: {error}", where=Location(model.signature)
        ) from error


def _compare(model: Model, declared: Signature, found: Signature) -> None:
    """Raise IntegrityError for a declared signature that is not the file's.

    It may leave out outputs, but no input.
    """
    known = by_name((*found.inputs, *found.outputs))
    for tensor in (*declared.inputs, *declared.outputs):
        actual = known.get(tensor.name)
        if actual is None or not tensor.fits(actual):
            shown = str(actual)
            if actual is None:
                shown = f"no such input or output: it has {', '.join(map(str, known))}"
            raise IntegrityError(
                f"model {model.name} is declared with {tensor}, and its file has {shown}",
                hint="correct `signature:` in the pipeline file, or leave it out: "
                "it is read from the file then",
            )

    # an output may go unused, but no session runs without all of its inputs
    lacking = _names(found.inputs) - _names(declared.inputs)
    if lacking:
        raise IntegrityError(
            f"the signature of model {model.name} lacks the input {', '.join(sorted(lacking))}",
            hint="add it to `signature:`, or leave `signature:` out: it is read from the file then",
        )


def _names(tensors: Iterable[Tensor]) -> set[str]:
    return {tensor.name for tensor in tensors}


def _try_onnx(model: Model, folder: Path, path: str) -> tuple[Signature, Trial]:
    sample = _sample_of(model, path)
    name = file_names(model.onnx_paths)[path]
    answer = _run_trial(folder / path, folder / sample, name, path)
    trial = _trial_of(model, path, sample, answer)
    signature = Signature(inputs=_tensors(answer["inputs"]), outputs=_tensors(answer["outputs"]))
    return signature, trial


def _try_notebook(
    model: Model, serve: ServeSettings, folder: Path, signature: Signature | None
) -> Trial:
    sample = _sample_of(model, serve.notebook)
    # an ONNX file says it itself
    if signature is None:
        raise UsageError(
            f"model {model.name} has no `signature`, "
            f"and nobody else says what {serve.notebook} takes and answers",
            hint=f"declare it: {SIGNATURE_FORM}",
        )
    notebook = PredictNotebook(path=serve.notebook, folder=str(folder), signature=signature)
    answer = _run_notebook_trial(notebook, folder / sample)
    return _trial_of(model, serve.notebook, sample, answer)


def _sample_of(model: Model, path: str) -> str:
    if model.sample is None:
        raise UsageError(
            f"model {model.name} has no `sample`, "
            f"so nobody knows whether {path} answers as it should",
            hint=f"have the step write one, name it as `sample:` of the model: {_SAMPLE_FORM}",
        )
    return model.sample


def _trial_of(model: Model, path: str, sample: str, answer: Mapping[str, Any]) -> Trial:
    """The trial; raises where there was no answer, or another one than was recorded."""
    _refuse_failed_trial(model, path, sample, answer)
    largest = {}
    for name, difference in answer["differences"].items():
        if not difference["same"]:
            raise IntegrityError(
                f"{path} answers otherwise than the step recorded: {name} {_in_words(difference)}",
                hint="compare what answers with the model that the step had; "
                f"what was recorded is in {sample}",
            )
        # labels that are equal have no distance
        largest[name] = difference.get("largest", 0.0)
    return Trial(path=path, sample=sample, rows=answer["rows"], largest_difference=largest)


def _refuse_failed_trial(model: Model, path: str, sample: str, answer: Mapping[str, Any]) -> None:
    """Raise what the trial's process found, where it got no answer from the model."""
    if "needs" in answer:
        raise UsageError(
            f"{path} can't be checked: {answer['needs']} is not installed here",
            hint="pip install 'nbci[onnx]'",
        )
    if "unreadable" in answer:
        raise UsageError(
            f"the sample of model {model.name} cannot be read: {answer['unreadable']}",
            where=Location(sample),
            hint=_SAMPLE_FORM,
        )
    if "error" in answer:
        raise IntegrityError(
            f"{path} is no model that ONNX Runtime can run: {answer['error']}",
            hint="run the step that writes it again; `onnx.checker.check_model` says more",
        )
    if "holds" in answer:
        lacking = ", ".join(answer["lacking"]) or "every output"
        held = ", ".join(answer["holds"]) or "nothing"
        raise UsageError(
            f"the sample of model {model.name} lacks {lacking}; it holds {held}",
            where=Location(sample),
            hint=_SAMPLE_FORM,
        )


def _run_trial(place: Path, sample: Path, name: str, shown: str) -> dict[str, Any]:
    """Run the process that tries the model and return its answer.

    When the process dies, the answer is an error of the model.
    """
    command = [sys.executable, "-m", "nbci.promotion.onnx_trial"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [*command, str(place), str(sample), name],
            capture_output=True,
            text=True,
            timeout=_TRIAL_TIMEOUT_SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InfrastructureError(
            f"{shown} did not answer its sample within {_TRIAL_TIMEOUT_SECONDS} seconds",
            hint="make the sample smaller, or try again on a quieter machine",
        ) from error
    try:
        # the last line only: libraries may print before the answer
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        # the last line of a traceback names the error
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"error": f"the process that loaded it ended with {done.returncode}: {last}"}
    return answer


def _run_notebook_trial(notebook: PredictNotebook, sample: Path) -> dict[str, Any]:
    """How far the answers are from the sample, in the form of `_run_trial`.

    IntegrityError where the notebook has no answer.
    """
    from nbci.behaviour.recorded_answers import UnreadableSampleError, difference, read_sample
    from nbci.kernels.predictor import Predictor
    from nbci.kernels.predictor_kernel import PredictFailed, PredictorGone

    try:
        arrays = read_sample(sample)
    except ImportError as error:
        return {"needs": error.name}
    except UnreadableSampleError as error:
        return {"unreadable": str(error)}
    names = [tensor.name for tensor in notebook.signature.inputs]
    lacking = [name for name in names if name not in arrays]
    outputs = [tensor.name for tensor in notebook.signature.outputs if tensor.name in arrays]
    if lacking or not outputs:
        return {"lacking": lacking, "holds": sorted(arrays)}
    given = {name: arrays[name] for name in names}
    # The kernel's own variables: a promotion has what its release needs.
    predictor = Predictor(notebook, os.environ, _say_nothing)
    try:
        answers = predictor.answer(outputs, given, _TRIAL_TIMEOUT_SECONDS)
    except (PredictFailed, PredictorGone) as error:
        raise IntegrityError(
            f"{notebook.path} does not answer the sample: {error}",
            hint=f"call `predict` with the arrays of {sample.name} in the notebook",
        ) from error
    finally:
        predictor.close()
    differences = {}
    for name, answer in zip(outputs, answers, strict=True):
        differences[name] = difference(arrays[name], answer)
    rows = min((len(array) for array in given.values() if array.ndim), default=1)
    return {"rows": rows, "differences": differences}


def _say_nothing(*_: object, **__: object) -> None:
    """Whatever happens to the kernel is told by the error."""


def _in_words(difference: Mapping[str, Any]) -> str:
    if "shapes" in difference:
        recorded, found = difference["shapes"]
        return f"has the shape {found}, recorded was {recorded}"
    if "unequal" in difference:
        return f"differs in {difference['unequal']} of {difference['of']}"
    return f"is up to {difference['largest']:.3g} off"


def _tensors(nodes: list[dict[str, Any]]) -> tuple[Tensor, ...]:
    tensors = []
    for node in nodes:
        dtype = _DTYPES.get(node["dtype"], node["dtype"])
        tensors.append(Tensor(name=node["name"], dtype=dtype, shape=tuple(node["shape"])))
    return tuple(tensors)
