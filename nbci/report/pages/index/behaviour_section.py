"""How the run's model behaves differently from the baseline's: cases, slices, examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.behaviour.wording import (
    CHANCE,
    chance,
    interval_text,
    metric_sentence,
    number_of,
    outcome_sentence,
    signed,
    slice_name,
)
from nbci.formatting.numbers import and_more, counted
from nbci.formatting.text import short_line
from nbci.report.html.markup import Markup, element, fold, fragment, table
from nbci.report.html.page import section

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nbci.behaviour.difference import Confusion, Difference, Example, MetricChange
    from nbci.behaviour.of_runs import StepBehaviour
    from nbci.behaviour.slices import SliceChange

_SLICES_SHOWN = 10
_LONGEST = 200
_MOST_CLASSES = 15
"""A confusion matrix of more classes is wider than the page."""


def behaviour_section(behaviours: Sequence[StepBehaviour]) -> Markup | None:
    """A part for each step that declares predictions; None where none does."""
    if not behaviours:
        return None
    parts: list[Markup] = []
    for behaviour in behaviours:
        if len(behaviours) > 1:
            parts.append(element("h3", behaviour.step))
        parts.extend(_step_parts(behaviour))
    return section("How it behaves", *parts, anchor="behaviour")


def _step_parts(behaviour: StepBehaviour) -> Iterator[Markup]:
    difference = behaviour.difference
    if difference is None:
        text = f"The predictions in {behaviour.path} are not compared: {behaviour.problem}."
        yield element("p", text, class_="note")
        return
    sentences = f"{outcome_sentence(difference)}. {metric_sentence(difference.metrics[0])}."
    yield element("p", sentences)
    yield _metrics(difference.metrics)
    yield from _slices(difference)
    yield from _examples(difference.examples)
    if difference.confusion is not None and len(difference.confusion.classes) <= _MOST_CLASSES:
        yield fold("Confusion of classes", _confusion(difference.confusion))
    if difference.quantiles:
        yield fold("Quantiles of the absolute error", _quantiles(difference))
    for note in difference.notes:
        yield element("p", short_line(note, _LONGEST), class_="note")


def _metrics(changes: Iterable[MetricChange]) -> Markup:
    heads = ("Metric", "Baseline", "This run", "Change", "95 % interval", "Chance")
    rows = []
    for change in changes:
        rows.append(
            (
                f"{change.name} ({change.better} is better)",
                _with_interval(change.baseline, interval_text(change.baseline_interval)),
                _with_interval(change.run, interval_text(change.run_interval)),
                signed(change.change),
                interval_text(change.change_interval),
                chance(change.p_value),
            )
        )
    return table("Metrics over the same cases", heads, rows, is_stacked=True)


def _with_interval(value: float, interval: str) -> Markup:
    return fragment(number_of(value), element("span", interval, class_="under"))


def _slices(difference: Difference) -> Iterator[Markup]:
    slices = difference.slices
    if not slices.compared:
        return
    beyond_chance = [change for change in slices.changes if change.corrected < CHANCE]
    compared = counted(slices.compared, "slice")
    if not beyond_chance:
        yield element("p", f"None of {compared} changed beyond chance.", class_="note")
        return
    yield _slice_table(beyond_chance[:_SLICES_SHOWN])
    more = and_more(len(beyond_chance), _SLICES_SHOWN)
    text = f"Of {compared}, those that changed beyond chance (Holm-corrected){more}."
    yield element("p", text, class_="note")


def _slice_table(changes: Iterable[SliceChange]) -> Markup:
    heads = ("Slice", "Cases", "Baseline", "This run", "Change", "Fixed", "Broken", "Chance")
    rows = []
    for change in changes:
        rows.append(
            (
                short_line(slice_name(change), _LONGEST),
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


def _examples(examples: Sequence[Example]) -> Iterator[Markup]:
    if not examples:
        return
    heads = ("Case", "Label", "Before", "Now", "Confidence", "Shown as")
    shown = table("Broken cases", heads, map(_example_row, examples), is_stacked=True)
    yield fold(f"{counted(len(examples), 'broken case')}, the surest mistakes first", shown)


def _example_row(example: Example) -> tuple[str, ...]:
    confidence = ""
    if example.confidence is not None:
        confidence = number_of(example.confidence)
    return (
        short_line(example.id or f"row {example.row:,}", _LONGEST),
        short_line(example.label, _LONGEST),
        short_line(example.before, _LONGEST),
        short_line(example.prediction, _LONGEST),
        confidence,
        short_line(example.show or "", _LONGEST),
    )


def _confusion(confusion: Confusion) -> Markup:
    """Counts of this run by label and prediction, with the change where there is one."""
    heads = ("Label \\ predicted", *confusion.classes)
    rows = []
    for name, now, then in zip(confusion.classes, confusion.run, confusion.baseline, strict=True):
        cells = [_count_with_change(*counts) for counts in zip(now, then, strict=True)]
        rows.append((name, *cells))
    return table("Confusion", heads, rows)


def _count_with_change(now: int, then: int) -> str:
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
