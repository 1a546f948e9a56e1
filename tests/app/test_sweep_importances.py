"""How much parameters mattered, by Optuna's own algorithms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nbci.app.sweeps import importances
from nbci.app.sweeps.importances import FEWEST_TRIALS, find_importances
from nbci.pipeline.search_space import Choices, Range
from nbci.sweeps.study_record import Objective
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from nbci.sweeps.study_record import TrialRecord

SPACE = (
    Range(name="much", low=0.0, high=1.0),
    Range(name="little", low=1, high=9),
    Choices(name="kind", values=("a", None)),
    Range(name="inner", low=0.1, high=10.0, log=True, when="kind == 'a'"),
)
RECORD = sweep(space=SPACE)


def points(count: int) -> list[TrialRecord]:
    found = []
    for number in range(count):
        params: dict[str, Any] = {
            "much": number * 0.37 % 1,
            "little": number % 9 + 1,
            "kind": "a" if number % 2 else None,
        }
        value = (params["much"] - 0.3) ** 2 + params["little"] / 1000
        if params["kind"] == "a":
            params["inner"] = 0.1 + number % 7
        found.append(trial(number, value, params=params))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("count", [24, 200])
def test_what_matters_comes_first_and_conditions_are_minded(count: int) -> None:
    (found,) = find_importances(RECORD, points(count))
    shares = {each.parameter: each for each in found.shares}
    assert found.shares[0].parameter == "much"
    assert shares["much"].share > 0.5
    assert (shares["much"].trials, shares["inner"].trials) == (count, count // 2)
    assert found.note is not None
    assert "inner" in found.note
    assert found.method == ("fANOVA" if count == 24 else "PED-ANOVA")


def test_the_direction_of_an_objective_does_not_turn_them() -> None:
    upwards = sweep(space=SPACE, objectives=(Objective(metric="loss", direction="maximize"),))
    turned = []
    for each in points(200):
        turned.append(trial(each.number, -each.values[0], params=each.params))
    assert find_importances(upwards, turned) == find_importances(RECORD, points(200))


def test_many_choices_are_not_asked_of_trees() -> None:
    """With a hundred of them, fANOVA would go on for ever."""
    record = sweep(space=(Choices(name="k", values=tuple(map(str, range(100)))),))
    trials = [trial(at, at % 7 / 7, params={"k": str(at % 100)}) for at in range(120)]
    (found,) = find_importances(record, trials)
    assert found.method == "PED-ANOVA"


@pytest.mark.parametrize(
    ("trials", "problem"),
    [
        ([], f"need {FEWEST_TRIALS} different trials with a value; there are 0"),
        ([trial(at, 1.0, params={"much": 0.5}) for at in range(9)], "no parameter has two values"),
        ([trial(at, 1.0, params={"much": at / 9}) for at in range(9)], "have the same value"),
        ([trial(at, 1.0, params={"much": at / 9}, same_as=0) for at in range(9)], "there are 0"),
        ([trial(at, float(at), params={"much": at * 1e200}) for at in range(9)], "cannot tell"),
    ],
)
def test_where_there_are_none_it_says_why(trials: list[TrialRecord], problem: str) -> None:
    (found,) = find_importances(RECORD, trials)
    assert found.shares == ()
    assert problem in (found.problem or "")


def test_without_optuna_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importances, "find_spec", lambda _name: None)
    (found,) = find_importances(RECORD, points(24))
    assert "pip install 'nbci[sweep]'" in (found.problem or "")
