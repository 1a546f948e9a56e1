"""How good the answers of a window are: measured where labels are known, estimated where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.behaviour.estimated_performance import estimate_performance
from nbci.logged.log_files import LABEL, OUTPUT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from nbci.records.profile import Calibration

    Numbers = npt.NDArray[np.float64]
    Counts = dict[str, float]

PREDICTION, SCORE = "prediction", "score"
"""The columns of answers, as the profile of a release's evaluation has them."""
_SCORE_OF = f"{OUTPUT_PREFIX}score_"
_MOST_PAIRS = 10_000


class Performance:
    """Adds up, batch by batch, how the answers of a model compare with the labels.

    The answer is the first output of one value a row: a class where it is text, whole or a truth
    value, or a number that is one of the evaluation's classes, else a quantity. Without such an
    output, the place of the largest of the first output with several numbers is the class, by its
    name where the release's evaluation knew as many. Those numbers are its scores where they are
    shares of one.
    """

    def __init__(self, calibration: Calibration | None = None) -> None:
        self.labelled = 0
        self.by_place: tuple[str, ...] = ()
        self.classes = () if calibration is None else calibration.classes
        self._calibration = calibration
        self._right = 0
        self._absolute = 0.0
        self._squared = 0.0
        self._likely_right: dict[str, float] = {}
        self._scored: dict[str, float] = {}
        self._is_quantity = False
        self._pairs: dict[tuple[str, str], int] = {}

    def add(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """Take the rows of a batch with its columns `answer.NAME` and `label`.

        The answers themselves, as columns `prediction` and `score`; None where there are none.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        scores = _scores(batch)
        answers = _answers(batch)
        if answers is None and scores is not None:
            answers = self._by_place(scores)
        if answers is None:
            return None
        if LABEL in batch.schema.names:
            # Labels that are not known yet are null, or NaN where a library has no other word.
            labels = batch.column(batch.schema.get_field_index(LABEL))
            has_label = pc.invert(pc.is_null(labels, nan_is_null=True))
            self._compare(answers.filter(has_label), labels.filter(has_label))
        columns = {PREDICTION: answers}
        confidence = _confidence(batch, scores)
        if confidence is not None:
            columns[SCORE] = pa.array(confidence)
            self._estimate(answers, confidence)
        return pa.record_batch(columns)

    def _by_place(self, scores: Numbers) -> pa.Array:
        """The classes of the largest scores."""
        import pyarrow as pa

        places = pa.array(scores.argmax(axis=1))
        # Places are numbers from 0, which may be the classes' own names.
        if len(self.classes) != scores.shape[1] or "0" in self.classes:
            return places
        self.by_place = tuple(self.classes)
        return pa.array(self.classes).take(places)

    def _compare(self, answers: pa.Array, labels: pa.Array) -> None:
        import pyarrow as pa

        self.labelled += len(labels)
        if not len(labels):
            return
        is_number = pa.types.is_floating(labels.type) or pa.types.is_integer(labels.type)
        if pa.types.is_floating(answers.type) and is_number and not self._are_classes(answers):
            self._is_quantity = True
            errors = answers.to_numpy(False).astype(float) - labels.to_numpy(False).astype(float)
            self._absolute += float(abs(errors).sum())
            self._squared += float((errors**2).sum())
            return
        for pair in zip(class_names(answers), class_names(labels), strict=True):
            self._right += pair[0] == pair[1]
            # Beyond so many pairs, the classes are no classes.
            if pair in self._pairs or len(self._pairs) < _MOST_PAIRS:
                self._pairs[pair] = self._pairs.get(pair, 0) + 1

    def _are_classes(self, answers: pa.Array) -> bool:
        """Whether numbers are names of classes of the evaluation: a table may have 1 as 1.0."""
        return bool(self.classes) and set(class_names(answers.unique())) <= set(self.classes)

    def _estimate(self, answers: pa.Array, confidence: Numbers) -> None:
        if self._calibration is None:
            return
        found = estimate_performance(self._calibration, class_names(answers), confidence)
        if found is not None:
            for name, (count, likely) in found.by_class.items():
                self._scored[name] = self._scored.get(name, 0) + count
                self._likely_right[name] = self._likely_right.get(name, 0) + likely

    def metrics(self) -> dict[str, float]:
        """What is known: of labels, `accuracy` and the like; of scores, `estimated_accuracy`."""
        found: dict[str, float] = {}
        if self.labelled and self._is_quantity:
            found["mean_absolute_error"] = self._absolute / self.labelled
            found["mean_squared_error"] = self._squared / self.labelled
        elif self.labelled:
            found["accuracy"] = self._right / self.labelled
            if len(self._pairs) < _MOST_PAIRS:
                found |= class_metrics(*_counted(self._pairs), self.classes)
        return found | self._estimated()

    def _estimated(self) -> dict[str, float]:
        if not self._scored:
            return {}
        total = sum(self._scored.values())
        found = {"accuracy": sum(self._likely_right.values()) / total}
        true = _likely_true(self._scored, self._likely_right, self.classes)
        found |= class_metrics(self._scored, self._likely_right, true, self.classes)
        return {f"estimated_{name}": value for name, value in found.items()}


def _answers(batch: pa.RecordBatch) -> pa.Array | None:
    """The first output of one value a row."""
    import pyarrow as pa

    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        is_score = name == f"{OUTPUT_PREFIX}{SCORE}" or name.startswith(_SCORE_OF)
        if is_score or not name.startswith(OUTPUT_PREFIX):
            continue
        if not pa.types.is_nested(array.type) and not pa.types.is_null(array.type):
            return array
    return None


def _confidence(batch: pa.RecordBatch, scores: Numbers | None) -> Numbers | None:
    """The score of each answer: what the data say, or the largest of all classes'."""
    import pyarrow as pa

    if scores is not None:
        largest: Numbers = scores.max(axis=1)
        return largest
    place = batch.schema.get_field_index(f"{OUTPUT_PREFIX}{SCORE}")
    if place < 0 or not pa.types.is_floating(batch.schema.field(place).type):
        return None
    given: Numbers = batch.column(place).to_numpy(False).astype(float)
    return given


def _scores(batch: pa.RecordBatch) -> Numbers | None:
    """The scores of all classes, a row each; None where the outputs are no shares of one."""
    import numpy as np
    import pyarrow as pa

    parts: list[Any] = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if not name.startswith(OUTPUT_PREFIX) or array.null_count:
            continue
        if name.startswith(_SCORE_OF) and pa.types.is_floating(array.type):
            parts.append(array.to_numpy(False).astype(float)[:, None])
        elif pa.types.is_fixed_size_list(array.type) and not parts:
            flat = array.flatten()
            if pa.types.is_floating(flat.type):
                parts.append(flat.to_numpy(False).reshape(len(array), -1).astype(float))
    if not parts:
        return None
    scores: Numbers = np.concatenate(parts, axis=1)
    # Logits, boxes and embeddings are no chances.
    is_share = scores.shape[1] > 1 and (scores >= 0).all() and (scores <= 1 + 1e-6).all()
    if not is_share or not np.allclose(scores.sum(axis=1), 1.0, atol=1e-3):
        return None
    return scores


def class_names(values: pa.Array) -> list[str]:
    """Classes as texts: 2 and 2.0 are one, whatever file they come from."""
    names = []
    for value in values.to_pylist():
        if isinstance(value, float) and value.is_integer():
            names.append(str(int(value)))
        else:
            names.append(str(value))
    return names


def class_metrics(
    answered: Mapping[str, float],
    right: Mapping[str, float],
    true: Mapping[str, float] | None,
    classes: Sequence[str] = (),
) -> dict[str, float]:
    """Precision, recall and F1 from how often each class was answered, answered rightly, and true.

    The means over the classes begin with `macro_`; where the `classes` are two, the names alone are
    of the second of them. Where it is not known how often classes are true, only precision is.
    """
    names = sorted({*answered, *(true or {})})
    # A class that is never answered counts with 0, as scikit-learn has it.
    by_metric = {"precision": {name: _ratio(right, answered, name) for name in names}}
    if true is not None:
        both = {name: answered.get(name, 0) + true.get(name, 0) for name in names}
        twice = {name: 2 * count for name, count in right.items()}
        by_metric["recall"] = {name: _ratio(right, true, name) for name in names}
        by_metric["f1"] = {name: _ratio(twice, both, name) for name in names}
    found = {}
    is_binary = len(classes) == 2 and set(names) <= set(classes) and true is not None
    for metric, values in by_metric.items():
        found[f"macro_{metric}"] = sum(values.values()) / len(values)
        if is_binary:
            found[metric] = values.get(classes[1], 0.0)
    return found


def _ratio(parts: Mapping[str, float], wholes: Mapping[str, float], name: str) -> float:
    whole = wholes.get(name, 0)
    return parts.get(name, 0) / whole if whole else 0.0


def _counted(pairs: Mapping[tuple[str, str], int]) -> tuple[Counts, Counts, Counts]:
    """How often each class was answered, answered rightly, and true, from answers and labels."""
    answered: Counts = {}
    right: Counts = {}
    true: Counts = {}
    for (answer, label), count in pairs.items():
        answered[answer] = answered.get(answer, 0) + count
        true[label] = true.get(label, 0) + count
        if answer == label:
            right[answer] = right.get(answer, 0) + count
    return answered, right, true


def _likely_true(
    answered: Mapping[str, float], right: Mapping[str, float], classes: Sequence[str]
) -> dict[str, float] | None:
    """How often each of two classes is true: what is not one of them is the other.

    None of more classes, of which the scores of answers do not tell it.
    """
    if len(classes) != 2 or not set(answered) <= set(classes):
        return None
    wrong = {name: count - right.get(name, 0) for name, count in answered.items()}
    first, second = classes
    return {
        first: right.get(first, 0) + wrong.get(second, 0),
        second: right.get(second, 0) + wrong.get(first, 0),
    }
