"""Parallel coordinates: a line for each trial, through its parameters to its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nbci.formatting.numbers import counted
from nbci.report.charts.figure import Figure
from nbci.report.charts.panel import (
    WIDE,
    cut_to,
    level_legend,
    path_of,
    picture,
    rule,
    spaced,
    text_at,
)
from nbci.report.charts.scale import scale_of, scale_of_objective
from nbci.report.charts.sweeps.shades import Shades
from nbci.report.data.sweep_material import by_importance, value_of
from nbci.report.html.markup import Markup, element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.charts.scale import Scale
    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.sweeps.study_record import TrialRecord

_MOST_AXES = 10
_TOP, _HEIGHT = 62.0, 240.0
_LEFT, _RIGHT = 12.0, 96.0
_ABSENT = 22.0
"""Pixels below an axis where those trials pass that do not have the parameter."""
_CROWDED = 1000


class _Upright(NamedTuple):
    """An axis of the picture; `place` is the index of an objective, None for a parameter."""

    name: str
    scale: Scale
    objective: int | None = None

    def y(self, trial: TrialRecord) -> float | None:
        """Where the trial's line crosses it; None for a value that has no place."""
        value: Any = trial.params.get(self.name)
        if self.objective is not None:
            value = value_of(trial, self.objective)
        elif self.name not in trial.params:
            return _TOP + _HEIGHT + _ABSENT
        share = self.scale.share(value)
        if share is None:
            return None
        return _TOP + _HEIGHT * (1 - min(max(share, 0.0), 1.0))


def parallel_figures(material: SweepMaterial) -> Iterator[Figure]:
    """The one picture; none where fewer than two trials have values to compare."""
    trials = [trial for trial in material.complete if value_of(trial, 0) is not None]
    dimensions = by_importance(material)
    # One line has nothing to run beside.
    if len(trials) < 2 or not dimensions:
        return
    axes = []
    for dimension in dimensions[:_MOST_AXES]:
        values = [
            trial.params[dimension.name] for trial in trials if dimension.name in trial.params
        ]
        axes.append(_Upright(dimension.name, scale_of(dimension, values)))
    for at, objective in enumerate(material.sweep.objectives):
        found = [value for trial in trials if (value := value_of(trial, at)) is not None]
        scale = scale_of_objective(found, objective.direction)
        axes.append(_Upright(objective.metric, scale, at))
    content = _picture(material, trials, axes)
    height = round(_TOP + _HEIGHT + _ABSENT + 26)
    alt = _description(material, axes, len(trials))
    yield Figure(
        name="parallel",
        title="A line for each trial",
        alt=alt,
        path="images/parallel.svg",
        content=picture(content, width=WIDE, height=height, title=alt),
        width=WIDE,
        height=height,
        note=_note(material, len(dimensions)),
        is_scrolled=True,
    )


def _picture(
    material: SweepMaterial, trials: Sequence[TrialRecord], axes: Sequence[_Upright]
) -> Markup:
    objective = material.sweep.objectives[0]
    known = [trial.values[0] for trial in trials]
    shades = Shades(known, objective.direction)
    # The last axis has its labels at its right, too.
    gap = (WIDE - _LEFT - _RIGHT) / max(len(axes) - 1, 1)
    places = [_LEFT + at * gap for at in range(len(axes))]
    legend = level_legend(shades.ends, _LEFT, 12)
    front = {trial.number for trial in material.front}
    return fragment(
        legend,
        *_lines(trials, axes, places, shades),
        *_best_lines([trial for trial in trials if trial.number in front], axes, places),
        *(_axis(axis, x, gap) for axis, x in zip(axes, places, strict=True)),
        *_absent_words(trials, axes, places),
    )


def _lines(
    trials: Sequence[TrialRecord],
    axes: Sequence[_Upright],
    places: Sequence[float],
    shades: Shades,
) -> Iterator[Markup]:
    """The lines of all trials, the best in front; of those that look alike, one."""
    # Of thousands of lines, those a pixel apart are one line to the eye.
    grain = 2.0 if len(trials) > _CROWDED else 0.5
    seen: dict[tuple[int, ...], tuple[int, str]] = {}
    for trial in sorted(trials, key=lambda trial: shades.rank(trial.values[0])):
        heights = [axis.y(trial) for axis in axes]
        points: list[tuple[float, float] | None] = []
        key = []
        for x, y in zip(places, heights, strict=True):
            points.append(None if y is None else (x, y))
            key.append(-1 if y is None else round(y / grain))
        # A better trial has a shade of its own, and stays visible.
        level = shades.level(trial.values[0])
        seen[level, *key] = (level, path_of(points))
    for level, path in seen.values():
        yield element("path", d=path, class_=f"trial s{level}")


def _best_lines(
    trials: Sequence[TrialRecord], axes: Sequence[_Upright], places: Sequence[float]
) -> Iterator[Markup]:
    for trial in trials:
        points: list[tuple[float, float] | None] = []
        for axis, x in zip(axes, places, strict=True):
            y = axis.y(trial)
            points.append(None if y is None else (x, y))
        yield element("path", d=path_of(points), class_="line")


def _axis(axis: _Upright, x: float, gap: float) -> Markup:
    parts = [rule(x, _TOP, x, _TOP + _HEIGHT, "axis")]
    # The space up to the next axis, for what stands beside and above this one.
    room = min(gap, _RIGHT) - 10
    for share, text in spaced(axis.scale, _HEIGHT, 15):
        y = _TOP + _HEIGHT * (1 - share)
        # Without a stroke at the axis, which would look like a minus.
        parts.append(text_at(cut_to(text, room - 6), x + 6, y + 4, kind="halo"))
    parts.append(text_at(cut_to(axis.name, room), x - 6, _TOP - 14, kind="strong"))
    return fragment(*parts)


def _absent_words(
    trials: Sequence[TrialRecord], axes: Sequence[_Upright], places: Sequence[float]
) -> Iterator[Markup]:
    """What it means that a line passes below an axis, where some do."""
    # Only where some do: elsewhere the words would be a riddle.
    for axis, x in zip(axes, places, strict=True):
        if axis.objective is None and any(axis.name not in trial.params for trial in trials):
            yield text_at("not searched", x + 6, _TOP + _HEIGHT + _ABSENT + 4, kind="halo")


def _note(material: SweepMaterial, count: int) -> str:
    best = "The thick line is the best trial."
    if len(material.front) > 1:
        best = "Thick lines are the trials of the front."
    shade = f"The shade says how good {material.sweep.objectives[0].metric} is among all."
    if count <= _MOST_AXES:
        return f"{best} {shade}"
    which = "first"
    if any(each.shares for each in material.importances):
        which = "most important"
    return f"{best} {shade} The {_MOST_AXES} {which} of {count} parameters are shown."


def _description(material: SweepMaterial, axes: Sequence[_Upright], trials: int) -> str:
    names = ", ".join(axis.name for axis in axes)
    return (
        f"A line for each of {counted(trials, 'trial')} through its values of {names}. "
        "The table of trials has the same numbers."
    )
