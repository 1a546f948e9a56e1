"""Slices: an objective against one parameter, all others as they were."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import counted, number
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.panel import (
    SMALL,
    Mark,
    Panel,
    draw_axes,
    draw_marks,
    left_of,
    picture,
)
from nbci.report.charts.scale import (
    CategoryScale,
    beyond_note,
    scale_of,
    scale_of_objective,
)
from nbci.report.data.sweep_material import by_importance, name_text, value_of, value_text
from nbci.report.html.markup import fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.pipeline.search_space import Dimension
    from nbci.report.charts.panel import Kind
    from nbci.report.charts.scale import Scale
    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.sweeps.study_record import Objective, TrialRecord

_HEIGHT = 150
_TOP = 26
_STRIP = 16
_PARTS = 4
_ROWS = 30
_WITHOUT_VALUE: tuple[Kind, ...] = ("pruned", "failed")


def slice_figures(material: SweepMaterial) -> Iterator[Figure]:
    """A picture for each objective and parameter; none where there is nothing to compare."""
    dimensions = by_importance(material)
    for at, objective in enumerate(material.sweep.objectives):
        for place, dimension in enumerate(dimensions):
            trials = [trial for trial in material.trials if dimension.name in trial.params]
            known = [trial for trial in trials if value_of(trial, at) is not None]
            # A point says nothing of where it would be with another value.
            if len({value_text(trial.params[dimension.name]) for trial in known}) < 2:
                continue
            yield _figure(material, (at, objective), (place, dimension), trials)


def _figure(
    material: SweepMaterial,
    objective: tuple[int, Objective],
    dimension: tuple[int, Dimension],
    trials: Sequence[TrialRecord],
) -> Figure:
    (at, goal), (place, searched) = objective, dimension
    across = scale_of(searched, [trial.params[searched.name] for trial in trials])
    # The same axis in all slices of an objective, so that they can be compared.
    every = [value for trial in material.trials if (value := value_of(trial, at)) is not None]
    upwards = scale_of_objective(every, goal.direction)
    left = left_of(upwards, most=60)
    panel = Panel(
        left=left,
        top=_TOP,
        width=SMALL - left - 10,
        height=_HEIGHT,
        across=across,
        upwards=upwards,
    )
    states = {trial.state for trial in trials}
    strips = [state for state in _WITHOUT_VALUE if state in states]
    below = _STRIP * len(strips)
    content = fragment(
        draw_axes(panel, searched.name, goal.metric, below=below),
        draw_marks(_marks(material, searched.name, trials, at, panel)),
        draw_marks(_marks_without_value(searched.name, trials, strips, panel)),
    )
    height = _TOP + _HEIGHT + below + 44
    numbers = _numbers(searched, across, trials, (at, goal))
    alt = _description(searched, goal, numbers, len(trials))
    shown = [value for trial in trials if (value := value_of(trial, at)) is not None]
    return Figure(
        name=f"slice-{at + 1}-{place + 1}",
        title=f"{name_text(goal.metric)} against {name_text(searched.name)}",
        alt=alt,
        path=f"images/slice-{at + 1}-{place + 1}.svg",
        content=picture(content, width=SMALL, height=height, title=alt),
        width=SMALL,
        height=height,
        numbers=numbers,
        note=beyond_note(upwards, shown),
    )


def _marks(
    material: SweepMaterial, name: str, trials: Sequence[TrialRecord], at: int, panel: Panel
) -> Iterator[Mark]:
    front = {trial.number for trial in material.front}
    best_kind: Kind = "best" if len(material.sweep.objectives) == 1 else "front"
    # The best ones last, in front of what lies around them.
    for trial in sorted(trials, key=lambda trial: trial.number in front):
        value = value_of(trial, at)
        if value is None:
            continue
        place = panel.place(trial.params[name], value)
        if place is None:
            continue
        kind: Kind = "complete"
        if trial.number in front:
            kind = best_kind
        elif panel.is_beyond(value):
            kind = "beyond"
        yield Mark(x=place[0], y=place[1], kind=kind)


def _marks_without_value(
    name: str, trials: Sequence[TrialRecord], strips: Sequence[Kind], panel: Panel
) -> Iterator[Mark]:
    for row, state in enumerate(strips):
        for trial in trials:
            x = panel.x(trial.params[name])
            if trial.state == state and x is not None:
                yield Mark(x=x, y=panel.bottom + _STRIP * row + 9, kind=state)


def _numbers(
    dimension: Dimension,
    scale: Scale,
    trials: Sequence[TrialRecord],
    objective: tuple[int, Objective],
) -> Numbers:
    """How the objective is in each part of the parameter's range."""
    at, goal = objective
    best = max if goal.direction == "maximize" else min
    rows = []
    for words, members in _parts(dimension, scale, trials):
        known = [value for trial in members if (value := value_of(trial, at)) is not None]
        # Of parts in which all trials failed there is no best.
        cells = ("", "") if not known else (number(best(known)), number(median(known)))
        without = len(members) - len(known)
        rows.append((words, str(len(members)), *cells, str(without) if without else ""))
    return Numbers(
        heads=(dimension.name, "Trials", "Best", "Median", "Without value"),
        rows=tuple(rows[:_ROWS]),
        left_out=max(0, len(rows) - _ROWS),
    )


def _parts(
    dimension: Dimension, scale: Scale, trials: Sequence[TrialRecord]
) -> Iterator[tuple[str, Sequence[TrialRecord]]]:
    """The trials by the parameter's value; of a range, by parts with as many trials each."""
    name = dimension.name
    if isinstance(scale, CategoryScale):
        by_value: dict[str, list[TrialRecord]] = {}
        for value in scale.values:
            by_value[value_text(value)] = []
        for trial in trials:
            by_value[value_text(trial.params[name])].append(trial)
        yield from ((words, members) for words, members in by_value.items() if members)
        return
    # By count, not by width: there is something to say of each part.
    ordered = sorted(trials, key=lambda trial: _sortable(trial.params[name]))
    count = len(ordered)
    for part in range(_PARTS):
        members = ordered[part * count // _PARTS : (part + 1) * count // _PARTS]
        if members:
            ends = (members[0].params[name], members[-1].params[name])
            yield " to ".join(dict.fromkeys(map(value_text, ends))), members


def _sortable(value: Any) -> float:
    # A value of another type may come from a study that was seeded.
    return float(value) if isinstance(value, int | float) else 0.0


def _description(dimension: Dimension, goal: Objective, numbers: Numbers, trials: int) -> str:
    text = f"{goal.metric} against {dimension.name} in {counted(trials, 'trial')}"
    bests = []
    for row in numbers.rows[:_PARTS]:
        if row[2]:
            bests.append(f"{row[0]}: {row[2]}")
    if bests:
        text += f"; best by value: {'; '.join(bests)}"
    return text
