"""What chooses the trials: a study of Optuna, in its journal beside our record or in a database.

Optuna is imported here and where its storages are opened (`study_backs`), while a sweep runs: that
takes most of a second, which nobody should wait for to see one.
"""

from __future__ import annotations

import contextlib
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from nbci.app.sweeps.choosers import make_pruner, make_sampler
from nbci.app.sweeps.optuna_trials import (
    ERROR,
    RECORD,
    RUN,
    frozen_trial,
    sign,
    suggest,
    told_curve,
)
from nbci.errors import IntegrityError, UsageError
from nbci.records.codec import from_json, to_json_line
from nbci.store.safe_paths import checked_run
from nbci.sweeps.space import point_in, point_of
from nbci.sweeps.standing import killed
from nbci.sweeps.study_record import TrialRecord, search_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.app.sweeps.claims import Claims
    from nbci.app.sweeps.study_backs import Back
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord

_MISSING = "pip install 'nbci[sweep]'"
_PATIENCE = "nbci_patience"
"""Of a study: for how many seconds a trial may be silent before it counts as dead."""
_FORMAT = 1
"""Of what a study says of itself, and of how it is worked at."""


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
    """The study of one sweep; `so_far` is how many trials it has had before this process.

    UsageError where it is that of another search, or of another version of nbci.
    """

    def __init__(self, back: Back, sweep: SweepRecord, so_far: int) -> None:
        import optuna

        # It would print a line of its own for each trial.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._sweep = sweep
        self._back = back
        self._name = sweep.study or sweep.sweep
        self._states = optuna.trial.TrialState
        # Those that this process began: a trial of another one is known to the storage only.
        self._trials: dict[int, Any] = {}
        self._ended: dict[int, TrialRecord] = {}
        with self._trouble():
            self._storage = back.open()
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=self._name,
                sampler=make_sampler(optuna.samplers, sweep, so_far),
                pruner=make_pruner(optuna.pruners, sweep),
                directions=[objective.direction for objective in sweep.objectives],
                load_if_exists=True,
            )
            self._check_search()

    def _check_search(self) -> None:
        """Refuse a study of this name that is another one."""
        known = self._study.user_attrs.get(RECORD)
        search = search_digest(self._sweep)
        if known is None and (not self.is_shared or not self._study.get_trials(deepcopy=False)):
            self._study.set_user_attr(RECORD, {"format": _FORMAT, "search": search})
            return
        if not isinstance(known, dict) or known.get("format") != _FORMAT:
            raise UsageError(
                f"the study {self._name} was not made by this version of nbci",
                hint="go on with the version that made it, or name another storage",
            )
        if known.get("search") != search:
            raise UsageError(
                f"the study {self._name} is that of another search",
                hint="its trials would not be comparable; begin a new sweep",
            )

    @property
    def is_shared(self) -> bool:
        """Whether other processes may be at work at it."""
        return self._back.is_shared

    @property
    def beat_seconds(self) -> float | None:
        """How often a trial that goes on has to say so; None where nobody asks."""
        return self._back.beat_seconds

    @property
    def step_claims(self) -> Claims | None:
        """By which processes agree on who makes a result, on whatever machine."""
        return self._back.step_claims

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process begin a trial meanwhile; trials of dead ones are ended first."""
        with self._trouble(), self._back.alone(self._name):
            self._end_dead()
            yield

    def close(self) -> None:
        """End what is open of the place where it lies."""
        self._back.close()

    def _end_dead(self) -> None:
        """End the trials of processes that are gone."""
        from optuna.storages import fail_stale_trials

        if not self.is_shared:
            return
        self._agree_on_patience()
        fail_stale_trials(self._study)
        for trial in self._study.get_trials(deepcopy=False, states=(self._states.RUNNING,)):
            # Between its number and its record, nobody else can be: it was killed there.
            if RECORD not in trial.user_attrs and trial.number not in self._trials:
                self._study.tell(trial.number, state=self._states.FAIL)

    def _agree_on_patience(self) -> None:
        """Wait for as long as the most patient of all who share the study.

        A build says only now and then of its trials that they go on: whoever waits for a minute
        would take all of them for dead.
        """
        mine = self._back.grace_seconds
        agreed = int(self._study.user_attrs.get(_PATIENCE, 0))
        if mine > agreed:
            self._study.set_user_attr(_PATIENCE, mine)
        self._storage.grace_period = max(mine, agreed)

    def records(self) -> tuple[TrialRecord, ...]:
        """The trials of all processes that share the study, as these last told of them."""
        found = []
        for trial in self._study.get_trials(deepcopy=False):
            record = self._ended.get(trial.number) or _record_of(self._sweep, trial)
            if record is None:
                continue
            if trial.state.is_finished():
                self._ended[trial.number] = record
            found.append(record)
        return tuple(found)

    def note(self, record: TrialRecord) -> None:
        """Tell the other processes what becomes of a trial that goes on here."""
        if self.is_shared:
            with self._trouble():
                self._note(record.number, RECORD, to_json_line(record).decode())

    def beat(self) -> None:
        """Tell the other processes that the trials here go on."""
        with self._trouble():
            for number in self._trials:
                self._beat(number)

    def beat_for(self, numbers: Iterable[int]) -> None:
        """Tell the other processes that these trials go on, whoever carries them out."""
        with self._trouble():
            for number in numbers:
                self._beat(number)

    def _beat(self, number: int) -> None:
        # Optuna itself does so where it calls an objective, which is not how it is used here.
        self._storage.record_heartbeat(self._id_of(number))

    def ask(self, point: Mapping[str, Any] | None = None) -> tuple[int, Point]:
        """Begin a trial: its number, and the point that was chosen, or that is given."""
        with self._trouble():
            if point is not None:
                self._drop_waiting()
                # What is enqueued is what the next question is answered with.
                self._study.enqueue_trial(dict(point))
            trial = self._study.ask()
            # First of all: one that was never heard of would never count as dead.
            if self.is_shared:
                self._beat(trial.number)
            chosen = point_of(
                self._sweep.space, self._sweep.own_values, lambda each: suggest(trial, each)
            )
        self._trials[trial.number] = trial
        return trial.number, chosen

    def report(self, number: int, step: int, value: float) -> None:
        """Tell a value that the trial had at a step, while it goes on; from any thread."""
        from optuna.exceptions import UpdateFinishedTrialError

        # Of one that others took for dead, it is said when it ends.
        with self._explained(), contextlib.suppress(UpdateFinishedTrialError):
            self._trials[number].report(sign(self._sweep) * value, step)

    def should_stop(self, number: int) -> bool:
        """Whether the trial's values so far are such that it is to end; from any thread."""
        from optuna.exceptions import UpdateFinishedTrialError

        # Of one that others took for dead, as above: pruners write down what they saw of it.
        with self._explained(), contextlib.suppress(UpdateFinishedTrialError):
            return bool(self._trials[number].should_prune())
        return False

    def tell(self, record: TrialRecord) -> bool:
        """End a trial, also of another process: with its value, as pruned or as failed.

        False where others took it for a dead one, and it has ended already.
        """
        from optuna.exceptions import UpdateFinishedTrialError

        self._trials.pop(record.number, None)
        with contextlib.suppress(UpdateFinishedTrialError), self._trouble():
            if self.is_shared:
                self._note(record.number, RECORD, to_json_line(record).decode())
            self._tell(record)
            return True
        return False

    def _tell(self, record: TrialRecord) -> None:
        self._tell_curve(record)
        # For those who look at the study with Optuna's own tools.
        if record.run is not None:
            self._note(record.number, RUN, record.run)
        if record.state == "complete":
            self._study.tell(record.number, list(record.values))
            return
        if record.state == "pruned":
            self._study.tell(record.number, state=self._states.PRUNED)
            return
        self._note(record.number, ERROR, record.error)
        # Samplers leave failed trials out: they say nothing of what is good.
        self._study.tell(record.number, state=self._states.FAIL)

    def _note(self, number: int, name: str, value: str | None) -> None:
        self._storage.set_trial_user_attr(self._id_of(number), name, value)

    def _id_of(self, number: int) -> int:
        """What the storage calls a trial."""
        # Not by a `Trial` of Optuna's: to make one for a known trial asks the sampler again.
        study = self._storage.get_study_id_from_name(self._name)
        found: int = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        return found

    @property
    def is_empty(self) -> bool:
        """Whether it has no trial yet."""
        with self._trouble():
            return not self._study.get_trials(deepcopy=False)

    def restore(self, records: Iterable[TrialRecord]) -> None:
        """Add the trials that the study does not have.

        These are runs from before the sweep, which are its first trials; or all trials of a study
        that was lost.
        """
        known = {record.number: record for record in records}
        with self._trouble():
            begun = len(self._study.get_trials(deepcopy=False))
            for number in range(begun, max(known, default=-1) + 1):
                trial = frozen_trial(self._sweep, known.get(number))
                self._study.add_trial(trial)

    def _tell_curve(self, record: TrialRecord) -> None:
        """Tell the values of a trial that has them from an equal one."""
        if record.same_as is None:
            return
        trial = self._id_of(record.number)
        for step, value in told_curve(self._sweep, record).items():
            self._storage.set_trial_intermediate_value(trial, step, value)

    def settle(self, records: Iterable[TrialRecord]) -> None:
        """End the trials that a killed process left running, as the records have them."""
        known = {record.number: record for record in records if record.sweep in self._own}
        with self._trouble():
            for trial in self._study.get_trials(deepcopy=False, states=(self._states.RUNNING,)):
                if trial.number in known:
                    self.tell(known[trial.number])
                # Of a study that nobody shares, it is one that this sweep was about to begin.
                elif not self.is_shared:
                    self._study.tell(trial.number, state=self._states.FAIL)

    @property
    def _own(self) -> tuple[str | None, ...]:
        """What the records of its own trials say of who carries them out."""
        return (self._sweep.sweep,) if self.is_shared else (None, self._sweep.sweep)

    def _drop_waiting(self) -> None:
        """End what a killed process had given and not begun: the next one would wait behind it."""
        while self._study.get_trials(deepcopy=False, states=(self._states.WAITING,)):
            self._study.tell(self._study.ask(), state=self._states.FAIL)

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        # What it calls experimental is its own business. Filters of warnings are all threads'.
        with self._explained(), warnings.catch_warnings(action="ignore"):
            yield

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            explained = self._back.explain(error)
            if explained is None:
                raise
            raise explained from error


def _record_of(sweep: SweepRecord, trial: Any) -> TrialRecord | None:
    """Our record of a trial of Optuna's; None where it has none.

    IntegrityError where it is no trial of this search.
    """
    text = trial.user_attrs.get(RECORD)
    if text is None:
        return None
    where = f"trial {trial.number} of the study"
    record = from_json(str(text).encode(), TrialRecord, where)
    # Whoever can write to the database says what is run here next, and what is shown.
    own = sweep.own_values
    is_complete = record.state == "complete"
    if (
        record.number != trial.number
        or is_complete is not (len(record.values) == len(sweep.objectives))
        or point_in(sweep.space, own, {**own, **record.params}) != dict(record.params)
    ):
        raise IntegrityError(
            f"{where} is none that nbci wrote for this search",
            hint="somebody has changed it; name another storage, or delete the study with Optuna",
        )
    if record.run is not None:
        checked_run(record.run)
    # Whoever carried it out could not say any more that it ended.
    if record.state == "running" and trial.state.is_finished():
        return killed(record)
    return record
