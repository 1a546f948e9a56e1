"""Send logged requests through two versions of a model, and compare what they answer."""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.behaviour.recorded_answers import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from nbci.errors import UsageError
from nbci.serving.served import is_among

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from nbci.serving.loading import Loaded
    from nbci.serving.logged_requests import LoggedRequest
    from nbci.serving.signature import Arrays, ModelSignature

    Answers = Mapping[str, npt.NDArray[Any]]

_WORST = 5
_MS = 1000.0


class WorstCase(Struct, frozen=True):
    """A row whose answers differ most; labels have no distance."""

    request: str
    row: int
    apart: float | None
    first: Any
    second: Any


class ComparedOutput(Struct, frozen=True, kw_only=True):
    """An output of both: how many of the rows differ, by how much at most and in the mean."""

    name: str
    rows: int
    other: int
    largest: float | None
    mean: float | None
    worst: tuple[WorstCase, ...]


class ReplayedVersion(Struct, frozen=True, kw_only=True):
    """How one version answered: seconds of a request in ms, and what labels say of it."""

    reference: str
    version: str
    p50_ms: float | None
    p95_ms: float | None
    failed: int
    accuracy: float | None
    mean_absolute_error: float | None


class Replay(Struct, frozen=True, kw_only=True):
    """What came of it; `same` rows have the same labels and close numbers in all outputs.

    `same_labels` have the same labels, whatever the numbers: None where no output is of labels.
    `left_out` requests were not among the share, `not_replayable` are not whole in the log.
    """

    requests: int
    rows: int
    same: int
    same_labels: int | None
    left_out: int
    not_replayable: int
    labelled: int
    outputs: tuple[ComparedOutput, ...]
    versions: tuple[ReplayedVersion, ReplayedVersion]


def check_alike(first: Loaded, second: Loaded) -> None:
    """UsageError, with the tensors, where the two cannot be asked the same."""
    one, other = first.model.signature, second.model.signature
    names = f"{first.file.model}@{first.file.version}", f"{second.file.model}@{second.file.version}"
    # A candidate beside a server is held to the same.
    if one.inputs != other.inputs:
        raise UsageError(
            f"{names[0]} and {names[1]} take different inputs: {_inputs(one)}; {_inputs(other)}"
        )
    if not _outputs(one, other):
        raise UsageError(f"{names[0]} and {names[1]} have no output of the same name")


def replay(
    requests: Iterable[LoggedRequest],
    models: tuple[Loaded, Loaded],
    references: tuple[str, str],
    share: float = 1.0,
) -> Replay:
    """Ask both models what was asked, request by request, in the order of the log."""
    outputs = _outputs(models[0].model.signature, models[1].model.signature)
    askers = (_Asked(models[0], outputs), _Asked(models[1], outputs))
    compared = {name: _Compared(name) for name in outputs}
    count = rows = same = same_labels = left_out = not_replayable = labelled = 0
    for request in requests:
        # With a word of its own: the log may hold a share by the same ids already.
        if not is_among(f"replay {request.id}", share):
            left_out += 1
            continue
        if request.inputs is None:
            not_replayable += 1
            continue
        first, second = _ask(askers, request, is_turned=count % 2 == 1)
        count += 1
        rows += len(request.labels)
        labelled += sum(label is not None for label in request.labels)
        # Where one has failed, no row of the request is the same.
        if first is not None and second is not None:
            alike, told_alike = _compare(compared, request, first, second)
            same += alike
            same_labels += told_alike
    found = list(compared.values())
    return Replay(
        requests=count,
        rows=rows,
        same=same,
        same_labels=same_labels if any(not part.is_of_numbers for part in found) else None,
        left_out=left_out,
        not_replayable=not_replayable,
        labelled=labelled,
        outputs=tuple(output.summary() for output in found),
        versions=(askers[0].summary(references[0]), askers[1].summary(references[1])),
    )


def _ask(
    askers: tuple[_Asked, _Asked], request: LoggedRequest, *, is_turned: bool
) -> tuple[Answers | None, Answers | None]:
    # Who is asked second finds the data in the processor's caches: they take turns.
    if is_turned:
        second = askers[1].answer(request)
        return askers[0].answer(request), second
    return askers[0].answer(request), askers[1].answer(request)


