"""The Pareto front: two objectives against each other, for each pair of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, number
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.panel import (
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
from nbci.report.charts.scale import beyond_note, scale_of_objective
from nbci.report.data.sweep_material import name_text, value_of
from nbci.report.html.markup import element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.charts.panel import Kind
    from nbci.report.charts.scale import NumberScale
    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.sweeps.study_record import TrialRecord

_WIDTH, _HEIGHT, _TOP = 450, 270, 52
_MOST = 6
_ROWS = 30


def pareto_figures(material: SweepMaterial) -> Iterator[Figure]:
    """A picture for each pair of objectives, the first of them where there are many."""
    pairs = itertools.combinations(range(len(material.sweep.objectives)), 2)
    for first, second in itertools.islice(pairs, _MOST):
        pair = (first, second)
        # An infinite value has no place in the plane.
        trials = [
            trial
            for trial in material.complete
            if None not in (value_of(trial, first), value_of(trial, second))
        ]
        if trials:
            yield _figure(material, pair, trials)


def _figure(
    material: SweepMaterial, pair: tuple[int, int], trials: Sequence[TrialRecord]
) -> Figure:
    across, upwards = (_scale(material, at, trials) for at in pair)
    x_name, y_name = (material.sweep.objectives[at].metric for at in pair)
    left = left_of(upwards, most=90)
    panel = Panel(
        left=left,
        top=_TOP,
        width=_WIDTH - left - 16,
        height=_HEIGHT,
        across=across,
        upwards=upwards,
    )
    # The front is that of all objectives, also where two of them are shown.
    front = [trial for trial in material.front if trial in trials]
    line = None
    # Of three objectives, the front of all is no line in the plane of two.
    if len(material.sweep.objectives) == 2:
        points = [panel.place(trial.values[pair[0]], trial.values[pair[1]]) for trial in front]
        line = element("path", d=path_of(sorted(filter(None, points))), class_="line thin")
    words = [(mark("complete", 0, 0), "a trial"), (mark("front", 0, 0), "none is better in all")]
    content = fragment(
        legend(words, left, 12),
        draw_axes(panel, x_name, y_name),
        line,
        draw_marks(_marks(panel, pair, trials, {trial.number for trial in front})),
    )
    height = _TOP + _HEIGHT + 46
    alt = (
        f"{y_name} against {x_name} of {counted(len(trials), 'trial')}; "
        f"{counted(len(front), 'trial')} on the Pareto front"
    )
    return Figure(
        name=f"pareto-{pair[0] + 1}-{pair[1] + 1}",
        title=f"{name_text(y_name)} against {name_text(x_name)}",
        alt=alt,
        path=f"images/pareto-{pair[0] + 1}-{pair[1] + 1}.svg",
        content=picture(content, width=_WIDTH, height=height, title=alt),
        width=_WIDTH,
        height=height,
        note=_note(pair, (across, upwards), trials),
        numbers=_numbers(front, pair, (x_name, y_name)),
    )


def _scale(material: SweepMaterial, at: int, trials: Sequence[TrialRecord]) -> NumberScale:
    values = [trial.values[at] for trial in trials]
    return scale_of_objective(values, material.sweep.objectives[at].direction)


def _note(
    pair: tuple[int, int], scales: tuple[NumberScale, NumberScale], trials: Sequence[TrialRecord]
) -> str | None:
    notes = []
    for at, scale in zip(pair, scales, strict=True):
        notes.append(beyond_note(scale, [trial.values[at] for trial in trials]))
    return " ".join(filter(None, notes)) or None


def _marks(
    panel: Panel, pair: tuple[int, int], trials: Sequence[TrialRecord], front: set[int]
) -> Iterator[Mark]:
    for trial in sorted(trials, key=lambda trial: trial.number in front):
        x_value, y_value = (trial.values[at] for at in pair)
        place = panel.place(x_value, y_value)
        if place is None:
            continue
        kind: Kind = "complete"
        if trial.number in front:
            kind = "front"
        # Both axes may leave out what is far off.
        x = min(max(place[0], panel.left), panel.right)
        if kind == "complete" and (panel.is_beyond(y_value) or x != place[0]):
            kind = "beyond"
        yield Mark(x=x, y=place[1], kind=kind)


def _numbers(
    front: Sequence[TrialRecord], pair: tuple[int, int], names: tuple[str, str]
) -> Numbers:
    rows = []
    for trial in front:
        rows.append((str(trial.number), *(number(trial.values[at]) for at in pair)))
    return Numbers(
        heads=("Trial of the front", *names),
        rows=tuple(rows[:_ROWS]),
        left_out=max(0, len(rows) - _ROWS),
    )
