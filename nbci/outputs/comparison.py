"""Compare what cells show with what is stored, each kind in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.formatting.text import clean
from nbci.outputs.kinds import is_drawing, is_picture, is_text, values_by_kind
from nbci.outputs.pictures import drawing_as_text, picture_difference
from nbci.outputs.tables import has_table, table_difference
from nbci.outputs.text import is_same_text, text_difference
from nbci.records.output_check import OutputDifference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Values = list[Any]
Found = tuple[str, tuple[str, ...]]
"""A sentence, and lines of a diff."""


class CellPair(Struct, frozen=True, kw_only=True):
    """A cell with its outputs as they are stored and as they are now."""

    cell: int
    first_line: str
    stored: Sequence[Mapping[str, Any]]
    now: Sequence[Mapping[str, Any]]


class ForNbval(Struct, frozen=True, kw_only=True):
    """Values of one kind of a cell that nbval compares."""

    pair: CellPair
    kind: str
    stored: Values
    now: Values


class Comparison(Struct, kw_only=True):
    """What was found so far, and what is left to nbval."""

    differences: list[OutputDifference]
    for_nbval: list[ForNbval]


def compare(pairs: Sequence[CellPair]) -> Comparison:
    """Compare texts, tables and pictures; what is of another kind is left to nbval."""
    comparison = Comparison(differences=[], for_nbval=[])
    for pair in pairs:
        stored, now = values_by_kind(pair.stored), values_by_kind(pair.now)
        for kind in dict.fromkeys((*stored, *now)):
            before, after = stored.get(kind, []), now.get(kind, [])
            how = _comparer(kind, before, after)
            # Of values that are no text, nbval 0.11 cannot say that there are more: it joins them.
            if how is None and len(before) == len(after):
                left = ForNbval(pair=pair, kind=kind, stored=before, now=after)
                comparison.for_nbval.append(left)
                continue
            found = next(_differences(kind, before, after, how), None)
            if found is not None:
                comparison.differences.append(difference(pair, kind, *found))
    return comparison


def difference(
    pair: CellPair, kind: str, message: str, lines: Sequence[str] = ()
) -> OutputDifference:
    """A difference of the pair."""
    # A notebook may hold half a character (a lone surrogate), of which no record can be written.
    return OutputDifference(
        cell=pair.cell,
        first_line=clean(pair.first_line),
        kind=clean(kind),
        message=clean(message),
        lines=tuple(map(clean, lines)),
    )


def _comparer(
    kind: str, before: Values, after: Values
) -> Callable[[Any, Any], Found | None] | None:
    """What compares two values of the kind; None where nbval does."""
    if is_text(kind):
        return _compare_text
    if is_drawing(kind):
        return _compare_drawings
    if is_picture(kind):
        return _compare_pictures
    if kind == "text/html" and all(map(has_table, (*before, *after))):
        return _compare_tables
    return None


def _differences(
    kind: str, before: Values, after: Values, how: Callable[[Any, Any], Found | None] | None
) -> Iterator[Found]:
    if not before:
        yield "not stored, and shown now", _as_lines(kind, "+", after)
    elif not after:
        yield "stored, and not shown now", _as_lines(kind, "-", before)
    elif len(before) != len(after):
        yield f"shown {_times(len(after))}, stored {_times(len(before))}", ()
    if how is None:
        return
    for stored, now in zip(before, after, strict=False):
        found = how(stored, now)
        if found is not None:
            yield found


def _as_lines(kind: str, sign: str, values: Values) -> tuple[str, ...]:
    """The beginning of a text that stands on one side only."""
    if not is_text(kind):
        return ()
    lines = text_difference("", "\n".join(values))
    return tuple(f"{sign}{line[1:]}" for line in lines if line.startswith("+"))


def _times(count: int) -> str:
    if count == 1:
        return "once"
    return f"{count} times"


def _compare_text(stored: Any, now: Any) -> Found | None:
    if is_same_text(stored, now):
        return None
    return "the text differs", text_difference(stored, now)


def _compare_drawings(stored: Any, now: Any) -> Found | None:
    return _compare_text(drawing_as_text(stored), drawing_as_text(now))


def _compare_tables(stored: Any, now: Any) -> Found | None:
    found = table_difference(stored, now)
    if found is None:
        return None
    return found.message, found.lines


def _compare_pictures(stored: Any, now: Any) -> Found | None:
    message = picture_difference(stored, now)
    if message is None:
        return None
    return message, ()
