"""How much each parameter mattered: asked of Optuna, over the trials of the sweep's own record.

Optuna is imported here only: for pages, which can do without it.
"""

from __future__ import annotations

import math
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nbci.formatting.text import short_line
from nbci.pipeline.search_space import Range
from nbci.sweeps.importance import Importance, Importances
from nbci.sweeps.space import identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.pipeline.search_space import Dimension
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

FEWEST_TRIALS = 8
_MOST_FOR_FANOVA = 150
"""Its trees take a second for so many trials, and minutes for ten times as many."""
_MOST_CHOICES = 6
"""It goes through all subsets of the choices, so that each further one doubles the time."""
_FANOVA, _PED_ANOVA = "fANOVA", "PED-ANOVA"
_NOTES = {
    _FANOVA: "The share of a parameter alone in how the values vary.",
    _PED_ANOVA: "How far a parameter decides whether a trial is among the best tenth.",
}


def find_importances(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> tuple[Importances, ...]:
    """Those of each objective; why there are none, where there are none."""
    found = []
    for at, objective in enumerate(sweep.objectives):
        known = [trial for trial in trials if _has_value(trial, at)]
        varied = _varied(sweep, known)
        problem = _problem(known, varied)
        if problem is not None:
            found.append(Importances(objective=objective.metric, problem=problem))
        else:
            found.append(_ask(sweep, at, known, varied))
    return tuple(found)


def _has_value(trial: TrialRecord, objective: int) -> bool:
    # Of equal trials one counts: the others say nothing new.
    if trial.state != "complete" or trial.same_as is not None:
        return False
    return math.isfinite(trial.values[objective])


def _varied(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> list[Dimension]:
    """The parameters that have two values in these trials."""
    found = []
    for dimension in sweep.space:
        name = dimension.name
        values = {
            identity({name: trial.params.get(name)}) for trial in trials if name in trial.params
        }
        if len(values) > 1:
            found.append(dimension)
    return found


def _problem(trials: Sequence[TrialRecord], varied: Sequence[Dimension]) -> str | None:
    if find_spec("optuna") is None:
        return "Optuna, which computes them, is not installed: pip install 'nbci[sweep]'"
    if len(trials) < FEWEST_TRIALS:
        return f"they need {FEWEST_TRIALS} different trials with a value; there are {len(trials)}"
    if not varied:
        return "no parameter has two values"
    return None


def _ask(
    sweep: SweepRecord, at: int, trials: Sequence[TrialRecord], varied: Sequence[Dimension]
) -> Importances:
    objective = sweep.objectives[at].metric
    if len({trial.values[at] for trial in trials}) < 2:
        return Importances(objective=objective, problem="all trials have the same value")
    method = _FANOVA if _is_quick(trials, varied) else _PED_ANOVA
    try:
        shares = sorted(_shares(sweep, at, trials, varied, method), key=lambda each: -each.share)
    except (ArithmeticError, RuntimeError, ValueError) as error:
        # Of numbers near the largest float, its trees make infinite ones.
        reason = short_line(str(error))
        return Importances(objective=objective, problem=f"{method} cannot tell: {reason}")
    if not shares:
        return Importances(objective=objective, problem=f"{method} found that none matters")
    note = _NOTES[method]
    partial = [each.parameter for each in shares if each.trials < len(trials)]
    if partial:
        note += f" Over the trials that have it: {', '.join(partial)}."
    return Importances(objective=objective, method=method, shares=tuple(shares), note=note)


def _is_quick(trials: Sequence[TrialRecord], varied: Sequence[Dimension]) -> bool:
    """Whether the trees of fANOVA can be asked at all, and within seconds."""
    # scikit-learn is no dependency of Optuna, nor of nbci.
    if len(trials) > _MOST_FOR_FANOVA or find_spec("sklearn") is None:
        return False
    return all(isinstance(each, Range) or len(each.values) <= _MOST_CHOICES for each in varied)


def _shares(
    sweep: SweepRecord,
    at: int,
    trials: Sequence[TrialRecord],
    varied: Sequence[Dimension],
    method: str,
) -> Iterator[Importance]:
    for names, members in _groups(trials, varied):
        found = _evaluate(sweep, at, members, varied, method)
        for name in names:
            if name in found:
                yield Importance(parameter=name, share=found[name], trials=len(members))


def _groups(
    trials: Sequence[TrialRecord], varied: Sequence[Dimension]
) -> Iterator[tuple[Sequence[str], Sequence[TrialRecord]]]:
    """Which parameters are asked of which trials: each of those that have it."""
    # Parameters of one condition are asked together: they share what varies.
    groups: dict[tuple[int, ...], list[str]] = {}
    for dimension in varied:
        places = tuple(at for at, trial in enumerate(trials) if dimension.name in trial.params)
        groups.setdefault(places, []).append(dimension.name)
    for places, names in groups.items():
        # A parameter under a condition may have been searched a few times only.
        if len(places) >= FEWEST_TRIALS:
            yield names, [trials[at] for at in places]


def _evaluate(
    sweep: SweepRecord,
    at: int,
    trials: Sequence[TrialRecord],
    varied: Sequence[Dimension],
    method: str,
) -> dict[str, float]:
    """The shares of the parameters that all of these trials have."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    everywhere = set.intersection(*(set(trial.params) for trial in trials))
    shared = [each for each in varied if each.name in everywhere]
    # A study of one objective, which is to be small.
    sign = -1.0 if sweep.objectives[at].direction == "maximize" else 1.0
    evaluator: Any = optuna.importance.PedAnovaImportanceEvaluator()
    if method == _FANOVA:
        # The same trials give the same page.
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=sweep.seed % 2**31)
    with warnings.catch_warnings(action="ignore"):
        study = optuna.create_study()
        distributions = {each.name: _distribution(optuna, each, trials) for each in shared}
        frozen = []
        for trial in trials:
            frozen.append(_frozen(optuna, trial, distributions, sign * trial.values[at]))
        study.add_trials(frozen)
        found = optuna.importance.get_param_importances(
            study,
            evaluator=evaluator,
            params=[each.name for each in shared],
            normalize=method == _PED_ANOVA,
        )
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


def _frozen(optuna: Any, trial: TrialRecord, distributions: Mapping[str, Any], value: float) -> Any:
    params = {name: trial.params[name] for name in distributions}
    return optuna.trial.create_trial(params=params, distributions=distributions, value=value)


def _distribution(optuna: Any, dimension: Dimension, trials: Sequence[TrialRecord]) -> Any:
    """The dimension as Optuna has it, with all that trials have: some were tried before it."""
    tried = [trial.params[dimension.name] for trial in trials]
    if not isinstance(dimension, Range):
        known = {identity({"": value}): value for value in (*dimension.values, *tried)}
        return optuna.distributions.CategoricalDistribution(tuple(known.values()))
    low, high = min(dimension.low, *tried), max(dimension.high, *tried)
    # Without the steps: values between them were tried where the file had none.
    if dimension.is_whole and all(isinstance(value, int) for value in tried):
        return optuna.distributions.IntDistribution(low, high, log=dimension.log)
    return optuna.distributions.FloatDistribution(low, high, log=dimension.log)
