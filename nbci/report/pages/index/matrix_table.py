"""The steps that a matrix made of one: a row among the steps, and a table of the combinations."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, number
from nbci.formatting.sizes import size
from nbci.formatting.text import short_line
from nbci.report.data.matrices import axis_values
from nbci.report.html.markup import Markup, element, fold, fragment, table
from nbci.report.html.page import description_paragraphs, step_link, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.report.data.matrices import MatrixSteps
    from nbci.report.data.view import ShownStep

_UNFOLDED = 24
# A matrix may have 10,000 combinations, each of which has a page of its own.
_MOST = 500
# More columns than these are wider than a screen.
_METRICS = 4
_VALUE_LENGTH = 60
_WHY_LENGTH = 200
_WORST_FIRST = ("failed", "interrupted", "running", "waiting", "skipped")


def matrix_row(matrix: MatrixSteps) -> tuple[str, ...]:
    """All combinations as one row of the table of steps."""
    link = element("a", matrix.title, href=f"#{matrix.anchor}")
    under = element("span", _what(matrix), class_="under")
    ran = [step for step in matrix.steps if step.record.result not in ("reused", "skipped")]
    took = ""
    if ran:
        took = duration(sum(step.record.seconds or 0.0 for step in ran))
    attempts = ""
    repeated = [step for step in matrix.steps if len(step.record.attempts) > 1]
    if repeated:
        attempts = f"{len(repeated):,} repeated"
    return (
        fragment(link, under),
        _results(matrix.steps),
        took,
        attempts,
        size(max(map(_peak_memory, matrix.steps)) or None),
        "",
        "",
    )


def _what(matrix: MatrixSteps) -> str:
    axes = ", ".join(map(short_line, matrix.axes))
    return f"{counted(len(matrix.steps), 'combination')} of {axes}"


def _results(steps: Iterable[ShownStep]) -> Markup:
    """How many steps have which result, the worst first."""
    counts = Counter(step.word for step in steps)
    parts: list[str] = []
    for word in dict.fromkeys((*_WORST_FIRST, *counts)):
        if counts[word]:
            parts += (element("br"), verdict(word), f" \N{MULTIPLICATION SIGN} {counts[word]:,}")
    return fragment(*parts[1:])


def _peak_memory(step: ShownStep) -> int:
    if step.record.usage is None:
        return 0
    return step.record.usage.peak_memory_bytes or 0


def matrix_table(matrix: MatrixSteps) -> Markup:
    """Each combination with its values on the axes, its result and its first metrics."""
    metrics = _metric_names(matrix.steps)
    heads = ("Step", *matrix.axes, "Result", "Took", *metrics, "Why")
    rows = [_row(step, matrix.axes, metrics) for step in _worst_first(matrix.steps)[:_MOST]]
    caption = f"Combinations of {matrix.title}"
    shown = table(caption, heads, rows, class_="steps", is_stacked=True)
    description = description_paragraphs(matrix.steps[0].description)
    title = f"{matrix.title}: {_what(matrix)}"
    if len(matrix.steps) > _MOST:
        title += f", the first {_MOST}"
    return element(
        "div",
        fold(title, description, shown, is_open=len(matrix.steps) <= _UNFOLDED),
        id=matrix.anchor,
        class_="matrix",
    )


def _worst_first(steps: Sequence[ShownStep]) -> Sequence[ShownStep]:
    # Where the table is cut, failures are what must not be missing.
    if len(steps) <= _MOST:
        return steps
    return sorted(steps, key=lambda step: step.word not in _WORST_FIRST)


def _metric_names(steps: Iterable[ShownStep]) -> list[str]:
    names: dict[str, None] = {}
    for step in steps:
        names.update(dict.fromkeys(metric.name for metric in step.record.metrics))
    return list(names)[:_METRICS]


def _row(step: ShownStep, axes: Sequence[str], metrics: Iterable[str]) -> tuple[str, ...]:
    record = step.record
    values = {metric.name: number(metric.value) for metric in record.metrics}
    return (
        step_link(step),
        *(element("code", short_line(text, _VALUE_LENGTH)) for text in axis_values(step, axes)),
        verdict(step.word),
        duration(record.seconds),
        *(values.get(name, "") for name in metrics),
        short_line(record.reason or "", _WHY_LENGTH),
    )
