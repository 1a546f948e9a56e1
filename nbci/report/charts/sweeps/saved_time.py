"""Computed and saved time: what the trials computed, and what they had from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.panel import (
    WIDE,
    Panel,
    box,
    draw_axes,
    left_of,
    legend,
    picture,
    text_at,
)
from nbci.report.charts.scale import numbers_of
from nbci.report.charts.svg import text_width
from nbci.report.html.markup import fragment
from nbci.sweeps.saved_time import Time, times_of, total_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.html.markup import Markup
    from nbci.sweeps.study_record import TrialRecord

_PARTS = ("computed", "reused", "equal")
_WORDS = {
    "computed": "computed",
    "reused": "reused",
    "equal": "as an equal trial",
}
_BAR = 34
_HEIGHT = 190


def saved_sentence(total: Time) -> str | None:
    """What was saved, in words; None where no step has run or was reused."""
    if not any(total.steps):
        return None
    whole = duration(total.total)
    steps = counted(total.steps[0], "step")
    text = f"Of {whole} that the trials' steps take, {duration(total.computed)} were computed"
    text += f" ({steps}) and {duration(total.reused + total.equal)} saved: {total.saved_share:.0%}."
    if total.steps[1]:
        text += f" {counted(total.steps[1], 'result')} of steps were reused."
    return text


def saved_figures(trials: Sequence[TrialRecord]) -> Iterator[Figure]:
    """All trials together as one bar, and a bar for each of them; none where nothing took time."""
    times = times_of(trials)
    total = total_of(times)
    # Where all trials failed before a step began, there is no whole to have a share of.
    if total.total <= 0:
        return
    yield _total_figure(total)
    # Of one trial, it would be the first picture again.
    if len(times) > 1:
        yield _trials_figure(times, total)


def _total_figure(total: Time) -> Figure:
    alt = saved_sentence(total) or ""
    content = fragment(_legend(_present(total), 0), *_total_bar(total))
    rows = []
    for part, steps in zip(_PARTS, total.steps, strict=True):
        seconds = getattr(total, part)
        rows.append((_WORDS[part], str(steps), duration(seconds), f"{seconds / total.total:.1%}"))
    return Figure(
        name="saved",
        title="Computed and saved time of all trials",
        alt=alt,
        path="images/saved.svg",
        content=picture(content, width=WIDE, height=_BAR + 34, title=alt),
        width=WIDE,
        height=_BAR + 34,
        numbers=Numbers(heads=("", "Steps", "Time", "Share"), rows=tuple(rows)),
        is_scrolled=True,
    )


def _total_bar(total: Time) -> Iterator[Markup]:
    x, top = 0.0, 28.0
    for part in _PARTS:
        seconds = getattr(total, part)
        width = seconds / total.total * WIDE
        # A part that took no time has no place in the legend either.
        if not width:
            continue
        yield box(x, top, width, _BAR, part)
        words = f"{duration(seconds)} {_WORDS[part]}"
        # What has no room stands in the numbers below.
        if text_width(words, 13) + 16 < width:
            yield text_at(words, x + 10, top + _BAR / 2 + 4.5, kind="on-bar")
        x += width


def _present(total: Time) -> list[str]:
    return [part for part in _PARTS if getattr(total, part) > 0]


def _legend(parts: Sequence[str], left: float) -> Markup:
    return legend([(box(-6, -5, 12, 10, part), _WORDS[part]) for part in parts], left, 12)


def _trials_figure(times: dict[int, Time], total: Time) -> Figure:
    columns = _columns(times)
    upwards = numbers_of([0.0, *(column.total for column, _ in columns)])
    left = left_of(upwards)
    numbers = list(times)
    panel = Panel(
        left=left,
        top=52,
        width=WIDE - left - 12,
        height=_HEIGHT,
        across=numbers_of([numbers[0] - 0.5, numbers[-1] + 0.5], is_whole=True),
        upwards=upwards,
    )
    shown = fragment(
        _legend(_present(total), left),
        draw_axes(panel, "trial", "seconds"),
        *_bars(columns, panel),
    )
    height = panel.bottom + 46
    alt = _description(times)
    note = None
    if len(columns) < len(times):
        note = "There are more trials than columns: each shows the mean of neighbouring ones."
    return Figure(
        name="saved-by-trial",
        title="Computed and saved time, by trial",
        alt=alt,
        path="images/saved-by-trial.svg",
        content=picture(shown, width=WIDE, height=height, title=alt),
        width=WIDE,
        height=round(height),
        note=note,
        is_scrolled=True,
    )


def _columns(times: dict[int, Time]) -> list[tuple[Time, tuple[int, int]]]:
    """The bars, each the mean of some trials, and the first and last number of these."""
    numbers = list(times)
    # A bar needs two pixels to be seen beside the next one.
    every = max(1, -(-len(numbers) // (WIDE // 3)))
    found = []
    for start in range(0, len(numbers), every):
        members = numbers[start : start + every]
        mean = sum((times[number] for number in members), Time())
        count = len(members)
        column = Time(
            computed=mean.computed / count, reused=mean.reused / count, equal=mean.equal / count
        )
        found.append((column, (members[0], members[-1])))
    return found


def _bars(columns: Sequence[tuple[Time, tuple[int, int]]], panel: Panel) -> Iterator[Markup]:
    for column, (first, last) in columns:
        left, right = panel.x(first - 0.5), panel.x(last + 0.5)
        if left is None or right is None:
            continue
        # A gap between bars, as long as they are wide enough for one.
        gap = min(2.0, (right - left) / 4)
        # The bar of a single trial would be a wall.
        width = min(right - left - gap, 40.0)
        x = (left + right - width) / 2
        level = 0.0
        for part in _PARTS:
            seconds = getattr(column, part)
            low, high = panel.y(level), panel.y(level + seconds)
            if seconds > 0 and low is not None and high is not None:
                yield box(x, high, width, low - high, part)
            level += seconds


def _description(times: dict[int, Time]) -> str:
    slowest = max(times, key=lambda number: times[number].computed)
    least = min(times, key=lambda number: times[number].computed)
    return (
        f"Computed and saved time of {counted(len(times), 'trial')}: most was computed in trial "
        f"{slowest}, {duration(times[slowest].computed)}; least in trial {least}, "
        f"{duration(times[least].computed)}. The table of trials has all numbers."
    )
