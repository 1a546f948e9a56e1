"""When trials were at work: their beginnings and ends, and the sittings of the whole sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nbci.formatting.durations import seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.sweeps.study_record import TrialRecord

_PAUSE = 0.25
"""Of the time until then: a longer pause parts two sittings."""
_LONGEST_PAUSE_SECONDS = 600.0


class Span(NamedTuple):
    """From when to when, in seconds since 1970."""

    start: float
    end: float


def span_of(trial: TrialRecord, now: float | None = None) -> Span | None:
    """When the trial was at work; one that still runs until `now`. None where nobody knows."""
    start, end = seconds_of(trial.started_utc), seconds_of(trial.ended_utc)
    if start is None:
        return None
    if end is None:
        if trial.state != "running" or now is None:
            return None
        end = now
    # Clocks of two machines may disagree.
    return Span(start, max(start, end))


def sittings(trials: Iterable[TrialRecord]) -> list[Span]:
    """The times in which the sweep went on, without the long pauses between them."""
    spans = sorted(span for trial in trials if (span := span_of(trial)) is not None)
    found: list[Span] = []
    busy = 0.0
    for span in spans:
        if not found:
            found.append(span)
            continue
        last = found[-1]
        # A sweep that is resumed the next day did not take a day.
        pause = span.start - last.end
        if pause > max(_PAUSE * (busy + last.end - last.start), _LONGEST_PAUSE_SECONDS):
            busy += last.end - last.start
            found.append(span)
        else:
            found[-1] = Span(last.start, max(last.end, span.end))
    return found
