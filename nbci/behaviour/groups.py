"""Parts of the cases: those that have one value, or one pair of values, of the slice columns."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.formatting.numbers import counted, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

_BINS = 5
_MOST_SINGLE_NUMBERS = 10
"""Numbers of more values than this are sorted into bins of equal counts."""
_NO_VALUE = "(none)"
_MOST_PLACES = 4_000_000
"""Pairs of more possible values are numbered by those that occur: a table of all would be large."""
_NO_GROUP = 0


class Groups(Struct, frozen=True, kw_only=True):
    """The cases, sorted into groups by one or two columns.

    `places` is each case's group, from 1; 0 is that of the cases whose value is too rare. `counts`
    has the cases of each group, from group 0; `values` the values of the columns, from group 1.
    """

    columns: tuple[str, ...]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]
    values: tuple[tuple[str, ...], ...]


def groups_of(columns: Mapping[str, pa.Array], min_rows: int, notes: list[str]) -> Iterator[Groups]:
    """The groups by each column, then by each two of them; each has at least `min_rows` cases."""
    singles = []
    for name, column in columns.items():
        places, values = _coded(column)
        groups = _with_enough((name,), places, [(), *values], min_rows)
        if groups.values:
            singles.append(groups)
        else:
            notes.append(f"no value of {name} has {counted(min_rows, 'case')}")

    yield from singles
    for first, second in combinations(singles, 2):
        groups = _by_both(first, second, min_rows)
        if groups.values:
            yield groups


def _with_enough(
    columns: tuple[str, ...],
    places: NDArray[np.int64],
    values: Sequence[tuple[str, ...]],
    min_rows: int,
) -> Groups:
    """Groups of the values that have enough cases; place 0 stays the one of no group."""
    import numpy as np

    counts = np.bincount(places, minlength=len(values))
    chosen = _places_with_enough(counts, min_rows)
    kept = [values[place] for place in chosen.tolist()]
    return _renumbered(columns, places, counts, chosen, kept)


def _places_with_enough(counts: NDArray[np.int64], min_rows: int) -> NDArray[np.int64]:
    import numpy as np

    enough = counts >= min_rows
    enough[_NO_GROUP] = False
    return np.flatnonzero(enough)


def _renumbered(
    columns: tuple[str, ...],
    places: NDArray[np.int64],
    counts: NDArray[np.int64],
    chosen: NDArray[np.int64],
    values: Sequence[tuple[str, ...]],
) -> Groups:
    """Groups of the chosen places, from 1; all other cases are in no group."""
    import numpy as np

    translation = np.zeros(len(counts), dtype=np.int64)
    translation[chosen] = np.arange(1, len(chosen) + 1)
    # Counted before: to count a million places again for each two columns takes half a second.
    kept = counts[chosen]
    return Groups(
        columns=columns,
        places=translation[places],
        counts=np.append(len(places) - kept.sum(), kept),
        values=tuple(values),
    )


def _by_both(first: Groups, second: Groups, min_rows: int) -> Groups:
    import numpy as np

    width = len(second.values) + 1
    places = first.places * width + second.places
    places[(first.places == _NO_GROUP) | (second.places == _NO_GROUP)] = _NO_GROUP
    found = np.arange((len(first.values) + 1) * width)
    if len(found) > _MOST_PLACES:
        # Place 0 must stay in front, whether a case is in it or not.
        found, places = np.unique(np.append(places, _NO_GROUP), return_inverse=True)
        places = places[:-1]

    counts = np.bincount(places, minlength=len(found))
    ones, others = np.divmod(found, width)
    # Where all of Bavaria is in Germany, "Bavaria" alone says it.
    same = (counts == first.counts[ones]) | (counts == second.counts[others])
    counts[same] = 0
    chosen = _places_with_enough(counts, min_rows)
    values = []
    for one, other in zip(ones[chosen].tolist(), others[chosen].tolist(), strict=True):
        values.append((*first.values[one - 1], *second.values[other - 1]))
    return _renumbered((*first.columns, *second.columns), places, counts, chosen, values)


def _coded(column: pa.Array) -> tuple[NDArray[np.int64], list[tuple[str]]]:
    """Each case's place among the values, from 1, and the values' names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Amounts of money are decimals in many databases.
    if pa.types.is_decimal(column.type):
        column = pc.cast(column, pa.float64(), safe=False)
    encoded = column
    if not pa.types.is_dictionary(column.type):
        encoded = pc.dictionary_encode(column)
    # Months and days of an interval have no common measure.
    is_no_quantity = pa.types.is_boolean(column.type) or pa.types.is_interval(column.type)
    is_quantity = pa.types.is_primitive(column.type) and not is_no_quantity
    if is_quantity and len(encoded.dictionary) > _MOST_SINGLE_NUMBERS:
        return _in_bins(column)
    # Cases without a value are one more group.
    indices = pc.fill_null(encoded.indices, len(encoded.dictionary))
    places = indices.to_numpy(zero_copy_only=False).astype("int64") + 1
    return places, [*((_value_text(value),) for value in encoded.dictionary), (_NO_VALUE,)]


def _value_text(value: pa.Scalar) -> str:
    found = value.as_py()
    if isinstance(found, float):
        return number(found)
    return str(found)


def _in_bins(column: pa.Array) -> tuple[NDArray[np.int64], list[tuple[str]]]:
    """Numbers and times in bins of about equal counts; those without a value are one more."""
    import numpy as np
    import pyarrow.compute as pc

    missing = pc.is_null(column, nan_is_null=True)
    known = column.filter(pc.invert(missing))
    sizes = _as_numbers(known)
    edges = np.unique(np.quantile(sizes, np.linspace(0, 1, _BINS + 1), method="lower"))
    # Whole numbers of 20 digits may all be one float.
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
    # The last edge closes the last bin: what is equal to it belongs there.
    bins = np.searchsorted(edges[1:-1], sizes, side="right")

    names = []
    for low, high in pairwise(edges):
        names.append((f"{_edge_text(low, column)} … {_edge_text(high, column)}",))
    names.append((_NO_VALUE,))

    places = np.full(len(column), len(names), dtype=np.int64)
    places[~missing.to_numpy(zero_copy_only=False)] = bins + 1
    return places, names


def _as_numbers(column: pa.Array) -> NDArray[np.float64]:
    """Numbers as they are, times as counts of their own unit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_temporal(column.type):
        column = column.view(f"int{column.type.bit_width}")
    numbers: NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return numbers


def _edge_text(edge: float, column: pa.Array) -> str:
    """A bin's edge, written as the column's values are."""
    import pyarrow as pa

    if not pa.types.is_temporal(column.type):
        return number(edge)
    whole = pa.scalar(int(edge), pa.int64()).cast(f"int{column.type.bit_width}")
    return str(whole.cast(column.type).as_py())
