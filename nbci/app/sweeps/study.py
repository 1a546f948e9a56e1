"""What chooses the trials: a study of Optuna, kept in its journal beside the sweep's own record.

The only module that imports Optuna, which takes most of a second: while a sweep runs, and never to
show one.
"""

from __future__ import annotations

import contextlib
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nbci.errors import InfrastructureError, UsageError
from nbci.pipeline.search_space import Range
from nbci.sweeps.space import point_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.pipeline.search_space import Dimension
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_MISSING = "pip install 'nbci[sweep]'"
_RUN, _ERROR = "run", "error"
"""Attributes of a trial that Optuna's own tools show."""


def check_optuna(sweep: SweepRecord) -> None:
    """UsageError where what chooses the trials is not installed."""
    wanted = {"optuna": "a sweep"}
    if sweep.method == "cmaes":
        wanted["cmaes"] = "the method cmaes"
    if sweep.method == "sobol":
        wanted["scipy"] = "the method sobol"
    for name, what in wanted.items():
        if find_spec(name) is None:
            raise UsageError(f"{what} needs {name}, which is not installed", hint=_MISSING)


class Study:
    """The study of one sweep; `so_far` is how many trials it has had before this process."""

    def __init__(self, path: Path, sweep: SweepRecord, so_far: int) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        # It would print a line of its own for each trial.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._sweep = sweep
        self._states = optuna.trial.TrialState
        # Those that this process began: a trial of another one is known to the storage only.
        self._trials: dict[int, Any] = {}
        with self._trouble():
            self._storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=sweep.sweep,
                sampler=_sampler(optuna.samplers, sweep, so_far),
                pruner=_pruner(optuna.pruners, sweep),
                directions=[objective.direction for objective in sweep.objectives],
                load_if_exists=True,
            )

    def ask(self, point: Mapping[str, Any] | None = None) -> tuple[int, Point]:
        """Begin a trial: its number, and the point that was chosen, or that is given."""
        with self._trouble():
            if point is not None:
                # What is enqueued is what the next question is answered with.
                self._study.enqueue_trial(dict(point))
            trial = self._study.ask()
            chosen = point_of(
                self._sweep.space, self._sweep.own_values, lambda each: _suggest(trial, each)
            )
        self._trials[trial.number] = trial
        return trial.number, chosen

    def report(self, number: int, step: int, value: float) -> None:
        """Tell a value that the trial had at a step, while it goes on; from any thread."""
        with _disk_trouble():
            self._trials[number].report(_sign(self._sweep) * value, step)

    def should_stop(self, number: int) -> bool:
        """Whether the trial's values so far are such that it is to end; from any thread."""
        with _disk_trouble():
            return bool(self._trials[number].should_prune())

    def tell(self, record: TrialRecord) -> None:
        """End a trial, also of another process: with its value, as pruned or as failed."""
        self._trials.pop(record.number, None)
        with self._trouble():
            self._tell_curve(record)
            # For those who look at the study with Optuna's own tools.
            if record.run is not None:
                self._note(record.number, _RUN, record.run)
            if record.state == "complete":
                self._study.tell(record.number, list(record.values))
                return
            if record.state == "pruned":
                self._study.tell(record.number, state=self._states.PRUNED)
                return
            self._note(record.number, _ERROR, record.error)
            # Samplers leave failed trials out: they say nothing of what is good.
            self._study.tell(record.number, state=self._states.FAIL)

    def _note(self, number: int, name: str, value: str | None) -> None:
        self._storage.set_trial_user_attr(self._id_of(number), name, value)

    def _id_of(self, number: int) -> int:
        """What the storage calls a trial."""
        # Not by a `Trial` of Optuna's: to make one for a known trial asks the sampler again.
        study = self._storage.get_study_id_from_name(self._sweep.sweep)
        return self._storage.get_trial_id_from_study_id_trial_number(study, number)

    def add_earlier(self, records: Iterable[TrialRecord]) -> None:
        """Tell the samplers of runs from before the sweep, which are its first trials."""
        from optuna import distributions
        from optuna.trial import create_trial

        # With other distributions, samplers would take them for trials of another space.
        spaces = {each.name: _distribution(distributions, each) for each in self._sweep.space}
        with self._trouble():
            begun = len(self._study.get_trials(deepcopy=False))
            for record in records:
                # A killed process may have told some of them.
                if record.earlier and record.number >= begun:
                    trial = create_trial(
                        values=list(record.values),
                        params=dict(record.params),
                        distributions={name: spaces[name] for name in record.params},
                        user_attrs={_RUN: record.run},
                    )
                    self._study.add_trial(trial)

    def _tell_curve(self, record: TrialRecord) -> None:
        """Tell the values of a trial that has them from an equal one."""
        if record.same_as is None:
            return
        trial, sign = self._id_of(record.number), _sign(self._sweep)
        for step, value in record.curve:
            self._storage.set_trial_intermediate_value(trial, int(step), sign * value)

    def settle(self, records: Iterable[TrialRecord]) -> None:
        """End the trials that a killed process left running, as the records have them."""
        known = {record.number: record for record in records}
        with self._trouble():
            for trial in self._study.get_trials(deepcopy=False, states=(self._states.RUNNING,)):
                record = known.get(trial.number)
                if record is not None and record.state == "complete":
                    self._study.tell(trial.number, list(record.values))
                elif record is not None and record.state == "pruned":
                    self._study.tell(trial.number, state=self._states.PRUNED)
                else:
                    self._study.tell(trial.number, state=self._states.FAIL)

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        # What it calls experimental is its own business. Filters of warnings are all threads'.
        with _disk_trouble(), warnings.catch_warnings(action="ignore"):
            yield


