"""How the run's model behaves differently from the baseline's: cases, slices, examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.behaviour.wording import (
    CHANCE,
    chance,
    interval_text,
    number_of,
    outcome_sentence,
    slice_name,
)
from nbci.formatting.numbers import ABSENT, counted, signed
from nbci.formatting.text import short_line
from nbci.report.html.markup import Markup, element, fold, fragment, table
from nbci.report.html.page import section
from nbci.report.pages.index.examples import Thumbnails, examples_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.behaviour.difference import Calibration, Confusion, Difference, MetricChange
    from nbci.behaviour.of_runs import StepBehaviour
    from nbci.behaviour.predictions import Task
    from nbci.behaviour.significance import Interval
    from nbci.behaviour.slices import SliceChange
    from nbci.report.data.material import ShownRun

_SLICES_SHOWN = 10
_TESTS: dict[Task, str] = {
    "classification": "McNemar's exact test",
    "regression": "a paired t-test",
}
_LONGEST = 300
_MOST_CLASSES = 15
"""A confusion matrix of more classes is wider than the page."""


def behaviour_section(
    behaviours: Sequence[StepBehaviour], run: ShownRun
) -> tuple[Markup | None, dict[str, bytes]]:
    """A part for each step that declares predictions, and the files of the pictures in it."""
    if not behaviours:
        return None, {}
    pictures = Thumbnails(run)
    parts: list[Markup] = []
    for behaviour in behaviours:
        if len(behaviours) > 1:
            parts.append(element("h3", behaviour.step))
        parts.extend(_step_parts(behaviour, pictures))
    return section("How it behaves", *parts, anchor="behaviour"), pictures.album.files


def _step_parts(behaviour: StepBehaviour, pictures: Thumbnails) -> Iterator[Markup]:
    difference = behaviour.difference
    if difference is None:
        problem = short_line(str(behaviour.problem), _LONGEST)
        text = f"The predictions in {behaviour.path} are not compared: {problem}."
        yield element("p", text, class_="note")
        return
    yield element("p", outcome_sentence(difference))
    if behaviour.on_same_data:
        text = "The baseline's model was measured again: both predicted on the data of this run."
        yield element("p", text, class_="note")
    yield _metrics(difference)
    test = _TESTS[difference.task]
    yield element("p", f"Ranges are intervals of 95 %, p is of {test}.", class_="note")
    yield from _slices(difference)
    yield from examples_part(difference, behaviour.step, pictures)
    if difference.confusion is not None and len(difference.confusion.classes) <= _MOST_CLASSES:
        yield fold("Confusion of classes", _confusion(difference.confusion))
    if difference.quantiles:
        yield fold("Quantiles of the absolute error", _quantiles(difference))
    for note in difference.notes:
        yield element("p", short_line(note, _LONGEST), class_="note")


def _metrics(difference: Difference) -> Markup:
    heads = ("Metric", "Baseline", "This run", "Change", "Chance?")
    rows = list(map(_metric_row, difference.metrics))
    if difference.calibration is not None:
        rows.append(_calibration_row(difference.calibration))
    return table("Metrics over the same cases", heads, rows, is_stacked=True)


def _metric_row(change: MetricChange) -> tuple[str, ...]:
    return (
        _with_direction(change.name, change.better),
        _with_interval(number_of(change.baseline), change.baseline_interval),
        _with_interval(number_of(change.run), change.run_interval),
        _with_interval(signed(change.change), change.change_interval),
        chance(change.p_value),
    )


def _with_direction(name: str, better: str) -> Markup:
    return fragment(name, element("span", f"{better} is better", class_="under"))


def _with_interval(value: str, interval: Interval) -> Markup:
    return fragment(value, element("span", interval_text(interval), class_="under"))


def _calibration_row(calibration: Calibration) -> tuple[str, ...]:
    change = ""
    if calibration.run is not None and calibration.baseline is not None:
        change = signed(calibration.run - calibration.baseline)
    return (
        _with_direction("expected calibration error", "lower"),
        _number_or_dash(calibration.baseline),
        _number_or_dash(calibration.run),
        change,
        "",
    )


def _number_or_dash(value: float | None) -> str:
    if value is None:
        return ABSENT
    return number_of(value)


def _slices(difference: Difference) -> Iterator[Markup]:
    slices = difference.slices
    if not slices.compared:
        return
    beyond_chance = [change for change in slices.changes if change.corrected < CHANCE]
    compared = counted(slices.compared, "slice")
    if not beyond_chance:
        yield element("p", f"None of {compared} changed beyond chance.", class_="note")
        return
    text = f"{len(beyond_chance):,} of {compared} changed beyond chance (Holm-corrected)"
    if len(beyond_chance) > _SLICES_SHOWN:
        text += f", of which the first {_SLICES_SHOWN} are here"
    yield element("p", text, class_="part")
    yield _slice_table(beyond_chance[:_SLICES_SHOWN])


def _slice_table(changes: Iterable[SliceChange]) -> Markup:
    heads = ("Slice", "Cases", "Baseline", "This run", "Change", "Fixed", "Broken", "Chance?")
    rows = []
    for change in changes:
        rows.append(
            (
                slice_name(change),
                f"{change.cases:,}",
                number_of(change.baseline),
                number_of(change.run),
                signed(change.change),
                _count(change.fixed),
                _count(change.broken),
                chance(change.corrected),
            )
        )
    return table("Slices", heads, rows, is_stacked=True)


def _count(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count:,}"


def _confusion(confusion: Confusion) -> Markup:
    """Counts of this run by label and prediction, with the change where there is one."""
    names = list(map(short_line, confusion.classes))
    heads = ("Label \\ predicted", *names)
    rows = []
    for name, now, then in zip(names, confusion.run, confusion.baseline, strict=True):
        cells = [_count_with_change(*counts) for counts in zip(now, then, strict=True)]
        rows.append((name, *cells))
    return table("Confusion", heads, rows)


def _count_with_change(now: int, then: int) -> str:
    # Most pairs of classes are never taken for each other: zeros would hide those that are.
    if not now and not then:
        return "·"
    if now == then:
        return f"{now:,}"
    return f"{now:,} ({signed(now - then)})"


def _quantiles(difference: Difference) -> Markup:
    heads = ("Share of cases", "Baseline", "This run", "Change of a case")
    rows = []
    for quantile in difference.quantiles:
        rows.append(
            (
                f"{100 * quantile.share:g} %",
                number_of(quantile.baseline),
                number_of(quantile.run),
                signed(quantile.change),
            )
        )
    return table("Quantiles", heads, rows)
