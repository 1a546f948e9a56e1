"""The best trial of a sweep as a run of its whole target, judged as every run is."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.request import RunRequest
from nbci.app.run_target import run
from nbci.app.sweeps.lane import plan_trial, steps_of_trials
from nbci.errors import NbciError, UsageError
from nbci.git.checkout import read_checkout
from nbci.params.merge import Assignment, assigned_values
from nbci.pipeline.confirmation import check_confirmation, refuse_seen, seed_parameter
from nbci.project.sources import read_target
from nbci.runs.project_runs import all_runs
from nbci.runs.run_file import new_run_id
from nbci.sweeps.choice import choose_trial, evidence_of
from nbci.sweeps.run_command import given_params
from nbci.sweeps.study_record import FROM_SWEEP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.request import Presentation
    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.config import Project
    from nbci.pipeline.confirmation import Confirmation
    from nbci.pipeline.model import Pipeline
    from nbci.records.chosen import Chosen
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.sweeps.study_record import SweepRecord, TrialRecord


class BestRun(Struct, frozen=True, kw_only=True):
    """The run that has the values of a trial; `is_earlier` where it was there already."""

    record: RunRecord
    is_earlier: bool


class BestRequest(Struct, frozen=True, kw_only=True):
    """Which trial is asked for, the best one by default, and how it is to be confirmed.

    Without `confirm`, as the sweep says.
    """

    trial: int | None
    confirm: Confirmation | None
    command: tuple[str, ...]


def run_best(
    project: Project, folder: SweepFolder, request: BestRequest, presentation: Presentation
) -> BestRun:
    """Carry that trial out, or the best one, with all steps of the target.

    What the trial computed is reused. UsageError where it is not clear which trial is meant, while
    the search goes on, and where the sources have changed since.
    """
    # What is best may still change.
    if folder.is_going_on:
        raise UsageError(
            f"sweep {folder.sweep} is still going on",
            hint=f"wait for its end, or stop it; nbci sweep show {folder.sweep} says how far it is",
        )
    sweep, trials = folder.read_record(), folder.read_trials()
    trial = choose_trial(sweep, trials, request.trial)
    target = read_target(str(project.root / sweep.target))
    if target.sources != sweep.sources:
        raise UsageError(
            f"the sources of sweep {sweep.sweep} have changed since it began",
            hint="what was best for them need not be so now; search again: what has not changed is "
            "reused",
        )
    chosen = evidence_of(sweep, trials, trial)
    confirm = request.confirm or sweep.confirm
    # The file was checked when the search began; the command line names another way now.
    if confirm is not None:
        check_confirmation(confirm, target.pipeline, sweep.space, None)
        refuse_seen(confirm, steps_of_trials(plan_trial(sweep, target, dict(trial.params))))
        chosen = with_confirmation(chosen, confirm, target.pipeline)
    earlier = _earlier_run(project, target.sources, chosen)
    if earlier is not None:
        return BestRun(record=earlier.read(), is_earlier=True)
    asked = RunRequest(
        target=str(project.root / sweep.target),
        resume=None,
        command=request.command,
        kernel=sweep.kernel,
        environment=sweep.environment and str(project.root / sweep.environment),
        run=new_run_id(time.time()),
        assigned=values_assigned(sweep, trial),
        chosen=chosen,
    )
    return BestRun(record=run(asked, presentation)[1], is_earlier=False)


def with_confirmation(chosen: Chosen, confirm: Confirmation, pipeline: Pipeline) -> Chosen:
    """The choice, with how it is to be confirmed."""
    if confirm.step is not None:
        return replace(chosen, confirm_step=confirm.step)
    seed = seed_parameter(confirm, pipeline)
    return replace(chosen, confirm_seeds=confirm.seeds, confirm_parameter=seed)


def values_assigned(sweep: SweepRecord, trial: TrialRecord) -> tuple[Assignment, ...]:
    """The values that make a run that trial, and where they come from."""
    # Each keeps where it came from: people see which values were searched.
    given = [
        Assignment(name=param.name, value=param.value, source=param.source)
        for param in given_params(sweep)
    ]
    return (*given, *assigned_values(dict(trial.params), FROM_SWEEP))


def _earlier_run(project: Project, sources: Mapping[str, str], chosen: Chosen) -> RunFolder | None:
    """The newest run of that choice that passed, of the commit that is checked out.

    A release that could not be pushed is completed with it: of a new run it would be another
    version.
    """
    here = read_checkout(project.root, tuple(sources), ())
    if here is None or here.commit is None:
        return None
    for folder in all_runs(project):
        # A damaged record is none to go on with.
        with contextlib.suppress(NbciError, OSError):
            before = folder.read_header()
            made = before.chosen
            if made is None or before.result != "passed" or before.git is None:
                continue
            is_of_here = before.git.commit == here.commit and not before.git.dirty
            if is_of_here and _identity(made) == _identity(chosen):
                return folder
    return None


def _identity(chosen: Chosen) -> tuple[object, ...]:
    """What makes a choice another one: with more trials, the same one is another."""
    how = (chosen.confirm_step, chosen.confirm_seeds, chosen.confirm_parameter)
    return (chosen.sweep, chosen.trial, chosen.of, *how)
