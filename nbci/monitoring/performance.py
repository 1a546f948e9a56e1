"""How good the answers of a window are: measured where labels are known, estimated where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.logged.log_files import LABEL, OUTPUT_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_MOST_CLASSES = 1000


class Performance:
    """Adds up, batch by batch, how the answers of a model compare with the labels.

    The answer is the first output of one value a row: a class where it is text, whole or a truth
    value, else a quantity. Without such an output, the place of the largest of the first output
    with several numbers is the class. Those numbers are its scores where they are shares of one.
    """

    def __init__(self) -> None:
        self.labelled = 0
        self.answered = 0
        self._right = 0
        self._absolute = 0.0
        self._squared = 0.0
        self._confidence = 0.0
        self._scored = 0
        self._is_quantity = False
        self._pairs: dict[tuple[str, str], int] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the rows of a batch with its columns `answer.NAME` and `label`."""
        scores = _scores(batch)
        answers = _answers(batch, scores)
        if scores is not None and len(scores):
            self._confidence += float(scores.max(axis=1).sum())
            self._scored += len(scores)
        if answers is None:
            return
        self.answered += len(answers)
        if LABEL not in batch.schema.names:
            return
        # Labels that are not known yet are null.
        labels = batch.column(batch.schema.get_field_index(LABEL))
        has_label = labels.is_valid()
        self._compare(answers.filter(has_label), labels.filter(has_label))

    def _compare(self, answers: pa.Array, labels: pa.Array) -> None:
        import pyarrow as pa

        self.labelled += len(labels)
        if not len(labels):
            return
        is_number = pa.types.is_floating(labels.type) or pa.types.is_integer(labels.type)
        if pa.types.is_floating(answers.type) and is_number:
            self._is_quantity = True
            errors = answers.to_numpy(False).astype(float) - labels.to_numpy(False).astype(float)
            self._absolute += float(abs(errors).sum())
            self._squared += float((errors**2).sum())
            return
        given = [_class_name(value) for value in answers.to_pylist()]
        true = [_class_name(value) for value in labels.to_pylist()]
        for pair in zip(given, true, strict=True):
            self._right += pair[0] == pair[1]
            # Beyond so many pairs, the classes are no classes.
            if pair in self._pairs or len(self._pairs) < _MOST_CLASSES:
                self._pairs[pair] = self._pairs.get(pair, 0) + 1

    def metrics(self) -> dict[str, float]:
        """What is known: of labels, `accuracy` and the like; of scores, `estimated_accuracy`."""
        found: dict[str, float] = {}
        if self.labelled and self._is_quantity:
            found["mean_absolute_error"] = self._absolute / self.labelled
            found["mean_squared_error"] = self._squared / self.labelled
        elif self.labelled:
            found["accuracy"] = self._right / self.labelled
            if len(self._pairs) < _MOST_CLASSES:
                found["macro_f1"] = _macro_f1(self._pairs)
        # A calibrated score of the answer is its chance to be right (CBPE):
        # https://nannyml.readthedocs.io/en/stable/how_it_works/performance_estimation.html
        if self._scored:
            found["estimated_accuracy"] = self._confidence / self._scored
        return found


def _answers(batch: pa.RecordBatch, scores: npt.NDArray[np.float64] | None) -> pa.Array | None:
    import pyarrow as pa

    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if name.startswith(f"{OUTPUT_PREFIX}score") or not name.startswith(OUTPUT_PREFIX):
            continue
        if not pa.types.is_nested(array.type) and not pa.types.is_null(array.type):
            return array
    # A model whose only output are scores means the largest.
    if scores is None:
        return None
    return pa.array(scores.argmax(axis=1))


def _scores(batch: pa.RecordBatch) -> npt.NDArray[np.float64] | None:
    """The scores of all classes, a row each; None where the outputs are no shares of one."""
    import numpy as np
    import pyarrow as pa

    parts: list[Any] = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        if not name.startswith(OUTPUT_PREFIX) or array.null_count:
            continue
        if name.startswith(f"{OUTPUT_PREFIX}score_"):
            parts.append(array.to_numpy(False).astype(float)[:, None])
        elif pa.types.is_fixed_size_list(array.type) and not parts:
            flat = array.flatten()
            if pa.types.is_floating(flat.type):
                parts.append(flat.to_numpy(False).reshape(len(array), -1).astype(float))
    if not parts:
        return None
    scores = np.concatenate(parts, axis=1)
    # Logits, boxes and embeddings are no chances.
    is_share = scores.shape[1] > 1 and (scores >= 0).all() and (scores <= 1 + 1e-6).all()
    if not is_share or not np.allclose(scores.sum(axis=1), 1.0, atol=1e-3):
        return None
    return scores


def _class_name(value: Any) -> str:
    """A class as text: 2 and 2.0 are one, whatever file they come from."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _macro_f1(pairs: Mapping[tuple[str, str], int]) -> float:
    """The mean over the classes that answers or labels have."""
    given: dict[str, int] = {}
    true: dict[str, int] = {}
    for (answer, label), count in pairs.items():
        given[answer] = given.get(answer, 0) + count
        true[label] = true.get(label, 0) + count
    total = 0.0
    classes = {*given, *true}
    # A class that is never answered counts with 0, as scikit-learn has it.
    for name in classes:
        both = given.get(name, 0) + true.get(name, 0)
        total += 2 * pairs.get((name, name), 0) / both
    return total / len(classes)
