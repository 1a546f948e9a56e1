"""What Optuna chooses lies in the space, by every method; and a study outlives its process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.app.sweeps.study import Study
from nbci.app.sweeps.study_backs import JournalBack
from nbci.pipeline.search_space import Choices, Range
from nbci.sweeps.study_record import TrialRecord
from tests.sweeps.test_space import lies_in
from tests.sweeps.test_standing import sweep

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.pipeline.search_space import Method

SPACE = (
    Range(name="a", low=1, high=64, log=True),
    Range(name="b", low=0.1, high=1.0, step=0.2, when="a > 4"),
    Choices(name="c", values=("x", "y")),
    Range(name="d", low=1e-4, high=1.0, log=True, when="c == 'x'"),
)
METHODS: tuple[Method, ...] = ("random", "sobol", "tpe", "cmaes")


def carried_out(number: int, point: dict[str, Any]) -> TrialRecord:
    return TrialRecord(
        number=number, state="complete", params=point, values=(float(point["a"]),), run="r"
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_asked_point_lies_in_the_space(tmp_path: Path, method: Method) -> None:
    record = sweep(space=SPACE, method=method)
    study = Study(JournalBack(tmp_path / "study.log"), record, 0)
    points = []
    for number in range(12):
        asked, point = study.ask()
        assert (asked, lies_in(SPACE, point)) == (number, True), point
        study.tell(carried_out(number, point))
        points.append(point)

    # Resumed, it goes on: it neither begins anew nor asks for the same again.
    again = Study(JournalBack(tmp_path / "study.log"), record, 12)
    number, point = again.ask()
    assert number == 12
    assert point != points[0]


@pytest.mark.slow
def test_a_given_point_is_taken_and_the_same_seed_asks_for_the_same(tmp_path: Path) -> None:
    record = sweep(space=SPACE, method="random")
    given = {"a": 8, "b": 0.3, "c": "y"}
    asked = []
    for name in ("one.log", "two.log"):
        study = Study(JournalBack(tmp_path / name), record, 0)
        assert study.ask(given) == (0, given)
        asked.append([study.ask() for _ in range(5)])
    assert asked[0] == asked[1]


@pytest.mark.slow
def test_trials_that_a_killed_process_left_are_settled(tmp_path: Path) -> None:
    record = sweep(space=SPACE, method="random")
    study = Study(JournalBack(tmp_path / "study.log"), record, 0)
    points = [study.ask()[1] for _ in range(2)]
    known = carried_out(0, points[0])

    again = Study(JournalBack(tmp_path / "study.log"), record, 2)
    again.settle([known, replace(known, number=1, state="failed", error="e", values=())])

    from optuna.trial import TrialState

    trials = again._study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.FAIL]
    assert trials[0].value == points[0]["a"]


@pytest.mark.slow
def test_samplers_know_of_earlier_runs_once(tmp_path: Path) -> None:
    record = sweep(space=SPACE, method="tpe")
    points = [{"a": 2, "c": "y"}, {"a": 8, "b": 0.3, "c": "x", "d": 0.01}]
    earlier = [
        replace(carried_out(number, point), earlier=True) for number, point in enumerate(points)
    ]
    for _ in range(2):
        study = Study(JournalBack(tmp_path / "study.log"), record, 2)
        study.restore(earlier)

    trials = study._study.get_trials()
    assert [trial.params for trial in trials] == points
    assert [trial.values for trial in trials] == [[2.0], [8.0]]
    # What they searched is what is searched now: else samplers would leave them out.
    assert study.ask()[0] == 2
