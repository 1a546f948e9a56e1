"""The timeline of the workers: when each of them carried out which trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration, moment, utc_text
from nbci.formatting.numbers import counted, rough
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.panel import (
    LETTERS,
    WIDE,
    box,
    cut_to,
    legend,
    picture,
    rule,
    text_at,
)
from nbci.report.charts.scale import numbers_of
from nbci.report.charts.svg import text_width, widest
from nbci.report.charts.sweeps.worker_times import Span, sittings, span_of
from nbci.report.data.sweep_material import state_of
from nbci.report.html.markup import Markup, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.sweeps.study_record import TrialRecord

_ROW = 22
_TOP = 30
_MOST_ROWS = 40
_GAP = 26.0
"""Pixels between two sittings."""
_CLASSES = {
    "complete": "computed",
    "pruned": "bar-pruned",
    "failed": "bar-failed",
    "interrupted": "equal",
    "running": "running",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    """Where moments stand: each sitting has its share of the width, and pauses have none."""

    sittings: Sequence[Span]
    left: float
    width: float

    @property
    def _pixels_a_second(self) -> float:
        worked = sum(end - start for start, end in self.sittings)
        room = self.width - _GAP * (len(self.sittings) - 1)
        # Trials that took no time at all have one place.
        return room / (worked or 1.0)

    def start_of(self, sitting: int) -> float:
        """Where a sitting begins."""
        before = sum(end - start for start, end in self.sittings[:sitting])
        return self.left + before * self._pixels_a_second + _GAP * sitting

    def x(self, moment: float) -> float:
        """Where a moment stands; it lies in some sitting."""
        for at, (start, end) in enumerate(self.sittings):
            if moment <= end:
                return self.start_of(at) + max(moment - start, 0.0) * self._pixels_a_second
        return self.left + self.width


def timeline_figures(material: SweepMaterial) -> Iterator[Figure]:
    """The one picture; none where no trial has a beginning and an end."""
    now = _now(material.trials)
    spans = {trial.number: span_of(trial, now) for trial in material.trials}
    rows = _rows([trial for trial in material.trials if spans[trial.number] is not None])
    if not rows:
        return
    # A night between two sittings would leave the trials no width.
    parts = sittings(material.trials)
    left = min(120.0, widest([_name(worker) for worker in rows], LETTERS)) + 14
    clock = _Clock(sittings=parts, left=left, width=WIDE - left - 8)
    shown = dict(list(rows.items())[:_MOST_ROWS])
    bottom = _TOP + _ROW * len(shown) + 4
    alt = _description(rows, parts)
    content = fragment(
        _legend(material.trials, left),
        *_axis(clock, bottom),
        *_bars(shown, spans, clock),
    )
    note = None
    if len(rows) > len(shown):
        note = f"The first {len(shown)} of {len(rows)} workers."
    yield Figure(
        name="timeline",
        title="A bar for each trial",
        alt=alt,
        path="images/timeline.svg",
        content=picture(content, width=WIDE, height=bottom + 26, title=alt),
        width=WIDE,
        height=bottom + 26,
        note=note,
        numbers=_numbers(rows, spans, parts),
        is_scrolled=True,
    )


def _now(trials: Sequence[TrialRecord]) -> float | None:
    """The newest moment of the record, until when what runs is known to have run."""
    known = [span.end for trial in trials if (span := span_of(trial)) is not None]
    return max(known, default=None)


def _rows(trials: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """The trials of each worker; workers that are numbers in their order."""
    rows: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        rows.setdefault(trial.worker or "", []).append(trial)
    # "10" comes after "9".
    return dict(sorted(rows.items(), key=lambda row: (len(row[0]), row[0])))


def _name(worker: str) -> str:
    return f"worker {worker}" if worker.isdecimal() else worker or "unknown"


def _axis(clock: _Clock, bottom: float) -> Iterator[Markup]:
    yield rule(clock.left, bottom, clock.left + clock.width, bottom, "axis")
    if len(clock.sittings) == 1:
        yield from _elapsed(clock, bottom)
        return
    # With pauses, time since the beginning says little: each sitting has its own.
    last = 0.0
    for at, (start, _) in enumerate(clock.sittings):
        x = clock.start_of(at)
        if at:
            yield rule(x - _GAP / 2, _TOP - 6, x - _GAP / 2, bottom, "pause")
        words = moment(utc_text(start))[:16]
        if x >= last:
            yield text_at(words, x, bottom + 17)
            last = x + text_width(words, LETTERS) + 8


def _elapsed(clock: _Clock, bottom: float) -> Iterator[Markup]:
    ((start, end),) = clock.sittings
    for share, _ in numbers_of([0.0, end - start]).ticks:
        x = clock.left + share * clock.width
        seconds = float(rough(share * (end - start)))
        # The last label would be cut at the picture's edge.
        anchor = "end" if share > 0.96 else "middle"
        yield rule(x, _TOP - 6, x, bottom, "grid")
        yield text_at(duration(seconds) if seconds else "0 s", x, bottom + 17, anchor=anchor)


def _bars(
    rows: Mapping[str, Sequence[TrialRecord]],
    spans: Mapping[int, Span | None],
    clock: _Clock,
) -> Iterator[Markup]:
    for at, (worker, trials) in enumerate(rows.items()):
        y = _TOP + _ROW * at
        yield text_at(cut_to(_name(worker), clock.left - 12), clock.left - 8, y + 14, anchor="end")
        yield from _worker_bars(trials, spans, clock, y)


def _worker_bars(
    trials: Sequence[TrialRecord], spans: Mapping[int, Span | None], clock: _Clock, y: float
) -> Iterator[Markup]:
    seen: set[tuple[str, int]] = set()
    for trial in trials:
        span = spans[trial.number]
        if span is None:
            continue
        left, right = clock.x(span.start), clock.x(span.end)
        class_ = _CLASSES[state_of(trial)]
        # Bars narrower than a pixel are drawn once for each pixel.
        if right - left < 1:
            if (class_, round(left)) in seen:
                continue
            seen.add((class_, round(left)))
        # A gap between bars, where there is room for one.
        width = right - left - 1 if right - left > 4 else max(right - left, 1.0)
        yield box(left, y + 2, width, _ROW - 4, class_)
        words = str(trial.number)
        if text_width(words, LETTERS) + 6 < width:
            kind = "strong" if class_ == "running" else "on-bar small"
            yield text_at(words, left + 4, y + 15, kind=kind)


def _legend(trials: Sequence[TrialRecord], left: float) -> Markup:
    states = {state_of(trial) for trial in trials}
    entries = []
    for state, class_ in _CLASSES.items():
        if state in states:
            entries.append((box(-6, -5, 12, 10, class_), state))
    return legend(entries, left, 12)


def _numbers(
    rows: Mapping[str, Sequence[TrialRecord]],
    spans: Mapping[int, Span | None],
    parts: Sequence[Span],
) -> Numbers:
    """How busy each worker was."""
    worked = sum(end - start for start, end in parts)
    found = []
    for worker, trials in list(rows.items())[:_MOST_ROWS]:
        busy = 0.0
        for trial in trials:
            span = spans[trial.number]
            if span is not None:
                busy += span.end - span.start
        # Trials that took no time at all kept nobody busy.
        share = busy / worked if worked else 0.0
        found.append((_name(worker), str(len(trials)), duration(busy), f"{share:.0%}"))
    return Numbers(
        heads=("Worker", "Trials", "Busy", "Of the time"),
        rows=tuple(found),
        left_out=max(0, len(rows) - _MOST_ROWS),
    )


def _description(rows: Mapping[str, Sequence[TrialRecord]], parts: Sequence[Span]) -> str:
    trials = sum(map(len, rows.values()))
    worked = sum(end - start for start, end in parts)
    text = f"{counted(trials, 'trial')} of {counted(len(rows), 'worker')} in {duration(worked)}"
    if len(parts) > 1:
        text += f", in {len(parts)} sittings with pauses between them"
    busiest = max(rows, key=lambda worker: len(rows[worker]))
    return f"{text}; {_name(busiest)} carried out {counted(len(rows[busiest]), 'trial')}"
