"""An objective over two parameters: contours where trials lie close enough, else points alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import counted, number
from nbci.report.charts.figure import Figure
from nbci.report.charts.panel import (
    Mark,
    Panel,
    box,
    draw_axes,
    draw_marks,
    left_of,
    level_legend,
    picture,
)
from nbci.report.charts.scale import NumberScale, scale_of
from nbci.report.charts.sweeps.shades import Shades, level_of
from nbci.report.data.sweep_material import by_importance, name_text, value_of, value_text
from nbci.report.html.markup import element, fragment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.pipeline.search_space import Dimension
    from nbci.report.charts.panel import Kind
    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.report.html.markup import Markup
    from nbci.sweeps.study_record import Objective, TrialRecord

_WIDTH, _HEIGHT, _TOP = 450, 270, 50
_COLUMNS, _ROWS = 24, 18
"""Of the grid on which ranks are estimated."""
_FEWEST = 3
_FEWEST_FOR_CONTOURS = 20
_FINE = 4
"""Pixels of the squares that contours are painted with."""
_NEAR = 0.2
"""Of a side: farther from all trials, nothing is said."""
_Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two parameters, and the trials that have both and a value of the objective `at`."""

    at: int
    objective: Objective
    across: Dimension
    upwards: Dimension
    trials: Sequence[TrialRecord]

    @property
    def shades(self) -> Shades:
        """How good the trials are among each other."""
        return Shades([trial.values[self.at] for trial in self.trials], self.objective.direction)

    def values(self, dimension: Dimension) -> Sequence[Any]:
        """The values of one of the two."""
        return [trial.params[dimension.name] for trial in self.trials]


def pair_figures(material: SweepMaterial) -> Iterator[Figure]:
    """A picture an objective, over the two parameters that matter most among those that vary."""
    for at in range(len(material.sweep.objectives)):
        pair = _find_pair(material, at)
        if pair is not None:
            yield _figure(pair, material.front)


def _find_pair(material: SweepMaterial, at: int) -> _Pair | None:
    known = [trial for trial in material.complete if value_of(trial, at) is not None]
    varied = [each for each in by_importance(material) if _is_varied(each, known)]
    # Two parameters may never be searched together: each has its own condition.
    for second in varied[1:]:
        names = {varied[0].name, second.name}
        both = [trial for trial in known if names <= trial.params.keys()]
        if len(both) >= _FEWEST:
            return _Pair(
                at=at,
                objective=material.sweep.objectives[at],
                across=varied[0],
                upwards=second,
                trials=both,
            )
    return None


def _is_varied(dimension: Dimension, trials: Sequence[TrialRecord]) -> bool:
    name = dimension.name
    return len({value_text(trial.params[name]) for trial in trials if name in trial.params}) > 1


def _figure(pair: _Pair, front: Sequence[TrialRecord]) -> Figure:
    names = (pair.across.name, pair.upwards.name)
    across = scale_of(pair.across, pair.values(pair.across))
    upwards = scale_of(pair.upwards, pair.values(pair.upwards))
    left = left_of(upwards, most=90)
    panel = Panel(
        left=left,
        top=_TOP,
        width=_WIDTH - left - 12,
        height=_HEIGHT,
        across=across,
        upwards=upwards,
    )
    # Between categories there is nothing that could be estimated.
    has_contours = len(pair.trials) >= _FEWEST_FOR_CONTOURS
    if not (isinstance(across, NumberScale) and isinstance(upwards, NumberScale)):
        has_contours = False
    cells: Iterable[Markup] = ()
    note = "The shade of a trial says how good it is among all."
    if has_contours:
        cells = _contours(pair, panel)
        note = "Between trials the shade is estimated; where none is near, there is none."
    height = _TOP + _HEIGHT + 46
    alt = _description(pair)
    content = fragment(
        level_legend(pair.shades.ends, left, 12),
        element("g", *cells, shape_rendering="crispEdges"),
        draw_axes(panel, *names),
        draw_marks(_marks(pair, panel, front, is_plain=has_contours)),
    )
    return Figure(
        name=f"pair-{pair.at + 1}",
        title=f"{name_text(pair.objective.metric)} over {' and '.join(map(name_text, names))}",
        alt=alt,
        path=f"images/pair-{pair.at + 1}.svg",
        content=picture(content, width=_WIDTH, height=height, title=alt),
        width=_WIDTH,
        height=height,
        note=note,
    )


