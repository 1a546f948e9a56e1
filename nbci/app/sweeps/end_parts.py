"""End a sweep whose trials ran on agents: what came of it, and the plan of its best trial."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.sweeps.best_run import values_assigned, with_confirmation
from nbci.app.sweeps.hand_out import commit_here
from nbci.app.sweeps.known_results import KnownResults
from nbci.app.sweeps.parts_folder import PartsFolder, missing_sweep
from nbci.app.sweeps.parts_study import open_parts_study, open_trials
from nbci.config import find_project
from nbci.engine.prepare import plan_target
from nbci.project.sources import read_target
from nbci.records.codec import to_json
from nbci.store.files import write_atomic
from nbci.sweeps.carried import MOST_CHARACTERS, Carried, pack
from nbci.sweeps.choice import evidence_of
from nbci.sweeps.standing import best_of, without_dead

if TYPE_CHECKING:
    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.sweeps.study_record import SweepRecord, TrialRecord


class EndRequest(Struct, frozen=True, kw_only=True):
    """One call of `nbci sweep end`, for the sweep in the folder `state`.

    `out` gets the plan of the best trial, `leave` the results that stand for its steps, `carry`
    what the next build goes on with. `store` carries results. A build that was stopped has no plan.
    """

    state: Path
    out: Path
    leave: Path
    store: str | None
    carry: Path | None
    is_stopped: bool


class Ended(Struct, frozen=True, kw_only=True):
    """What came of a sweep; `plan` is that of the best trial, with all steps and gates.

    Of several objectives no trial is the best, and none is planned.

    `is_too_large`: the next build cannot go on with it.
    """

    project: Project
    folder: PartsFolder
    sweep: SweepRecord
    trials: tuple[TrialRecord, ...]
    plan: Plan | None
    is_too_large: bool


def end_parts(request: EndRequest) -> Ended:
    """What came of the sweep so far; the best trial is planned, and what stands of it left."""
    folder = PartsFolder(request.state)
    if not folder.has_begun:
        raise missing_sweep(folder)
    folder.open()
    try:
        sweep, project = folder.read_record(), find_project(Path.cwd())
        # Nobody is at work any more: what seems to run was cut short.
        trials = without_dead(folder.read_trials(), sweep.sweep)
        if sweep.study is not None:
            trials = _told_to_others(project, folder, sweep, trials)
        plan = None
        best = best_of(sweep, trials)
        if best is not None and not request.is_stopped:
            plan = _plan_best(project, sweep, trials, best)
            known = KnownResults(project, folder, request.store)
            known.hand_over(known.settle(plan), request.leave)
            known.save()
            write_atomic(request.out, to_json(plan))
        is_carried = request.carry is None or _carry(folder, project, request.carry)
    finally:
        folder.release()
    return Ended(
        project=project,
        folder=folder,
        sweep=sweep,
        trials=trials,
        plan=plan,
        is_too_large=not is_carried,
    )


def _told_to_others(
    project: Project, folder: PartsFolder, sweep: SweepRecord, trials: tuple[TrialRecord, ...]
) -> tuple[TrialRecord, ...]:
    """The trials with those of other builds, which learn what of this one was cut short."""
    for trial in trials:
        if trial.interrupted:
            folder.add_trial(trial)
    with open_parts_study(project, folder, sweep) as study:
        study.settle(trials)
    with open_trials(project, folder, sweep) as known:
        return known.in_order


def _plan_best(
    project: Project, sweep: SweepRecord, trials: tuple[TrialRecord, ...], best: TrialRecord
) -> Plan:
    """The plan of the whole target with the values of a trial, judged by its gates."""
    target = read_target(str(project.root / sweep.target))
    chosen, seeds = evidence_of(sweep, trials, best), None
    if sweep.confirm is not None:
        chosen = with_confirmation(chosen, sweep.confirm, target.pipeline)
        # Each of the seeds is a stage then, and the trial's own one is the first.
        if sweep.confirm.seeds is not None:
            seeds = sweep.confirm.seeds + 1
    plan = plan_target(
        target,
        environ=os.environ,
        exported=values_assigned(sweep, best),
        kernel=sweep.kernel,
        seeds=seeds,
        lock=sweep.environment,
    )
    return replace(plan, chosen=chosen)


def _carry(folder: PartsFolder, project: Project, place: Path) -> bool:
    """Write what the next build goes on with; False where it is too large for that."""
    # Results are left out: without a remote, the next build computes what its trials share.
    text = pack(Carried(files=folder.files(), commit=commit_here(project)))
    if len(text) > MOST_CHARACTERS:
        return False
    write_atomic(place, text)
    return True
