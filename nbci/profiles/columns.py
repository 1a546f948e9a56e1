"""A column, measured batch by batch; of one kind from its first values, or from a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.profiles.arrays import booleans_of, kind_of, numbers_of, texts_of, times_of, vectors_of
from nbci.profiles.column_measures import NumberMeasure, ValueCounts, VectorMeasure, listed_counts
from nbci.records.profile import ColumnProfile

if TYPE_CHECKING:
    import pyarrow as pa

    from nbci.records.profile import ColumnKind

MOST_CATEGORIES = 1000
"""A text of more values than this is no category."""
_ALWAYS_CATEGORIES = 20
_ROWS_OF_CATEGORY = 5
_MOST_OF_TEXT = 50
_LONGEST_VALUE = 200
"""Characters of a value in a profile."""
NORM = ".norm"
"""Behind a vector's name, that of the column of its norm."""


class ColumnMeasure:
    """One column; what `like` has is measured as a column of that kind."""

    def __init__(
        self,
        name: str,
        like: ColumnProfile | None,
        norm_like: ColumnProfile | None,
        *,
        is_image: bool = False,
    ) -> None:
        self.name = name
        self.rows = 0
        self._values = 0
        self._unlike = 0
        self._like = like
        self._norm_like = norm_like
        self._kind: ColumnKind | None = None
        if like is not None and like.kind != "image":
            self._kind = "text" if like.kind == "category" else like.kind
        if is_image:
            self._kind = "image"
        self._numbers = NumberMeasure(like)
        self._counts = ValueCounts()
        self._vectors: VectorMeasure | None = None

    def add(self, array: pa.Array) -> None:
        """Take the next rows in."""
        self.rows += len(array)
        # A column of nothing may be of no type, which tells nothing of later batches.
        if array.null_count == len(array):
            return
        if self._kind is None:
            self._kind = kind_of(array.type)
        match self._kind:
            case None:
                return
            case "image":
                self._values += len(array) - array.null_count
            case "vector":
                self._add_vectors(array)
            case "number" | "time" | "boolean":
                self._add_numbers(array)
            case _:
                self._add_texts(array)

    def profiles(self, rows: int) -> list[ColumnProfile]:
        """The column's profile, in `rows` of all; a vector's norm has one of its own.

        Where the column was not there, it has no values.
        """
        kind, fields = self._fields()
        fields |= {"rows": rows, "missing": rows - self._values}
        profiles = [ColumnProfile(name=self.name, kind=kind, unlike=self._unlike, **fields)]
        if self._vectors is not None:
            norm = self._vectors.norm.fields() | {"rows": rows, "missing": rows - self._values}
            profiles.append(ColumnProfile(name=f"{self.name}{NORM}", kind="number", **norm))
        return profiles

    def _fields(self) -> tuple[ColumnKind, dict[str, Any]]:
        match self._kind:
            case "number" | "time":
                return self._kind, self._numbers.fields()
            case "image":
                return "image", {}
            case "boolean":
                return "boolean", self._boolean_fields()
            case "vector" if self._vectors is not None:
                return "vector", self._vectors.fields()
            case "vector":
                return "vector", {}
            case _:
                return self._text_fields()

    def _boolean_fields(self) -> dict[str, Any]:
        known = self._numbers.fields().get("counts") or {}
        counts = {"false": known.get("0", 0), "true": known.get("1", 0)}
        return {"counts": counts, "distinct": sum(map(bool, counts.values()))}

    def _text_fields(self) -> tuple[ColumnKind, dict[str, Any]]:
        kind: ColumnKind = "category" if self._is_category() else "text"
        # What the reference counts is looked for even where it is rare now.
        wanted = (self._like.counts if self._like is not None else None) or {}
        most = MOST_CATEGORIES if kind == "category" else _MOST_OF_TEXT
        counts = listed_counts(self._counts, most, wanted)
        if kind == "text" and not wanted:
            # Names and numbers of persons, which each occur once, are nobody's business here.
            counts = _frequent(counts, self._values)
        fields: dict[str, Any] = {
            "counts": counts,
            "others": self._values - sum(counts.values()),
            "distinct": self._counts.distinct,
        }
        if kind == "text":
            # The lengths' own counts would be taken for those of the texts.
            fields = self._numbers.fields() | fields
        return kind, fields

    def _is_category(self) -> bool:
        if self._like is not None and self._like.kind in ("category", "text"):
            return self._like.kind == "category"
        distinct = self._counts.distinct
        # Of a few rows, each may have a value of its own and still be a category.
        if distinct <= _ALWAYS_CATEGORIES:
            return True
        return distinct <= MOST_CATEGORIES and _ROWS_OF_CATEGORY * distinct <= self._values

    def _add_numbers(self, array: pa.Array) -> None:
        read = {"number": numbers_of, "time": times_of, "boolean": booleans_of}
        values, unlike = read[str(self._kind)](array)
        self._unlike += unlike
        before = self._numbers.count
        self._numbers.add(values)
        self._values += self._numbers.count - before

    def _add_texts(self, array: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts, unlike = texts_of(array)
        self._unlike += unlike
        texts = texts.drop_null()
        self._values += len(texts)
        lengths = pc.cast(pc.utf8_length(texts), pa.float64())
        self._numbers.add(lengths.to_numpy(zero_copy_only=False))
        # A profile is no place for whole documents.
        cut = pc.utf8_slice_codeunits(texts, 0, _LONGEST_VALUE)
        found = pc.value_counts(cut)
        self._counts.add(found.field("values").to_pylist(), found.field("counts").to_pylist())

    def _add_vectors(self, array: pa.Array) -> None:
        width = None
        if self._vectors is not None:
            width = self._vectors.width
        elif self._like is not None:
            width = self._like.width
        rows, unlike = vectors_of(array, width)
        self._unlike += unlike
        if self._vectors is None and rows.shape[1]:
            self._vectors = VectorMeasure(rows.shape[1], self._norm_like)
        if self._vectors is not None:
            self._vectors.add(rows)
            self._values += len(rows)


def _frequent(counts: dict[str, int], rows: int) -> dict[str, int]:
    """The values that a hundredth of the rows has, and no fewer than a category's."""
    least = max(_ROWS_OF_CATEGORY, rows / 100)
    return {value: count for value, count in counts.items() if count >= least}
