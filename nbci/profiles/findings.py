"""How a window breaks the schema of the reference: what it has that the reference has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, listed, number
from nbci.profiles.distances import Distribution
from nbci.records.profile import SchemaFinding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.records.profile import ColumnProfile, Problem

MORE_MISSING = 0.01
"""The share of rows by which more values are missing than before, from which it is a finding."""
OUTSIDE = 0.01
"""The share of rows beyond the range from which it is a finding: a few are in any new data."""
_FAR = 10.0
_FEW_ROWS = 5
_VALUES_NAMED = 5
TYPES = {
    "number": "numbers",
    "boolean": "truth values",
    "category": "categories",
    "time": "times",
    "text": "texts",
    "image": "images",
    "vector": "vectors",
}


def find_problems(before: ColumnProfile, now: ColumnProfile) -> Iterator[SchemaFinding]:
    """All of one column; a window without rows breaks nothing."""
    if not now.rows:
        return
    yield from _find_other_type(before, now)
    yield from _find_range(before, now)
    new = new_values(before, now)
    if new:
        rows = sum((now.counts or {})[value] for value in new)
        named = listed([repr(value) for value in new], _VALUES_NAMED)
        sentence = f"{before.name} has {counted(len(new), 'new value')}: {named}"
        yield _finding(before, "categories", sentence, share_of(rows, now.rows))
    yield from _find_rare_values(before, now)

    # Values of another type are told already.
    share = share_of(now.missing - now.unlike - now.infinite, now.rows)
    share_before = share_of(before.missing - before.unlike - before.infinite, before.rows)
    if share > share_before + MORE_MISSING:
        sentence = (
            f"{before.name} misses {_percent(share)} of its values, not {_percent(share_before)}"
        )
        yield _finding(before, "missing", sentence, share)


def _find_rare_values(before: ColumnProfile, now: ColumnProfile) -> Iterator[SchemaFinding]:
    """New values none of which is frequent, such as ids in the place of categories."""
    # All values of the reference are listed, and are counted in the window: others are none of it.
    is_closed = before.kind == now.kind == "category" and before.counts and not before.others
    share = share_of(now.others, now.rows)
    if is_closed and share >= OUTSIDE:
        sentence = (
            f"{before.name} has new values, all of them rare, in {_percent(share)} of the rows"
        )
        yield _finding(before, "categories", sentence, share)


def _find_other_type(before: ColumnProfile, now: ColumnProfile) -> Iterator[SchemaFinding]:
    if now.unlike and before.values and not before.unlike:
        share = share_of(now.unlike, now.rows)
        usual = TYPES[before.kind]
        if before.width is not None:
            usual = f"{usual} of {counted(before.width, 'part')}"
        others = f"other things than {usual}"
        sentence = f"{before.name} holds {others} in {_percent(share)} of the rows"
        yield _finding(before, "type", sentence, share)
    elif before.values and now.values and before.kind != now.kind:
        sentence = f"{before.name} holds {TYPES[now.kind]}, not {TYPES[before.kind]}"
        yield _finding(before, "type", sentence, 1.0)
    elif before.width is not None and now.width is not None and before.width != now.width:
        sentence = f"{before.name} holds vectors of {now.width} parts, not of {before.width}"
        yield _finding(before, "type", sentence, 1.0)


def _find_range(before: ColumnProfile, now: ColumnProfile) -> Iterator[SchemaFinding]:
    if now.infinite and not before.infinite:
        share = share_of(now.infinite, now.rows)
        sentence = f"{before.name} is infinite in {counted(now.infinite, 'row')}"
        yield _finding(before, "range", sentence, share)
    outside = outside_share(before, now)
    # What time it is lies beyond all times before.
    if before.kind != "number" or not outside:
        return
    rows = round(outside * now.rows)
    are_many = outside >= OUTSIDE and rows >= min(_FEW_ROWS, now.rows / 2)
    if not are_many and not _is_far(before, now):
        return
    low, high = number(before.low or 0.0), number(before.high or 0.0)
    much = f"{counted(rows, 'row')} of {now.rows:,}"
    sentence = f"{before.name} is not between {low} and {high} in {much}"
    yield _finding(before, "range", sentence, outside)


def _is_far(before: ColumnProfile, now: ColumnProfile) -> bool:
    """Whether a number is out of all proportion, as 9999 for "unknown" would be."""
    low, high, lowest, highest = before.low, before.high, now.low, now.high
    if low is None or high is None or lowest is None or highest is None:
        return False
    # A constant has no width: whatever is not it is far.
    reach = _FAR * (high - low)
    return lowest < low - reach or highest > high + reach


def _finding(
    column: ColumnProfile, problem: Problem, sentence: str, share: float | None
) -> SchemaFinding:
    return SchemaFinding(column=column.name, problem=problem, sentence=sentence, share=share)


def gone(column: ColumnProfile) -> SchemaFinding:
    """That the window does not have the column."""
    return _finding(column, "gone", f"the window has no column {column.name}", 1.0)


def new(column: ColumnProfile) -> SchemaFinding:
    """That the reference does not have the column."""
    return _finding(column, "new", f"the reference has no column {column.name}", None)


def _percent(share: float) -> str:
    return f"{share:.1%}"


def share_of(part: float, whole: int) -> float:
    """The part of the whole; of nothing, nothing."""
    if not whole:
        return 0.0
    return part / whole


def outside_share(before: ColumnProfile, now: ColumnProfile) -> float:
    """The share of rows beyond the reference's range: known, or read off the distribution."""
    import numpy as np

    if before.kind not in ("number", "time") or before.low is None or before.high is None:
        return 0.0
    if now.outside is not None:
        return share_of(now.outside, now.rows)
    if now.kind != before.kind or now.low is None or now.high is None:
        return 0.0
    if now.low >= before.low and now.high <= before.high:
        return 0.0
    window = Distribution(now)
    below = window.below(np.array([before.low]))
    beyond = 1 - window.up_to(np.array([before.high]))
    return float((below + beyond)[0]) * share_of(now.values, now.rows)


def new_values(before: ColumnProfile, now: ColumnProfile) -> tuple[str, ...]:
    """The categories that the reference does not have, the most frequent first."""
    if before.kind != "category" or now.kind != "category" or before.others:
        return ()
    # A column without a value has no categories that others could be compared with.
    known = before.counts or {}
    if not known:
        return ()
    new = [(count, value) for value, count in (now.counts or {}).items() if value not in known]
    return tuple(value for _, value in sorted(new, key=lambda entry: (-entry[0], entry[1])))
