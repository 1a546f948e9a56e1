"""The shares of a column's values, in the window below the reference's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.behaviour.wording import share as share_text
from nbci.report.charts.panel import LETTERS, SMALL, box, cut_to, legend, rule, text_at
from nbci.report.charts.svg import widest
from nbci.report.data.drift_wording import shown_name
from nbci.report.html.markup import Markup, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.records.profile import ColumnProfile

_SHOWN = 8
_IN_TABLE = 30
_ROW, _BAR, _TOP = 28, 9, 28
_OTHERS, _MISSING = "(all others)", "(missing)"


def has_counts(profile: ColumnProfile | None) -> bool:
    """Whether the values of the column were counted."""
    return profile is not None and bool(profile.counts)


def category_picture(
    before: ColumnProfile | None, now: ColumnProfile | None
) -> tuple[Markup, float]:
    """Two bars for each of the most frequent values, and the height of them all."""
    sides = (_shares(before), _shares(now))
    values = _values(sides)[:_SHOWN]
    left = min(110.0, widest([shown_name(value) for value in values], LETTERS)) + 12
    # Room for the number behind the longest bar.
    room = SMALL - left - 52
    longest = max((max(_pair(sides, value)) for value in values), default=0.0) or 1.0
    entries = [
        (box(-6, -5, 12, 10, "before"), "reference"),
        (box(-6, -5, 12, 10, "equal"), "window"),
    ]
    parts = [legend(entries, 0, 12)]
    for at, value in enumerate(values):
        pair = _pair(sides, value)
        parts += _bars(value, pair, (left, _TOP + _ROW * at), room / longest)
    bottom = _TOP + _ROW * len(values)
    parts.append(rule(left, _TOP - 2, left, bottom, "axis"))
    return fragment(*parts), bottom + 6


def _bars(
    value: str, pair: tuple[float, float], corner: tuple[float, float], pixels: float
) -> Iterator[Markup]:
    left, top = corner
    yield text_at(cut_to(shown_name(value), left - 8), left - 7, top + 14, anchor="end")
    for at, (share, class_) in enumerate(zip(pair, ("before", "equal"), strict=True)):
        y = top + (_BAR + 2) * at
        yield box(left, y, share * pixels, _BAR, class_)
        kind = "strong" if at else None
        yield text_at(share_text(share), left + share * pixels + 5, y + 9, kind=kind)


def share_rows(
    before: ColumnProfile | None, now: ColumnProfile | None
) -> tuple[tuple[str, str, str], ...]:
    """The shares of more values, for the table below the picture."""
    sides = (_shares(before), _shares(now))
    rows = []
    for value in _values(sides)[:_IN_TABLE]:
        then, since = _pair(sides, value)
        rows.append((shown_name(value), share_text(then), share_text(since)))
    return tuple(rows)


def _shares(profile: ColumnProfile | None) -> Mapping[str, float]:
    """The share of each value that was counted, of all rows; others and missing ones as well."""
    if profile is None or not profile.rows:
        return {}
    shares = {value: count / profile.rows for value, count in (profile.counts or {}).items()}
    # They stand beside the values, so that all bars are the whole.
    if profile.others:
        shares[_OTHERS] = profile.others / profile.rows
    if profile.missing:
        shares[_MISSING] = profile.missing / profile.rows
    return shares


def _values(sides: Sequence[Mapping[str, float]]) -> list[str]:
    """All values, those first that are frequent in one of the two."""
    known = dict.fromkeys(value for side in sides for value in side)
    return sorted(known, key=lambda value: -max(_pair(sides, value)))


def _pair(sides: Sequence[Mapping[str, float]], value: str) -> tuple[float, float]:
    before, now = sides
    return before.get(value, 0.0), now.get(value, 0.0)
