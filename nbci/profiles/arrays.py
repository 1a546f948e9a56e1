"""Columns of any type as what is measured: numbers, truth values, times, texts, vectors.

Each function gives the values in their form, and how many values there are that have none: these
are then missing, and counted by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from nbci.records.profile import ColumnKind

    Numbers = NDArray[np.float64]

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NO_VALUE = r"^(|[nN]a[nN])$"
_TIMES = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_MICROSECONDS = 1e6


def kind_of(kind: pa.DataType) -> ColumnKind | None:
    """What a column of that type is measured as; None for nothing but missing values.

    A text may turn out to be a category. What has no form of its own is a text without values.
    """
    from pyarrow import types

    if types.is_dictionary(kind):
        return kind_of(kind.value_type)
    if types.is_null(kind):
        return None
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "number"
    if types.is_duration(kind):
        return "number"
    if types.is_temporal(kind):
        return "time"
    if _part_type(kind) is not None:
        return "vector"
    return "text"


def numbers_of(array: pa.Array) -> tuple[Numbers, int]:
    """The values as float64, NaN for none; whole numbers beyond 2**53 lose their last digits."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    array = _plain(array)
    unlike = 0
    # Arrow casts no duration to a float.
    if types.is_duration(array.type):
        seconds = pc.cast(array, pa.duration("us"), safe=False).cast(pa.int64())
        return _to_numpy(seconds) / _MICROSECONDS, 0
    if _is_text(array.type):
        array, unlike = _parsed_numbers(array)
    elif kind_of(array.type) not in ("number", "boolean", None):
        return _nothing(array)
    return _to_numpy(array), unlike


def times_of(array: pa.Array) -> tuple[Numbers, int]:
    """The values in seconds since 1970, or since midnight; NaN for none."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    array = _plain(array)
    unlike = 0
    if _is_text(array.type):
        array, unlike = _parsed_times(array)
    elif kind_of(array.type) != "time":
        return _nothing(array)
    if types.is_time(array.type):
        whole = pc.cast(array, pa.time64("us"), safe=False).cast(pa.int64())
    elif types.is_interval(array.type):
        return _nothing(array)
    else:
        whole = pc.cast(array, pa.timestamp("us"), safe=False).cast(pa.int64())
    return _to_numpy(whole) / _MICROSECONDS, unlike


def booleans_of(array: pa.Array) -> tuple[Numbers, int]:
    """The values as 0 and 1, NaN for none; of numbers and texts those that mean one of the two."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    array = _plain(array)
    if _is_text(array.type):
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(array))
        known = pc.is_in(lower, value_set=pa.array(["true", "false"], lower.type))
        truth = pc.if_else(known, pc.equal(lower, "true"), pa.scalar(None, pa.bool_()))
        given = pc.invert(_is_no_value(array))
        return _to_numpy(truth), _count_true(pc.and_(given, pc.invert(known)))
    numbers, unlike = numbers_of(array)
    odd = ~np.isnan(numbers) & (numbers != 0) & (numbers != 1)
    numbers = np.where(odd, np.nan, numbers)
    return numbers, unlike + int(odd.sum())


def texts_of(array: pa.Array) -> tuple[pa.Array, int]:
    """The values as texts, null for none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = _plain(array)
    if _is_text(array.type):
        return pc.cast(array, pa.large_string()), 0
    if kind_of(array.type) in ("number", "boolean", "time"):
        # NaN would be a category of that name.
        if pa.types.is_floating(array.type):
            array = pc.if_else(pc.is_nan(array), None, array)
        return pc.cast(array, pa.large_string()), 0
    return pa.nulls(len(array), pa.large_string()), len(array) - array.null_count


def vectors_of(array: pa.Array, width: int | None) -> tuple[Numbers, int]:
    """The lists as rows of that many numbers, or of as many as the first list has.

    Only rows that have a number for each part; the other ones have no value or are unlike.
    """
    import numpy as np

    array = _plain(array)
    if _part_type(array.type) is None:
        empty: Numbers = np.empty((0, width or 0))
        return empty, len(array) - array.null_count
    given = array.drop_null()
    flat, lengths = _flattened(given)
    if width is None:
        width = int(lengths[0]) if len(lengths) else 0
    fitting = (lengths == width) & (lengths > 0)
    if not fitting.all():
        flat = flat[np.repeat(fitting, lengths)]
    rows = flat.reshape(-1, width) if width else np.empty((0, 0))
    # A norm needs all parts.
    whole = np.isfinite(rows).all(axis=1)
    return rows[whole], int((~fitting).sum())


def _flattened(array: pa.Array) -> tuple[Numbers, NDArray[np.int64]]:
    """The numbers of all lists behind each other, also of nested ones; how many each row has."""
    import numpy as np
    import pyarrow.compute as pc

    rows = np.arange(len(array))
    # Each turn takes one level of lists away.
    while _is_list(array.type):
        parents = pc.list_parent_indices(array).to_numpy(zero_copy_only=False)
        rows = rows[parents]
        array = pc.list_flatten(array)
    count = 0 if not len(rows) else int(rows[-1]) + 1
    return _to_numpy(array), np.bincount(rows, minlength=count)


def _part_type(kind: pa.DataType) -> pa.DataType | None:
    """The type of the numbers in lists, however deep; None for other types."""
    if not _is_list(kind):
        return None
    while _is_list(kind):
        kind = kind.value_type
    if kind_of(kind) in ("number", "boolean", None):
        return kind
    return None


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _plain(array: pa.Array) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    if isinstance(array, pa.ExtensionArray):
        return array.storage
    return array


def _to_numpy(array: pa.Array) -> Numbers:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    # Not safe: whole numbers beyond 2**53 are rounded, and not refused.
    if array.type != pa.float64():
        array = pc.cast(array, pa.float64(), safe=False)
    numbers: Numbers = array.to_numpy(zero_copy_only=False)
    return numbers.astype(np.float64, copy=False)


def _parsed_numbers(array: pa.Array) -> tuple[pa.Array, int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    # A cast would fail for the whole column where one value is none.
    trimmed = pc.utf8_trim_whitespace(array)
    is_number = pc.match_substring_regex(trimmed, _NUMBER)
    wrong = pc.and_(pc.invert(is_number), pc.invert(_is_no_value(array)))
    kept = pc.if_else(is_number, trimmed, pa.scalar(None, trimmed.type))
    return pc.cast(kept, pa.float64()), _count_true(wrong)


def _parsed_times(array: pa.Array) -> tuple[pa.Array, int]:
    """Times as ISO 8601 has them, without a zone, or in UTC."""
    import pyarrow.compute as pc

    trimmed = pc.replace_substring_regex(pc.utf8_trim_whitespace(array), "(Z|\\+00:00)$", "")
    trimmed = pc.replace_substring_regex(trimmed, r"\.[0-9]+$", "")
    read = []
    for form in _TIMES:
        read.append(pc.strptime(trimmed, format=form, unit="us", error_is_null=True))
    times = pc.coalesce(*read)
    wrong = pc.and_(pc.is_null(times), pc.invert(_is_no_value(array)))
    return times, _count_true(wrong)


def _is_no_value(array: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.fill_null(pc.match_substring_regex(array, _NO_VALUE), fill_value=True)


def _count_true(mask: pa.Array) -> int:
    import pyarrow.compute as pc

    return int(pc.sum(mask).as_py() or 0)


def _nothing(array: pa.Array) -> tuple[Numbers, int]:
    """No values: all that there are have another form."""
    import numpy as np

    return np.full(len(array), np.nan), len(array) - array.null_count
