"""The history of the best: the trials in their order, and the best value until each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, number
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.panel import (
    WIDE,
    Mark,
    Panel,
    draw_axes,
    draw_marks,
    left_of,
    legend,
    mark,
    path_of,
    picture,
)
from nbci.report.charts.scale import beyond_note, numbers_of, scale_of_objective
from nbci.report.data.sweep_material import name_text, state_of, value_of
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.charts.panel import Kind
    from nbci.report.charts.scale import NumberScale
    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.sweeps.study_record import TrialRecord

_HEIGHT = 230
_STRIP = 18
_TOP = 52
_ROWS = 30
# In the order of their strips below the picture.
_WITHOUT_VALUE: tuple[Kind, ...] = ("pruned", "failed", "running")


def history_figures(material: SweepMaterial) -> Iterator[Figure]:
    """A picture an objective; none for one without any value."""
    for at, objective in enumerate(material.sweep.objectives):
        values = {trial.number: value_of(trial, at) for trial in material.trials}
        known = {number: value for number, value in values.items() if value is not None}
        # Without a value there is no axis on which failed trials could be shown.
        if not known:
            continue
        best = _improvements(known, objective.direction == "maximize")
        alt = _description(material, objective.metric, known, best)
        upwards = scale_of_objective(list(known.values()), objective.direction)
        content, height = _picture(material, objective.metric, known, best, upwards)
        yield Figure(
            name=objective.metric,
            title=f"{name_text(objective.metric)}, best so far",
            alt=alt,
            path=f"images/history-{at + 1}.svg",
            content=picture(content, width=WIDE, height=height, title=alt),
            width=WIDE,
            height=round(height),
            numbers=_numbers(objective.metric, best),
            note=beyond_note(upwards, known.values()),
            is_scrolled=True,
        )


def _improvements(values: dict[int, float], upwards: bool) -> list[tuple[int, float]]:
    """The trials that were better than all before them, with their values."""
    found: list[tuple[int, float]] = []
    for trial, value in sorted(values.items()):
        # A value as good as the best is no step forward.
        if not found or (value > found[-1][1] if upwards else value < found[-1][1]):
            found.append((trial, value))
    return found


def _description(
    material: SweepMaterial,
    metric: str,
    values: dict[int, float],
    best: Sequence[tuple[int, float]],
) -> str:
    trial, value = best[-1]
    trials = counted(len(values), "trial")
    text = f"{metric} of {trials} with a value: the best is {number(value)}, of trial {trial}"
    if len(best) > 1:
        steps = counted(len(best) - 1, "step")
        text += f", reached in {steps} from {number(best[0][1])} of trial {best[0][0]}"
    for state in ("pruned", "failed", "interrupted", "running"):
        count = sum(state_of(each) == state for each in material.trials)
        if count:
            text += f"; {count:,} {state}"
    return text


def _picture(
    material: SweepMaterial,
    metric: str,
    values: dict[int, float],
    best: Sequence[tuple[int, float]],
    upwards: NumberScale,
) -> tuple[Markup, float]:
    trials = material.trials
    across = numbers_of([trials[0].number, trials[-1].number], room=0.01, is_whole=True)
    left = left_of(upwards)
    states = {trial.state for trial in trials}
    strips = [state for state in _WITHOUT_VALUE if state in states]
    room = _STRIP * len(strips)
    panel = Panel(
        left=left,
        top=_TOP,
        width=WIDE - left - 12,
        height=_HEIGHT,
        across=across,
        upwards=upwards,
    )
    content = fragment(
        _legend(strips, left),
        draw_axes(panel, "trial", metric, below=room),
        *_strip_marks(trials, strips, panel),
        draw_marks(_value_marks(values, panel)),
        # Over the values, under the best one's mark.
        element("path", d=_stairs(best, trials[-1].number, panel), class_="line"),
        draw_marks(_value_marks(dict(best[-1:]), panel, "best")),
    )
    return content, panel.bottom + room + 46


def _value_marks(values: dict[int, float], panel: Panel, kind: Kind = "complete") -> Iterator[Mark]:
    for trial, value in values.items():
        place = panel.place(trial, value)
        if place is not None:
            shown: Kind = "beyond" if panel.is_beyond(value) else kind
            yield Mark(x=place[0], y=place[1], kind=shown)


def _strip_marks(
    trials: Sequence[TrialRecord], strips: Sequence[Kind], panel: Panel
) -> Iterator[Markup]:
    """What has no value, in a strip for each state below the values."""
    for row, state in enumerate(strips):
        # They have no height of their own, and must not look as if they had the worst one.
        y = panel.bottom + _STRIP * row + 10
        marks = []
        for trial in trials:
            x = panel.x(trial.number)
            if trial.state == state and x is not None:
                marks.append(Mark(x=x, y=y, kind=state))
        yield draw_marks(marks)


def _stairs(best: Sequence[tuple[int, float]], last: int, panel: Panel) -> str:
    """The best value until each trial, from the first that has one to the last."""
    points: list[tuple[float, float] | None] = []
    before = None
    for trial, value in best:
        if before is not None:
            points.append(panel.place(trial, before))
        points.append(panel.place(trial, value))
        before = value
    points.append(panel.place(last, before))
    return path_of(points)


def _legend(strips: Sequence[Kind], left: float) -> Markup:
    line = element("path", d="M-6 0L6 0", class_="line")
    entries = [(mark("complete", 0, 0), "a trial's value"), (line, "best so far")]
    entries += [(mark("best", 0, 0), "the best")]
    entries += [(mark(state, 0, 0), f"{state}, without a value") for state in strips]
    return legend(entries, left, 12)


def _numbers(metric: str, best: Sequence[tuple[int, float]]) -> Numbers:
    # The newest first: the last one is the best.
    rows = [(str(trial), number(value)) for trial, value in reversed(best)]
    return Numbers(
        heads=("Trial", f"{metric}, better than all before"),
        rows=tuple(rows[:_ROWS]),
        left_out=max(0, len(rows) - _ROWS),
    )
