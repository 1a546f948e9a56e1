"""Take back what a worker carried out of a sweep: a trial becomes a run, and ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.sweeps.known_results import KnownResults, steps_for_others
from nbci.app.sweeps.outcome import end_of, work_in
from nbci.app.sweeps.parts_folder import PartsFolder, checked_worker, missing_sweep
from nbci.app.sweeps.parts_study import is_own, open_trials
from nbci.config import find_project
from nbci.engine.distributed.gather_parts import gather_parts
from nbci.engine.distributed.handover import take_handovers
from nbci.engine.distributed.run_parts import open_store
from nbci.engine.observed.kinds import WRITTEN
from nbci.errors import InfrastructureError, UsageError
from nbci.project.sources import read_target
from nbci.store.files import disk_errors
from nbci.sweeps.standing import front_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.sweeps.parts_folder import Job
    from nbci.app.sweeps.trials import Trials
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_MOST_CUT_SHORT = 3
"""So many trials in a row that were cut short say that the machines are at fault."""


class TellRequest(Struct, frozen=True, kw_only=True):
    """One call of `nbci sweep tell`: `worker` has carried out what it was given.

    `store` carries results, `bring` has what the stages left. `stopped_by` says what cut them
    short, `lost` has the tries of stages whose machine vanished in each.
    """

    state: Path
    worker: str
    store: str | None
    bring: Path | None
    stopped_by: str | None
    lost: Mapping[int, int]


class Told(Struct, frozen=True, kw_only=True):
    """The sweep and its trials; `trial` is the one that ended, None where it goes on.

    `warnings` are for people who wonder what it gave.
    """

    sweep: SweepRecord
    trials: tuple[TrialRecord, ...]
    trial: TrialRecord | None
    warnings: tuple[str, ...] = ()


def take_back(request: TellRequest) -> Told:
    """Gather what the worker's stages left, and end its trial with that.

    InfrastructureError once trials in a row are cut short by their machines; they are written down.
    """
    checked_worker(request.worker)
    folder = PartsFolder(request.state)
    if not folder.has_begun:
        raise missing_sweep(folder)
    folder.open()
    try:
        sweep = folder.read_record()
        job = folder.job_of(request.worker)
        if job is None:
            raise UsageError(
                f"worker {request.worker} carries nothing out", hint="nbci sweep next comes first"
            )
        plan = folder.plan_of(job)
        target = read_target(str(find_project(Path.cwd()).root / sweep.target))
        store = open_store(target.project, plan, request.store)
        if request.bring is not None:
            take_handovers(request.bring, store)
        results = KnownResults(target.project, folder, request.store)
        with open_trials(target.project, folder, sweep) as trials:
            taking = Taking(target, folder, trials, results)
            trial = taking.end(job, plan, store, stopped_by=request.stopped_by, lost=request.lost)
        first = folder.build().first
        _refuse_to_go_on(
            [each for each in trials.in_order if each.number >= first and is_own(sweep, each)]
        )
        return Told(
            sweep=sweep, trials=trials.in_order, trial=trial, warnings=tuple(taking.warnings)
        )
    finally:
        folder.release()


def _refuse_to_go_on(trials: list[TrialRecord]) -> None:
    ended = [trial for trial in trials if trial.state != "running"][-_MOST_CUT_SHORT:]
    if len(ended) == _MOST_CUT_SHORT and all(trial.interrupted for trial in ended):
        raise InfrastructureError(
            f"{_MOST_CUT_SHORT} trials in a row were cut short: {ended[-1].error}",
            hint="what has ended is kept: a build that is started again goes on",
        )


class Taking:
    """Ends jobs: makes runs of them, and keeps what other trials can use."""

    def __init__(
        self, target: Target, folder: PartsFolder, trials: Trials, results: KnownResults
    ) -> None:
        self._target = target
        self._folder = folder
        self._trials = trials
        self._results = results
        self.warnings: list[str] = []

    def end(
        self,
        job: Job,
        plan: Plan,
        store: RunFolder,
        *,
        stopped_by: str | None = None,
        lost: Mapping[int, int] | None = None,
    ) -> TrialRecord | None:
        """The trial as it has ended; None where only what it shares is done, and it goes on."""
        sweep = self._trials.sweep
        run_folder, run = gather_parts(
            self._target.project,
            plan,
            store,
            command=("nbci", *sys.argv[1:]),
            environ=os.environ,
            stopped_by=stopped_by,
            lost=lost,
            sweep=self._folder.path,
        )
        # No gate judges it, and it has no report: many of them decide together.
        run = replace(run, parent=sweep.sweep, role="trial")
        with disk_errors(run_folder.path):
            run_folder.write_run(run)
        run_folder.free_reserve()
        run_folder.release()
        self._folder.add_unkept(self._results.unkept(run, plan))
        self._note_files(job.trial, run)
        if job.shared and run.result == "passed":
            self._results.keep(run, plan, plan.names, self._folder.known)
            # Part of a trial is no run that anybody looks for.
            run_folder.discard()
            # A CI that looks there for files finds it strange to find none.
            with suppress(OSError):
                run_folder.path.parent.rmdir()
            self._trials.note(_with_shared(self._trials.known[job.trial], run))
            self._folder.take_back(job)
            return None
        trial = _ended(self._trials.known[job.trial], run, sweep, stopped_by)
        # Before it is known to have ended: others ask for its results from then on.
        self._keep(trial, run, plan)
        self._trials.end(trial)
        self._folder.take_back(job)
        return trial

    def _note_files(self, trial: int, run: RunRecord) -> None:
        """Warn where the trial read what another one left undeclared in an agent's checkout."""
        writers = self._folder.writers()
        mine: list[str] = []
        for step in run.steps:
            # What was reused was read and written by another run.
            if step.result == "reused":
                continue
            mine += [part.label for part in step.observed if part.kind == WRITTEN]
            for part in step.observed:
                if part.kind == "file" and writers.get(part.label, trial) != trial:
                    self.warnings.append(
                        f"step {step.name} of trial {trial} read {part.label}, which trial "
                        f"{writers[part.label]} wrote and does not declare: what it gives may "
                        "depend on which trials its agent had before; declare it with `outs`"
                    )
        self._folder.add_writers(mine, trial)

    def _keep(self, trial: TrialRecord, run: RunRecord, plan: Plan) -> None:
        """Keep what another trial may need, and all of the best one, which is run at the end."""
        sweep = self._trials.sweep
        steps = steps_for_others(sweep, self._target, plan, dict(trial.params), run)
        self._results.keep(run, plan, steps, self._folder.known)
        others = [other for other in self._trials.in_order if other.number != trial.number]
        front = front_of(sweep, (*others, trial))
        if front and front[0].number == trial.number:
            self._folder.clear_best()
            self._results.keep(run, plan, plan.names, self._folder.best)


def _with_shared(trial: TrialRecord, run: RunRecord) -> TrialRecord:
    """The trial, still running, with what was computed in it for all."""
    return replace(trial, computed=trial.computed + work_in(run, ("passed",)))


def _ended(
    trial: TrialRecord, run: RunRecord, sweep: SweepRecord, stopped_by: str | None
) -> TrialRecord:
    ended = end_of(trial, run, sweep.objectives)
    # What it computed for all was there already when it ran.
    ended = replace(
        ended,
        computed=ended.computed + trial.computed,
        reused=ended.reused - trial.computed,
    )
    machines = [failure for failure in run.failures if failure.kind == "infrastructure"]
    # Nothing is wrong with its point, which is tried again.
    if machines and ended.state == "failed":
        return replace(ended, error=machines[0].message, interrupted=True)
    if ended.interrupted and stopped_by is not None:
        return replace(ended, error=stopped_by)
    return ended