@contextlib.contextmanager
def _disk_trouble() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"the study cannot be read or written: {error}",
            hint="free space or make the folder writable, then go on: nbci sweep resume",
        ) from error


def _suggest(trial: Any, dimension: Dimension) -> Any:
    if not isinstance(dimension, Range):
        return trial.suggest_categorical(dimension.name, dimension.values)
    suggest = trial.suggest_int if dimension.is_whole else trial.suggest_float
    return suggest(dimension.name, dimension.low, _high(dimension), **_scale(dimension))


def _distribution(kinds: Any, dimension: Dimension) -> Any:
    """What Optuna notes of a dimension that `_suggest` has asked for."""
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


def _sampler(samplers: Any, sweep: SweepRecord, so_far: int) -> Any:
    # Sobol's sequence goes on where the study has it; the others would begin with the same again.
    seed = (sweep.seed + so_far) % 2**32
    with warnings.catch_warnings(action="ignore"):
        match sweep.method:
            case "tpe":
                return samplers.TPESampler(seed=seed)
            case "cmaes":
                return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
            case "sobol":
                return samplers.QMCSampler(
                    qmc_type="sobol",
                    scramble=True,
                    seed=sweep.seed,
                    warn_asynchronous_seeding=False,
                    warn_independent_sampling=False,
                )
            case _:
                return samplers.RandomSampler(seed=seed)


def _pruner(pruners: Any, sweep: SweepRecord) -> Any:
    asked = sweep.prune
    if asked is None:
        return pruners.NopPruner()
    match asked.by:
        case "median":
            return pruners.MedianPruner(
                n_startup_trials=asked.warmup_trials, n_warmup_steps=asked.warmup_steps
            )
        case "percentile":
            return pruners.PercentilePruner(
                asked.percentile,
                n_startup_trials=asked.warmup_trials,
                n_warmup_steps=asked.warmup_steps,
            )
        case "successive_halving":
            return pruners.SuccessiveHalvingPruner(
                # A first rung at step 0 would be one of values before any training.
                min_resource=max(asked.warmup_steps, 1),
                reduction_factor=asked.eta,
            )
        case "patient":
            # Without another pruner inside: a trial is compared with itself only.
            return pruners.PatientPruner(None, patience=asked.patience)


def _sign(sweep: SweepRecord) -> int:
    """What intermediate values are multiplied with for the study.

    A study has one direction, that of its objective: of a loss that is watched for the sake of an
    accuracy, pruners would keep the highest.
    """
    if sweep.prune is None or sweep.prune.direction == sweep.objectives[0].direction:
        return 1
    return -1
