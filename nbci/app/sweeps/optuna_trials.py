"""Dimensions and trials of ours as Optuna has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.pipeline.search_space import Range
from nbci.records.codec import to_json_line

if TYPE_CHECKING:
    from nbci.pipeline.search_space import Dimension
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

RUN, ERROR = "run", "error"
"""Attributes of a trial that Optuna's own tools show."""
RECORD = "nbci"
"""The attribute of a trial with our own record of it, and of a study with what it is."""


def suggest(trial: Any, dimension: Dimension) -> Any:
    """The value of the dimension that Optuna chooses."""
    if not isinstance(dimension, Range):
        return trial.suggest_categorical(dimension.name, dimension.values)
    ask = trial.suggest_int if dimension.is_whole else trial.suggest_float
    return ask(dimension.name, dimension.low, _high(dimension), **_scale(dimension))


def frozen_trial(sweep: SweepRecord, record: TrialRecord | None) -> Any:
    """A trial that has ended, as if Optuna had asked for it; None: nothing is known of it."""
    from optuna import distributions
    from optuna.trial import TrialState, create_trial

    if record is None:
        return create_trial(state=TrialState.FAIL)
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    notes = {RUN: record.run, ERROR: record.error, RECORD: to_json_line(record).decode()}
    # With other distributions, samplers would take it for a trial of another space.
    spaces = {each.name: _distribution(distributions, each) for each in sweep.space}
    return create_trial(
        state=states.get(record.state, TrialState.FAIL),
        values=list(record.values) if record.state == "complete" else None,
        params=dict(record.params),
        distributions={name: spaces[name] for name in record.params},
        user_attrs={name: note for name, note in notes.items() if note is not None},
        intermediate_values=told_curve(sweep, record),
    )


def sign(sweep: SweepRecord) -> int:
    """What intermediate values are multiplied with for the study.

    A study has one direction, that of its objective: of a loss that is watched for the sake of an
    accuracy, pruners would keep the highest.
    """
    # Without `prune` it is the objective itself that is told.
    if sweep.prune is None or sweep.prune.direction == sweep.objectives[0].direction:
        return 1
    return -1


def told_curve(sweep: SweepRecord, record: TrialRecord) -> dict[int, float]:
    """The values of a trial's curve as the study has them, by their steps."""
    # What pruners know of a budget are whole numbers in its place.
    steps: dict[float, int] = {}
    if sweep.fidelity is not None:
        steps = dict(zip(sweep.fidelity.rungs, sweep.fidelity.steps, strict=True))
    return {steps.get(step, int(step)): sign(sweep) * value for step, value in record.curve}


def _distribution(kinds: Any, dimension: Dimension) -> Any:
    """What Optuna notes of a dimension that `suggest` has asked for."""
    if not isinstance(dimension, Range):
        return kinds.CategoricalDistribution(dimension.values)
    kind = kinds.IntDistribution if dimension.is_whole else kinds.FloatDistribution
    return kind(dimension.low, _high(dimension), **_scale(dimension))


def _high(dimension: Range) -> Any:
    # Optuna warns of a range that its steps do not fill.
    if dimension.step is not None and dimension.values:
        return dimension.values[-1]
    return dimension.high


def _scale(dimension: Range) -> dict[str, Any]:
    step = dimension.step
    if dimension.is_whole:
        step = step or 1
    return {"log": dimension.log, "step": step}
