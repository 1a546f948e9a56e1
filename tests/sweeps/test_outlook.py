from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.cli.outlook_text import outlook_document, render_outlook
from nbci.pipeline.early_stopping import Pruning
from nbci.pipeline.search_space import Choices, Range
from nbci.records.run_record import ParameterValue
from nbci.sweeps.outlook import (
    Outlook,
    StepOutlook,
    count_points,
    differing_points,
    times_of,
)
from nbci.sweeps.space import is_searched
from tests.sweeps.test_standing import sweep

if TYPE_CHECKING:
    from nbci.sweeps.study_record import SweepRecord

C = Choices(name="c", values=(1, 10, 100))
KERNEL = Choices(name="kernel", values=("linear", "rbf", "poly"))
DEGREE = Range(name="degree", low=2, high=5, when="kernel == 'poly'")
RATE = Range(name="rate", low=0.1, high=1.0)
OWN = (
    ParameterValue(name="c", value=1, source="p.yaml"),
    ParameterValue(name="kernel", value="linear", source="p.yaml"),
    ParameterValue(name="degree", value=3, source="p.yaml"),
    ParameterValue(name="rate", value=0.5, source="p.yaml"),
)
GRID: SweepRecord = sweep(space=(C, KERNEL, DEGREE), method="grid", params=OWN, parallel=2)


def step(name: str, *params: str, **fields: Any) -> StepOutlook:
    known: dict[str, Any] = {"times": 1, "looked_at": 1, "standing": 0, "seconds": 2.0}
    return StepOutlook(name=name, params=params, **{**known, **fields})


def test_points_are_counted_where_conditions_hold() -> None:
    assert count_points(GRID.space, GRID.own_values) == 3 * (1 + 1 + 4)
    assert count_points((*GRID.space, RATE), GRID.own_values) is None
    large = tuple(Range(name=f"n{at}", low=0, high=99) for at in range(3))
    assert count_points(large, {}) is None


def test_two_points_differ_in_one_parameter_and_what_it_decides() -> None:
    own = GRID.own_values
    found = {name: (one, other) for name, one, other in differing_points(GRID.space, own)}
    assert [*found] == ["c", "kernel", "degree"]
    for name, points in found.items():
        one, other = points
        assert one[name] != other[name]
        assert {each for each in one.keys() & other.keys() if one[each] != other[each]} == {name}
        for point in points:
            assert ("degree" in point) == is_searched(DEGREE, own, point)
    # Of a parameter with one value, or a condition that never holds, there are no two points.
    never = Choices(name="rate", values=(0.1, 0.2), when="kernel == 'none'")
    space = (Choices(name="c", values=(1,)), KERNEL, never)
    assert [name for name, *_ in differing_points(space, own)] == ["kernel"]


@pytest.mark.parametrize(
    ("params", "times"),
    [((), 1), (("c",), 3), (("kernel",), 3), (("degree",), 5), (("c", "kernel", "degree"), 18)],
)
def test_a_step_runs_once_for_each_combination_that_it_depends_on(
    params: tuple[str, ...], times: int
) -> None:
    assert times_of(GRID, params, 18, 18) == times
    assert times_of(GRID, params, 18, 2) == min(times, 2)


def test_of_infinitely_many_values_each_trial_has_its_own() -> None:
    infinite = sweep(space=(C, RATE), params=OWN)
    assert times_of(infinite, ("c",), None, 50) == 3
    assert times_of(infinite, ("c", "rate"), None, 50) == 50
    assert times_of(infinite, ("rate",), None, None) is None


def test_what_is_shared_takes_its_time_once_and_the_rest_is_side_by_side() -> None:
    outlook = Outlook(
        sweep=GRID,
        points=18,
        is_infinite=False,
        trials=18,
        steps=(
            step("load", standing=1),
            step("prepare"),
            step("fit", "c", "kernel", "degree", times=18, looked_at=12, standing=4, seconds=10.0),
        ),
    )
    assert outlook.shared_seconds == 2
    assert outlook.own_seconds == pytest.approx(18 * (8 / 12) * 10 / 2)
    lines = render_outlook(outlook).splitlines()
    assert lines[1] == "18 points, all of them are tried, 2 at once"
    assert [line.split() for line in lines[4:7]] == [
        ["load", "once", "yes", "2.0", "s"],
        ["prepare", "once", "no", "2.0", "s"],
        ["fit", "18", "times", "c,", "kernel,", "degree", "4", "of", "12", "10.0", "s"],
    ]
    assert lines[8].startswith("about 1 min 02 s: 2.0 s for what all trials share, 1 min 00 s")
    stopped = replace(outlook, sweep=replace(GRID, prune=Pruning(on="loss")))
    assert "\nat most about 1 min 02 s: " in render_outlook(stopped)
    assert outlook_document(outlook)["seconds"] == pytest.approx(62)


def test_what_nothing_says_is_said_to_be_unknown() -> None:
    infinite = sweep(space=(RATE,), params=OWN, trials=50, minutes=10.0, no_better_in=5)
    fit = step("fit", "rate", times=50, looked_at=0, seconds=None)
    outlook = Outlook(
        sweep=infinite, points=None, is_infinite=True, trials=50, steps=(fit,), never=("c",)
    )
    text = render_outlook(outlook)
    assert (
        "infinitely many points, 50 of them are tried, one after another, none begins after "
        "10 min, it ends once 5 were no better" in text
    )
    assert "how long it takes is not known: no earlier run here has fit" in text
    assert "warning: which steps depend on c is not known" in text
    assert outlook.seconds is None
    timed = replace(outlook, trials=None, steps=(replace(fit, times=None, seconds=1.0),))
    assert "is not known: its number of trials is not" in render_outlook(timed)
    # Its minutes limit it, however long a step takes.
    known = replace(outlook, steps=(replace(fit, seconds=60.0),))
    assert known.seconds == 600
