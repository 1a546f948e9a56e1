"""Curves of what was seen while trials ran: of those that were pruned, and of complete ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbci.formatting.numbers import counted, number
from nbci.report.charts.figure import Figure, Numbers
from nbci.report.charts.measures import thin_points
from nbci.report.charts.panel import (
    WIDE,
    Panel,
    draw_axes,
    left_of,
    legend,
    mark,
    path_of,
    picture,
)
from nbci.report.charts.scale import numbers_of, scale_of_metric
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.sweeps.study_record import TrialRecord

_HEIGHT, _TOP = 250, 52
_ROWS = 30
_CLASSES = {"pruned": "curve-pruned", "complete": "curve", "running": "curve", "failed": "curve"}


def curve_figures(material: SweepMaterial) -> Iterator[Figure]:
    """The one picture; none where nothing was seen while trials ran."""
    trials = [trial for trial in material.trials if _points(trial)]
    if not trials:
        return
    every = [point for trial in trials for point in _points(trial)]
    # Without fences: where curves begin is far from where they end.
    upwards = scale_of_metric([value for _, value in every])
    steps = [step for step, _ in every]
    # Epochs are whole; what a callback counts may be none.
    is_whole = all(step == round(step) for step in steps)
    left = left_of(upwards)
    panel = Panel(
        left=left,
        top=_TOP,
        width=WIDE - left - 16,
        height=_HEIGHT,
        across=numbers_of(steps, is_whole=is_whole, room=0.01),
        upwards=upwards,
    )
    content = fragment(
        _legend(trials, left),
        draw_axes(panel, *_axis_names(material)),
        *_lines(material, trials, panel),
    )
    height = _TOP + _HEIGHT + 46
    pruned = sum(trial.state == "pruned" for trial in trials)
    alt = f"Curves of {counted(len(trials), 'trial')} while they ran, of which {pruned} were pruned"
    yield Figure(
        name="curves",
        title="Values while trials ran",
        alt=alt,
        path="images/curves.svg",
        content=picture(content, width=WIDE, height=height, title=alt),
        width=WIDE,
        height=height,
        numbers=_numbers(trials),
        is_scrolled=True,
    )


def _axis_names(material: SweepMaterial) -> tuple[str, str]:
    sweep = material.sweep
    # With rungs, the curve has the objective at each of them.
    if sweep.fidelity is not None:
        return sweep.fidelity.param, sweep.objectives[0].metric
    if sweep.prune is not None:
        return "step of training", sweep.prune.on
    return "step of training", "value while it ran"


def _points(trial: TrialRecord) -> Sequence[tuple[float, float]]:
    return [point for point in trial.curve if all(map(math.isfinite, point))]


def _lines(
    material: SweepMaterial, trials: Sequence[TrialRecord], panel: Panel
) -> Iterator[Markup]:
    front = {trial.number for trial in material.front}
    # The pruned ones behind the others, the best in front.
    for trial in sorted(trials, key=lambda each: (each.number in front, each.state != "pruned")):
        places = [panel.place(*point) for point in thin_points(_points(trial))]
        class_ = "line" if trial.number in front else _CLASSES[trial.state]
        yield element("path", d=path_of(places), class_=class_)
        last = places[-1]
        # Where a curve ends is what pruning is about.
        if trial.state == "pruned" and last is not None:
            yield mark("pruned", *last)


def _legend(trials: Sequence[TrialRecord], left: float) -> Markup:
    states = {trial.state for trial in trials}
    entries = [(element("path", d="M-6 0L6 0", class_="line"), "the best")]
    if states - {"pruned"}:
        entries.append((element("path", d="M-6 0L6 0", class_="curve"), "others"))
    if "pruned" in states:
        entries.append((mark("pruned", 0, 0), "pruned there"))
    return legend(entries, left, 12)


def _numbers(trials: Sequence[TrialRecord]) -> Numbers:
    rows = []
    for trial in trials:
        points = _points(trial)
        step, value = points[-1]
        rows.append((str(trial.number), trial.state, number(step), number(value)))
    return Numbers(
        heads=("Trial", "State", "Last step", "Last value"),
        rows=tuple(rows[:_ROWS]),
        left_out=max(0, len(rows) - _ROWS),
    )