def metrics_of(found: Replay) -> dict[str, float]:
    """The numbers that rules may judge, by name."""
    metrics: dict[str, float | None] = {"requests": found.requests, "rows": found.rows}
    if found.rows:
        metrics["same_share"] = found.same / found.rows
        if found.same_labels is not None:
            metrics["same_labels_share"] = found.same_labels / found.rows
    metrics["not_replayable"] = found.not_replayable
    metrics["labelled"] = found.labelled
    largest = [output.largest for output in found.outputs if output.largest is not None]
    metrics["largest_difference"] = max(largest, default=None)
    for place, version in zip(("first", "second"), found.versions, strict=True):
        metrics[f"{place}_p50_ms"] = version.p50_ms
        metrics[f"{place}_p95_ms"] = version.p95_ms
        metrics[f"{place}_failed"] = version.failed
        metrics[f"{place}_accuracy"] = version.accuracy
        metrics[f"{place}_mean_absolute_error"] = version.mean_absolute_error
    return {name: float(value) for name, value in metrics.items() if value is not None}


def _inputs(signature: ModelSignature) -> str:
    parts = []
    for spec in signature.inputs:
        parts.append(f"{spec.name} {spec.datatype}{list(spec.shape)}")
    return ", ".join(parts)


def _outputs(one: ModelSignature, other: ModelSignature) -> list[str]:
    known = {spec.name for spec in other.outputs}
    return [spec.name for spec in one.outputs if spec.name in known]


class _Asked:
    """One version, its seconds, and how often it was right."""

    def __init__(self, model: Loaded, outputs: list[str]) -> None:
        self._model = model
        self._outputs = outputs
        self._seconds: list[float] = []
        self._failed = 0
        self._right: list[bool] = []
        self._errors: list[float] = []

    def answer(self, request: LoggedRequest) -> Answers | None:
        """Its answers; None where the runtime cannot give any."""
        import numpy as np

        inputs: Arrays = request.inputs or {}
        began = time.perf_counter()
        try:
            answers = self._model.model.answer(self._outputs, inputs)
        except Exception:  # noqa: BLE001 - the runtime has errors of many types
            self._failed += 1
            return None
        self._seconds.append(time.perf_counter() - began)
        found = {name: np.asarray(part) for name, part in zip(self._outputs, answers, strict=True)}
        self._measure(request.labels, found)
        return found

    def summary(self, reference: str) -> ReplayedVersion:
        import numpy as np

        p50 = p95 = accuracy = error = None
        if self._seconds:
            p50, p95 = (float(part) * _MS for part in np.quantile(self._seconds, (0.5, 0.95)))
        if self._right:
            accuracy = sum(self._right) / len(self._right)
        if self._errors:
            error = sum(self._errors) / len(self._errors)
        return ReplayedVersion(
            reference=reference,
            version=self._model.file.version,
            p50_ms=p50,
            p95_ms=p95,
            failed=self._failed,
            accuracy=accuracy,
            mean_absolute_error=error,
        )

    def _measure(self, labels: list[Any], answers: Answers) -> None:
        told = [row for row, label in enumerate(labels) if label is not None]
        if not told:
            return
        predicted = _predictions(answers, len(labels))
        if predicted is None:
            return
        values, is_label = predicted
        for row in told:
            if is_label:
                self._right.append(_is_equal(values[row], labels[row]))
            elif isinstance(labels[row], int | float):
                self._errors.append(abs(float(values[row]) - float(labels[row])))


def _predictions(answers: Answers, rows: int) -> tuple[list[Any], bool] | None:
    """What was said of each row, and whether that is a label; None where no output says it.

    A label is the first output of whole numbers or texts; else the class of the largest score;
    else the first output is a number that was estimated.
    """
    import numpy as np

    flat = {}
    for name, array in answers.items():
        if array.size == rows:
            flat[name] = array.reshape(-1)
    # Classifiers of skl2onnx have the label first, then the scores.
    for array in flat.values():
        if not np.issubdtype(array.dtype, np.inexact):
            return array.tolist(), True
    for array in answers.values():
        if array.ndim == 2 and len(array) == rows and array.shape[1] > 1:
            return array.argmax(axis=1).tolist(), True
    for array in flat.values():
        return array.tolist(), False
    return None


def _is_equal(answer: object, label: object) -> bool:
    # Texts of ONNX Runtime are `str`, those of other tools may be bytes.
    if isinstance(answer, bytes):
        answer = answer.decode(errors="replace")
    # A file of labels with gaps has whole numbers as floats.
    if isinstance(answer, int | float) and isinstance(label, int | float):
        return answer == label
    return str(answer) == str(label)


