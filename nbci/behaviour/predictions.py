"""Predictions as a record: a row for each case, with its label and what a model made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from nbci.errors import StepError
from nbci.formatting.numbers import counted, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

Task = Literal["classification", "regression"]

_MOST_CLASSES = 1000
"""Whole numbers of more values than this are quantities, not names of classes."""
_OWN_COLUMNS = frozenset({"id", "label", "prediction", "score", "weight", "show"})
_SCORE_OF = "score_"
_ROWS_NAMED = 3
_COLUMNS_NAMED = 20


class Predictions(Struct, frozen=True, kw_only=True):
    """What a model predicted, in arrays of one length.

    Labels and predictions are places in `classes` (int32) for a classification, float64 for a
    regression, whose `classes` are empty. `confidence` is the score of the class that was
    predicted. `ids` is None where a case is known by its row only. `slices` are the columns whose
    meaning the file does not say, as pyarrow arrays, like `ids` and `show`. `notes` tell people
    what was left out, and why.
    """

    source: str
    task: Task
    classes: tuple[str, ...] = ()
    labels: NDArray[Any]
    predictions: NDArray[Any]
    confidence: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    ids: Any = None
    show: Any = None
    slices: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


def predictions_of(table: pa.Table, source: str) -> Predictions:
    """The table's predictions; `source` is what errors call it.

    StepError names the column and the first rows (from 1) of what is wrong with it.
    """
    return _Decoder(table, source).predictions()


class _Decoder:
    """Decodes one table."""

    def __init__(self, table: pa.Table, source: str) -> None:
        self.table = table
        self.source = source
        self.notes: list[str] = []

    def predictions(self) -> Predictions:
        """All columns, checked."""
        self._check_columns()
        label = self._column("label")
        prediction = self._column("prediction")
        scores = self._class_scores()
        common: dict[str, Any] = {
            "source": self.source,
            "weights": self._weights(),
            "ids": self._ids(),
            "show": self._show(),
            "slices": self._slices(),
        }
        if scores or _names_classes(label, prediction):
            decoded = self._classification(label, prediction, scores)
        else:
            decoded = self._regression(label, prediction)
        return Predictions(**common, **decoded, notes=tuple(self.notes))

    def _check_columns(self) -> None:
        names = self.table.column_names
        for name in names:
            if names.count(name) > 1:
                raise self._error(f"has several columns {name!r}", "give each a name of its own")
        for name in ("label", "prediction"):
            if name not in names:
                known = listed(names, _COLUMNS_NAMED) or "none"
                raise self._error(f"has no column {name!r}", f"its columns are: {known}")
        if not self.table.num_rows:
            raise self._error("has no rows", "write a row for each case of the evaluation data")

    def _column(self, name: str) -> pa.Array:
        """The column, in which each case has a value."""
        import pyarrow.compute as pc

        column = _one_array(self.table[name])
        missing = pc.is_null(column, nan_is_null=True)
        if pc.any(missing).as_py():
            raise self._error(
                f"has no {name} in {self._rows(missing)}",
                "leave such cases out, or give them a value",
            )
        return column

    def _classification(
        self, label: pa.Array, prediction: pa.Array, scores: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, Any]:
        labels, predictions = _class_names(label), _class_names(prediction)
        classes = _all_classes(labels, predictions, scores)
        if len(classes) > _MOST_CLASSES:
            raise self._error(
                f"has {len(classes):,} classes, of which at most {_MOST_CLASSES:,} are compared",
                "write numbers with a decimal point as labels if this is a regression",
            )
        places = _places(predictions, classes)
        return {
            "task": "classification",
            "classes": classes,
            "labels": _places(labels, classes),
            "predictions": places,
            "confidence": self._confidence(places, classes, scores),
        }

    def _regression(self, label: pa.Array, prediction: pa.Array) -> dict[str, Any]:
        if "score" in self.table.column_names:
            self.notes.append("the column `score` means nothing beside numbers: left out")
        return {
            "task": "regression",
            "labels": self._numbers(label, "label"),
            "predictions": self._numbers(prediction, "prediction"),
        }

    def _confidence(
        self,
        predictions: NDArray[Any],
        classes: Sequence[str],
        scores: Mapping[str, NDArray[np.float64]],
    ) -> NDArray[np.float64] | None:
        import numpy as np

        if not scores:
            if "score" not in self.table.column_names:
                return None
            return self._numbers(self._column("score"), "score")

        confidence = np.full(len(predictions), np.nan)
        for place in np.unique(predictions):
            name = classes[place]
            if name not in scores:
                raise self._error(
                    f"predicts {name}, but has no column '{_SCORE_OF}{name}'",
                    "write the scores of all classes, or of none",
                )
            rows = predictions == place
            confidence[rows] = scores[name][rows]
        return confidence

    def _class_scores(self) -> dict[str, NDArray[np.float64]]:
        scores = {}
        for name in self.table.column_names:
            if name.startswith(_SCORE_OF):
                column = self._numbers(self._column(name), name)
                scores[name.removeprefix(_SCORE_OF)] = column
        return scores

    def _weights(self) -> NDArray[np.float64] | None:
        if "weight" not in self.table.column_names:
            return None
        weights = self._numbers(self._column("weight"), "weight")
        if weights.min() < 0 or not weights.any():
            raise self._error("has weights that are negative, or none above 0", None)
        return weights

    def _ids(self) -> pa.Array | None:
        """The ids as text, so that 7 of a CSV file and "7" of a Parquet file are one case."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if "id" not in self.table.column_names:
            return None
        ids = pc.cast(self._column("id"), pa.string())
        counts = pc.value_counts(ids)
        several = pc.greater(counts.field("counts"), 1)
        if pc.any(several).as_py():
            twice = counts.field("values").filter(several)[0].as_py()
            rows = self._rows(pc.equal(ids, twice))
            raise self._error(f"has the id {twice!r} in {rows}", "an id belongs to one case")
        return ids

    def _show(self) -> pa.Array | None:
        if "show" not in self.table.column_names:
            return None
        return _one_array(self.table["show"])

    def _slices(self) -> dict[str, pa.Array]:
        """The other columns, but those whose values are no single thing."""
        import pyarrow as pa

        slices = {}
        for name in self.table.column_names:
            if name in _OWN_COLUMNS or name.startswith(_SCORE_OF):
                continue
            # Texts stay numbers of a dictionary: there are few of them, and a million rows.
            column = _in_one_piece(self.table[name])
            if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
                self.notes.append(
                    f"the column {name} holds {column.type}: no slices are made of it"
                )
                continue
            slices[name] = column
        return slices

    def _numbers(self, column: pa.Array, name: str) -> NDArray[np.float64]:
        """The column as finite numbers."""
        import pyarrow as pa
        import pyarrow.compute as pc

        try:
            numbers = pc.cast(column, pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise self._error(f"has no numbers in the column {name!r}: {error}", None) from error
        finite = pc.is_finite(numbers)
        if not pc.all(finite).as_py():
            raise self._error(f"has an infinite {name} in {self._rows(pc.invert(finite))}", None)
        values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
        return values

    def _rows(self, mask: pa.Array) -> str:
        """The first rows in which the mask is true, counted from 1, for people."""
        import pyarrow.compute as pc

        places = pc.indices_nonzero(mask)
        first = [str(place.as_py() + 1) for place in places[:_ROWS_NAMED]]
        if len(places) > _ROWS_NAMED:
            return f"{counted(len(places), 'row')}, the first of them {', '.join(first)}"
        return f"row {' and '.join(first)}"

    def _error(self, message: str, hint: str | None) -> StepError:
        return StepError(f"the predictions in {self.source}: the file {message}", hint=hint)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece; a dictionary of texts is the texts."""
    import pyarrow as pa

    whole = _in_one_piece(column)
    if pa.types.is_dictionary(whole.type):
        return whole.dictionary_decode()
    return whole


def _in_one_piece(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        # Each piece of a file has a dictionary of its own.
        column = column.unify_dictionaries()
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks or [pa.array([], whole.type)])
    return whole


def _names_classes(label: pa.Array, prediction: pa.Array) -> bool:
    """Whether the values are classes: texts, truth values, and few whole numbers.

    A column of floats is a quantity, also where all of its numbers happen to be whole.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for column in (label, prediction):
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return False
    if pa.types.is_integer(label.type) and pa.types.is_integer(prediction.type):
        return int(pc.count_distinct(label).as_py()) <= _MOST_CLASSES
    return True


def _class_names(column: pa.Array) -> pa.DictionaryArray:
    """The column as texts, each of them once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.dictionary_encode(column)
    # Only the distinct values are turned into text, not a million of them.
    names = pc.cast(encoded.dictionary, pa.string())
    return pa.DictionaryArray.from_arrays(encoded.indices, names)


def _all_classes(
    labels: pa.DictionaryArray, predictions: pa.DictionaryArray, scores: Mapping[str, Any]
) -> tuple[str, ...]:
    """The names of all classes that the file knows, in order."""
    return sorted_classes(
        {*labels.dictionary.to_pylist(), *predictions.dictionary.to_pylist(), *scores}
    )


def sorted_classes(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes in order; numbers in theirs, so that 10 comes after 9."""
    return tuple(sorted(names, key=_number_first))


def _number_first(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def _places(column: pa.DictionaryArray, classes: Sequence[str]) -> NDArray[Any]:
    """Each value's place in `classes`."""
    import numpy as np

    order = {name: place for place, name in enumerate(classes)}
    translation = np.array([order[name] for name in column.dictionary.to_pylist()], dtype=np.int32)
    places: NDArray[Any] = translation[column.indices.to_numpy(zero_copy_only=False)]
    return places
