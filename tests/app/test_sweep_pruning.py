"""Optuna's pruners decide on what is told to them, whichever way the watched metric is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nbci.app.sweeps.study import Study
from nbci.app.sweeps.study_backs import JournalBack
from nbci.pipeline.early_stopping import Pruning
from nbci.pipeline.fidelity import Fidelity
from nbci.sweeps.brackets import bracket_of
from nbci.sweeps.study_record import Objective
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.sweeps.study_record import SweepRecord

pytestmark = pytest.mark.slow

CURVES = ([5, 4, 3], [5, 4, 3], [9, 8, 7], [6, 2, 1])
"""The third is worse than the others."""


def stopped_at(path: Path, record: SweepRecord, curves: Any = CURVES) -> list[int | None]:
    """The step at which each of the trials was stopped, one after another."""
    study = Study(JournalBack(path / "study.log"), record, 0)
    stopped = []
    for curve in curves:
        number, params = study.ask()
        at = None
        for step, value in enumerate(curve, start=1):
            study.report(number, step, value)
            if study.should_stop(number):
                at = step
                break
        state: Any = "complete" if at is None else "pruned"
        values = (1.0,) if at is None else ()
        study.tell(trial(number, params=params, state=state, values=values))
        stopped.append(at)
    return stopped


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"warmup_trials": 2}, [None, None, 1, 1]),
        ({"warmup_trials": 2, "warmup_steps": 2}, [None, None, 2, None]),
        ({"warmup_trials": 9}, [None, None, None, None]),
        ({"by": "percentile", "percentile": 100, "warmup_trials": 1}, [None, None, 1, 1]),
        ({"by": "successive_halving", "eta": 2, "warmup_steps": 2}, [None, None, 2, None]),
    ],
)
def test_the_worse_trials_are_stopped_whatever_the_objective_is(
    tmp_path: Path, goal: Any, options: dict[str, Any], expected: list[int | None]
) -> None:
    """A loss is watched; the objective is a loss, too, or an accuracy."""
    record = sweep(
        objectives=(Objective(metric="m", direction=goal),),
        prune=Pruning(on="loss", direction="minimize", **options),
    )
    assert stopped_at(tmp_path, record) == expected


def test_a_trial_that_does_not_become_better_is_stopped_alone(tmp_path: Path) -> None:
    record = sweep(prune=Pruning(on="loss", by="patient", patience=1, direction="minimize"))
    curves = ([9, 8, 7, 6, 5], [1, 2, 3, 4, 5])
    assert stopped_at(tmp_path, record, curves) == [None, 3]


def test_pruned_trials_are_pruned_in_the_study_and_have_their_values(tmp_path: Path) -> None:
    pruning = Pruning(on="score", warmup_trials=1, direction="maximize")
    record = sweep(prune=pruning)
    assert stopped_at(tmp_path, record, ([5, 6], [4, 9])) == [None, 1]
    study = Study(JournalBack(tmp_path / "study.log"), record, 2)
    # An equal trial has the curve of the first one of its point.
    number, params = study.ask()
    study.tell(trial(number, params=params, state="pruned", same_as=1, curve=((1, 4.0),)))
    # This process is killed before it tells the study; the record is written first.
    number, params = study.ask()
    study.report(number, 1, 3.0)

    again = Study(JournalBack(tmp_path / "study.log"), record, 4)
    again.settle([trial(number, params=params, state="pruned", curve=((1, 3.0),))])

    from optuna.trial import TrialState

    trials = again._study.get_trials()
    assert [each.state for each in trials] == [TrialState.COMPLETE, *(TrialState.PRUNED,) * 3]
    # In the study's direction, which is that of its objective: a loss.
    values = [each.intermediate_values for each in trials]
    assert values == [{1: -5, 2: -6}, {1: -4}, {1: -4}, {1: -3}]


def rungs_reached(path: Path, name: str, seed: int, maximize: bool) -> list[int]:
    """How far each of the trials got whose value is `x`, of which less is better."""
    goal: Any = "maximize" if maximize else "minimize"
    record = sweep(
        sweep=name,
        seed=seed,
        method="hyperband",
        objectives=(Objective(metric="m", direction=goal),),
        fidelity=Fidelity(param="n", low=2, high=18),
    )
    study = Study(JournalBack(path / f"{name}.log"), record, 0)
    reached = []
    for _ in range(16):
        number, params = study.ask()
        value = -params["x"] if maximize else params["x"]
        state: Any = "complete"
        for step in (2, 6, 18):
            study.report(number, step, value)
            if step < 18 and study.should_stop(number):
                state = "pruned"
                break
        values = (value,) if state == "complete" else ()
        study.tell(trial(number, params=params, state=state, values=values))
        reached.append(step)
    return reached


@pytest.mark.parametrize("maximize", [False, True])
def test_hyperband_lets_the_better_trials_go_on_and_does_so_again(
    tmp_path: Path, maximize: bool
) -> None:
    first = rungs_reached(tmp_path, "one", 5, maximize)
    assert set(first) == {2, 6, 18}
    assert rungs_reached(tmp_path, "two", 5, maximize) == first
    assert rungs_reached(tmp_path, "three", 6, maximize) != first


@pytest.mark.parametrize(("low", "high", "eta"), [(1, 27, 3), (2, 9, 2), (0.1, 0.9, 3), (4, 10, 3)])
def test_brackets_are_those_that_optuna_would_draw(low: float, high: float, eta: int) -> None:
    from optuna import create_study
    from optuna.pruners import HyperbandPruner

    fidelity = Fidelity(param="n", low=low, high=high, eta=eta)
    record = sweep(method="hyperband", seed=7, fidelity=fidelity)
    first, *_, last = fidelity.steps
    pruner = HyperbandPruner(min_resource=first, max_resource=last + 1, reduction_factor=eta)
    study = create_study(study_name="nbci 7", pruner=pruner)
    trial = study.ask()
    trial.report(1.0, first)
    trial.should_prune()
    trials = [trial, *(study.ask() for _ in range(60))]
    drawn = [pruner._get_bracket_id(study, each._cached_frozen_trial) for each in trials]
    assert drawn == [bracket_of(record, number) for number in range(61)]
    assert set(drawn) == {*range(len(fidelity.rungs))}


def test_the_study_asks_for_brackets_where_optuna_does(tmp_path: Path) -> None:
    """Optuna could call it by another name some day; then trials are judged at the wrong rungs."""
    record = sweep(method="hyperband", fidelity=Fidelity(param="n", low=1, high=9))
    study = Study(JournalBack(tmp_path / "study.log"), record, 0)
    stopped: dict[int, list[int]] = {}
    for _ in range(30):
        number, params = study.ask()
        stopped[number] = []
        # Each is worse than the one before: it is stopped as soon as it is compared.
        for step in (1, 3):
            study.report(number, step, float(number))
            if study.should_stop(number):
                stopped[number].append(step)
                break
        study.tell(trial(number, params=params, state="pruned"))
    for bracket, expected in enumerate(([1], [3], [])):
        found = [stopped[number] for number in stopped if bracket_of(record, number) == bracket]
        # The first of a bracket has none to be compared with.
        assert found[1:] == [expected] * (len(found) - 1)
        assert len(found) > 2