def _compare(
    compared: Mapping[str, _Compared], request: LoggedRequest, first: Answers, second: Answers
) -> tuple[int, int]:
    """Note how an answer differs: how many rows are the same in all outputs, and in labels."""
    import numpy as np

    same = np.ones(len(request.labels), dtype=bool)
    same_labels = same.copy()
    for name, output in compared.items():
        alike = output.add(request.id, first[name], second[name], len(same))
        same &= alike
        # Scores of a model that was trained again are never quite the same.
        if not output.is_of_numbers:
            same_labels &= alike
    return int(same.sum()), int(same_labels.sum())


class _Compared:
    """One output of both versions."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows = 0
        self._other = 0
        self._sum = 0.0
        self._measured = 0
        self.is_of_numbers = False
        self._largest = 0.0
        self._noted = 0
        self._worst: list[tuple[float, int, WorstCase]] = []

    def add(
        self, request: str, first: npt.NDArray[Any], second: npt.NDArray[Any], rows: int
    ) -> npt.NDArray[np.bool_]:
        """Compare the rows of a request; which are the same."""
        import numpy as np

        self.is_of_numbers = bool(np.issubdtype(first.dtype, np.inexact))
        # An output without rows, or of other rows than before, is one answer for all of them.
        if first.shape != second.shape:
            self._note(request, np.zeros(rows, dtype=bool), None, (first, second))
            return np.zeros(rows, dtype=bool)
        whole = first.ndim == 0 or len(first) != rows
        ones, others = (part.reshape(1 if whole else rows, -1) for part in (first, second))
        same, apart = _distances(ones, others)
        self._note(request, same, apart, (ones, others))
        return np.broadcast_to(same, (rows,))

    def summary(self) -> ComparedOutput:
        largest = mean = None
        if self._measured:
            mean = self._sum / self._measured
            largest = self._largest
        worst = sorted(self._worst, key=lambda entry: (-entry[0], -entry[1]))
        return ComparedOutput(
            name=self._name,
            rows=self._rows,
            other=self._other,
            largest=largest,
            mean=mean,
            worst=tuple(case for _, _, case in worst),
        )

    def _note(
        self,
        request: str,
        same: npt.NDArray[np.bool_],
        apart: npt.NDArray[np.float64] | None,
        answers: tuple[npt.NDArray[Any], npt.NDArray[Any]],
    ) -> None:
        import numpy as np

        self._rows += len(same)
        self._other += int((~same).sum())
        if apart is not None:
            self._sum += float(apart.sum())
            self._measured += len(apart)
            self._largest = max(self._largest, float(apart.max(initial=0.0)))
        for row in np.flatnonzero(~same).tolist():
            distance = None if apart is None else float(apart[row])
            case = WorstCase(request, row, distance, *(_shown(part, row) for part in answers))
            # Of labels all are equally bad: then the first count.
            self._noted += 1
            entry = (distance or 0.0, -self._noted, case)
            if len(self._worst) < _WORST:
                heapq.heappush(self._worst, entry)
            elif entry[0] > self._worst[0][0]:
                heapq.heapreplace(self._worst, entry)


def _distances(
    ones: npt.NDArray[Any], others: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64] | None]:
    """Which rows are the same, and how far numbers are apart at most in each."""
    import numpy as np

    if not (np.issubdtype(ones.dtype, np.inexact) and np.issubdtype(others.dtype, np.number)):
        return (ones == others).all(axis=1), None
    close = np.isclose(
        others, ones, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE, equal_nan=True
    )
    # Infinity minus infinity warns; `close` has judged those already.
    with np.errstate(invalid="ignore"):
        apart = np.abs(others.astype(float) - ones.astype(float))
    # A NaN on one side is told by `close`, and has no distance.
    largest = np.where(np.isfinite(apart), apart, 0.0).max(axis=1, initial=0.0)
    return close.all(axis=1), largest


def _shown(answers: npt.NDArray[Any], row: int) -> Any:
    """A row's answer for people; of a long one, its first numbers."""
    if answers.ndim == 0 or row >= len(answers):
        return None
    values = answers[row].reshape(-1)[:4].tolist()
    if len(values) == 1:
        return values[0]
    return values