def _marks(
    pair: _Pair, panel: Panel, front: Sequence[TrialRecord], *, is_plain: bool
) -> Iterator[Mark]:
    shades = pair.shades
    best = {trial.number for trial in front}
    ordered = sorted(pair.trials, key=lambda trial: shades.rank(trial.values[pair.at]))
    # Of trials at one place, the best one is to be seen.
    for trial in sorted(ordered, key=lambda trial: trial.number in best):
        place = panel.place(trial.params[pair.across.name], trial.params[pair.upwards.name])
        if place is None:
            continue
        if trial.number in best:
            kind: Kind = "best" if len(trial.values) == 1 else "front"
            yield Mark(x=place[0], y=place[1], kind=kind)
        elif is_plain:
            yield Mark(x=place[0], y=place[1], kind="dot")
        else:
            level = shades.level(trial.values[pair.at])
            yield Mark(x=place[0], y=place[1], kind="shade", class_=f"shade f{level}")


# ------------------------------------------------------------------------------------- contours
def _contours(pair: _Pair, panel: Panel) -> Iterator[Markup]:
    """The area in shades, a run of equal squares as one box."""
    ranks = _estimates(_known_ranks(pair, panel))
    for row in range(int(panel.height // _FINE)):
        start, shade = 0, None
        columns = int(panel.width // _FINE)
        for column in range(columns + 1):
            found = None
            if column < columns:
                found = _shade_at(
                    ranks, (column + 0.5) / columns, (row + 0.5) * _FINE / panel.height
                )
            # One box for a run of squares: a tenth of the file.
            if found == shade:
                continue
            if shade is not None:
                x, y = panel.left + start * _FINE, panel.bottom - (row + 1) * _FINE
                yield box(x, y, (column - start) * _FINE, _FINE, f"f{shade}")
            start, shade = column, found


def _known_ranks(pair: _Pair, panel: Panel) -> dict[_Cell, float]:
    """The mean rank of the trials in each cell of the grid."""
    shades = pair.shades
    found: dict[_Cell, list[float]] = {}
    for trial in pair.trials:
        x = panel.across.share(trial.params[pair.across.name])
        y = panel.upwards.share(trial.params[pair.upwards.name])
        if x is None or y is None:
            continue
        cell = (min(int(x * _COLUMNS), _COLUMNS - 1), min(int(y * _ROWS), _ROWS - 1))
        found.setdefault(cell, []).append(shades.rank(trial.values[pair.at]))
    return {cell: sum(ranks) / len(ranks) for cell, ranks in found.items()}


def _estimates(known: Mapping[_Cell, float]) -> dict[_Cell, float]:
    """The rank in each cell that is near a trial: the mean, weighted by nearness."""
    found = {}
    for column in range(_COLUMNS):
        for row in range(_ROWS):
            weights = total = 0.0
            nearest = math.inf
            for (other_column, other_row), rank in known.items():
                across, upwards = (column - other_column) / _COLUMNS, (row - other_row) / _ROWS
                distance = across * across + upwards * upwards
                nearest = min(nearest, distance)
                # The fourth power: far trials have little say, and near ones are smoothed.
                weight = 1 / (distance + 0.0008) ** 2
                weights += weight
                total += weight * rank
            if nearest <= _NEAR * _NEAR:
                found[column, row] = total / weights
    return found


def _shade_at(ranks: Mapping[_Cell, float], x: float, y: float) -> int | None:
    """The shade between the centres of four cells; None where one of them says nothing."""
    column, row = x * _COLUMNS - 0.5, y * _ROWS - 0.5
    left = min(max(math.floor(column), 0), _COLUMNS - 2)
    low = min(max(math.floor(row), 0), _ROWS - 2)
    corners = []
    for cell in ((left, low), (left + 1, low), (left, low + 1), (left + 1, low + 1)):
        if cell not in ranks:
            return None
        corners.append(ranks[cell])
    # At the edges there are two cells, not four: the outer half goes on as it is.
    across, upwards = min(max(column - left, 0), 1), min(max(row - low, 0), 1)
    lower = corners[0] * (1 - across) + corners[1] * across
    upper = corners[2] * (1 - across) + corners[3] * across
    return level_of(lower * (1 - upwards) + upper * upwards)


def _description(pair: _Pair) -> str:
    best = max if pair.objective.direction == "maximize" else min
    found = best(pair.trials, key=lambda trial: trial.values[pair.at])
    parts = []
    for dimension in (pair.across, pair.upwards):
        parts.append(f"{dimension.name} {value_text(found.params[dimension.name])}")
    trials = counted(len(pair.trials), "trial")
    return (
        f"{pair.objective.metric} of {trials} over {pair.across.name} and {pair.upwards.name}: the "
        f"best, {number(found.values[pair.at])}, at {' and '.join(parts)}. The table of trials has "
        "the same numbers."
    )
