"""Begin a sweep, or go on with one."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import zlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict, replace

import nbci
from nbci.app.sweeps.earlier import earlier_trials
from nbci.app.sweeps.lane import plan_trial, steps_of_trials
from nbci.app.sweeps.lanes import Prepared, open_lanes
from nbci.app.sweeps.rungs import budget_of, check_resumed_out, with_all_of_it
from nbci.app.sweeps.search import Search
from nbci.app.sweeps.study import check_optuna
from nbci.app.sweeps.study_backs import database_of, open_study
from nbci.app.sweeps.sweep_folder import find_sweep, new_sweep
from nbci.app.sweeps.trials import Trials
from nbci.config import find_project
from nbci.data.sharing import shared_cache
from nbci.engine.prepare import lock_file, plan_target
from nbci.engine.ready import make_ready
from nbci.errors import UsageError
from nbci.formatting.durations import now_utc
from nbci.formatting.numbers import counted
from nbci.pipeline.confirmation import refuse_seen
from nbci.pipeline.early_stopping import check_report
from nbci.pipeline.fidelity import check_hyperband
from nbci.pipeline.search_space import (
    Sweep,
    direction_of,
    refuse_infinite,
    refuse_several,
    with_direction,
)
from nbci.pipeline.sweeps_document import check_objective
from nbci.project.sources import read_target
from nbci.runs.project_runs import ignore_own_files
from nbci.runs.run_file import new_run_id
from nbci.sweeps.space_text import nowhere, read_space
from nbci.sweeps.standing import without_dead
from nbci.sweeps.study_record import Objective, SweepRecord, shared_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.app.sweeps.study import Study
    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.app.sweeps.sweep_listener import Listener
    from nbci.config import Project
    from nbci.engine.ready import Ready
    from nbci.pipeline.early_stopping import Pruning
    from nbci.pipeline.model import Pipeline
    from nbci.pipeline.search_space import Direction, Method
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.sweeps.study_record import TrialRecord


_OF_THE_COMMAND_LINE = (
    *("objectives", "method", "trials", "minutes", "no_better_in", "parallel", "seed"),
    *("prune", "report"),
)
"""What a request may change of a sweep of the file."""


class SweepRequest(Struct, frozen=True, kw_only=True):
    """One call of `nbci sweep TARGET`: a sweep of the file by `name`, or `space` as `-s` has it.

    What is None or empty is as the file has it. With `needs_best` it has to have one best trial.
    A `fresh` one begins without what earlier runs gave.
    """

    target: str
    name: str | None
    command: tuple[str, ...]
    space: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    kernel: str | None = None
    environment: str | None = None
    objectives: tuple[str, ...] = ()
    directions: tuple[Direction, ...] = ()
    method: Method | None = None
    trials: int | None = None
    minutes: float | None = None
    no_better_in: int | None = None
    parallel: int | None = None
    seed: int | None = None
    prune: Pruning | None = None
    report: str | None = None
    fidelity: Mapping[str, Any] | None = None
    jobs: int | None = None
    needs_best: bool = False
    fresh: bool = False


class Finished(Struct, frozen=True, kw_only=True):
    """A sweep that does not go on: over, `is_interrupted`, or stopped by a `common_error`."""

    project: Project
    folder: SweepFolder
    sweep: SweepRecord
    trials: tuple[TrialRecord, ...]
    is_interrupted: bool = False
    common_error: str | None = None


def sweep(request: SweepRequest, listener: Listener) -> Finished:
    """Carry out a search; what can be refused is refused before it has its folder."""
    target = read_target(request.target)
    plan = plan_target(
        target,
        environ=os.environ,
        files=request.files,
        pairs=request.pairs,
        kernel=request.kernel,
        lock=lock_file(target.project, request.environment),
    )
    record = sweep_record(target, plan, request)
    ready = _check(target, record)
    # Only now: a sweep that cannot begin leaves nothing behind.
    ignore_own_files(target.project)
    folder = new_sweep(target.project, record.sweep)
    folder.write_record(record)
    work = Prepared(target=target, sweep=record, ready=ready, folder=folder)
    before = () if request.fresh else earlier_trials(work)
    return _search(work, request.jobs, listener, before)


def _begin_with(
    runs: Sequence[TrialRecord], work: Prepared, study: Study, listener: Listener
) -> None:
    """Make runs from before the sweep the first trials of a study that has none."""
    if not runs:
        return
    with study.alone():
        # Whoever began the study has told it of those that are known there.
        if not study.is_empty:
            return
        for trial in runs:
            work.folder.add_trial(trial)
        study.restore(runs)
    listener.noticed(
        f"the search begins with {counted(len(runs), 'earlier run')} of {work.sweep.target}"
    )


class Budget(Struct, frozen=True, kw_only=True):
    """Until when a sweep goes on; what is None stays as it is."""

    trials: int | None = None
    minutes: float | None = None
    no_better_in: int | None = None
    parallel: int | None = None


def resume(name: str, budget: Budget, jobs: int | None, listener: Listener) -> Finished:
    """Go on with a sweep that was interrupted or killed, has trials left or is given more."""
    project = find_project(Path.cwd())
    folder = find_sweep(project, name)
    record = folder.read_record()
    target = read_target(str(project.root / record.target))
    # A trial before a change and one after it would be compared as if they were alike.
    if target.sources != record.sources:
        raise UsageError(
            f"the sources of sweep {record.sweep} have changed since it began",
            hint="its trials would not be comparable; begin a new one: what has not changed "
            "is reused",
        )
    ready = _check(target, record)
    # Two processes that go on with one sweep would both write its study.
    if not folder.hold():
        raise UsageError(f"sweep {record.sweep} is still going on")
    changed = {key: value for key, value in asdict(budget).items() if value is not None}
    if changed:
        record = replace(record, **changed)
        folder.write_record(record)
    work = Prepared(target=target, sweep=record, ready=ready, folder=folder)
    return _search(work, jobs, listener)


def sweep_record(target: Target, plan: Plan, request: SweepRequest) -> SweepRecord:
    """What the sweep is, as it will be written down."""
    asked = _asked(target.pipeline, request)
    objectives = _objectives(target.pipeline, asked, request.directions)
    if request.needs_best and len(objectives) > 1:
        raise UsageError(
            "of several objectives no trial is the best, so there is none to check out",
            hint="leave out --checkout; then `nbci sweep checkout --trial N` brings one's files",
        )
    searched = {dimension.name for dimension in asked.space}
    if asked.fidelity is not None:
        searched.add(asked.fidelity.param)
    # Which of the two counts is for the user to say.
    for pair in request.pairs:
        name = pair.partition("=")[0].strip()
        if name in searched:
            raise UsageError(f"{name} is searched, and given by -p as well", hint="leave out one")
    seed = asked.seed
    # Drawn here and written down, so that this search can be repeated, too.
    if seed is None:
        seed = secrets.randbits(32)
    record = SweepRecord(
        sweep=new_run_id(time.time()),
        pipeline=plan.pipeline,
        target=plan.target,
        name=asked.name or None,
        space=asked.space,
        objectives=objectives,
        method=asked.method,
        trials=asked.trials,
        minutes=asked.minutes,
        no_better_in=asked.no_better_in,
        parallel=asked.parallel,
        seed=seed,
        prune=_pruning(target.pipeline, asked, objectives[0]),
        report=asked.report,
        confirm=asked.confirm,
        fidelity=asked.fidelity,
        nbci=nbci.__version__,
        started_utc=now_utc(),
        params=with_all_of_it(plan.params, asked.fidelity),
        sources=target.sources,
        kernel=request.kernel,
        environment=plan.environment,
        command=request.command,
    )
    database = database_of(target.project, os.environ)
    if database is None:
        return record
    # Not drawn by each process for itself: Sobol's sequence is that of a seed.
    if asked.seed is None:
        seed = zlib.crc32(shared_name(record).encode())
    return replace(record, study=shared_name(record), storage=database.shown, seed=seed)


def _objectives(
    pipeline: Pipeline, asked: Sweep, directions: Sequence[Direction]
) -> tuple[Objective, ...]:
    """What is to be best; `directions` are those of the command line, one for each, or none."""
    if directions and len(directions) != len(asked.objectives):
        raise UsageError(
            "each objective takes one --direction, or none does: there are "
            f"{len(asked.objectives)} and {len(directions)}",
            hint="give --direction once for each --objective, in the same order",
        )
    declared = {name: metric.direction for name, metric in pipeline.metrics.items()}
    names = _step_names(pipeline)
    found = []
    for number, metric in enumerate(asked.objectives):
        direction = directions[number] if directions else direction_of(metric, declared)
        if direction is None:
            raise UsageError(
                f"nothing says whether more of {metric} is better",
                hint="--direction maximize or --direction minimize",
            )
        check_objective(metric, names, None)
        found.append(Objective(metric=metric, direction=direction))
    return tuple(found)


def _step_names(pipeline: Pipeline) -> dict[str, None]:
    names: dict[str, None] = {}
    # A node stands for all of its steps, as in gates.
    for step in pipeline.steps:
        names |= {step.name: None, step.node: None}
    return names


def _pruning(pipeline: Pipeline, asked: Sweep, objective: Objective) -> Pruning | None:
    """What stops trials early, with its direction."""
    if asked.prune is None:
        return None
    check_objective(asked.prune.on, _step_names(pipeline), None)
    declared = {name: metric.direction for name, metric in pipeline.metrics.items()}
    pruning = with_direction(asked.prune, declared, objective.metric, objective.direction)
    if pruning.direction is None:
        raise UsageError(
            f"nothing says whether more of {pruning.on} is better",
            hint=f"--prune {pruning.on}:{pruning.by}:minimize, or :maximize",
        )
    return pruning


def _asked(pipeline: Pipeline, request: SweepRequest) -> Sweep:
    """The sweep of the file or of the command line, with what the command line changes of it."""
    # The command line is stronger than the file, as with parameters.
    found = _named(pipeline, request)
    changed = {}
    for field in _OF_THE_COMMAND_LINE:
        value = getattr(request, field)
        if value not in (None, ()):
            changed[field] = value
    found = replace(found, **changed)
    if request.fidelity is not None:
        found = replace(found, fidelity=budget_of(request.fidelity, found, pipeline.params))
    check_hyperband(found, None)
    refuse_several(found, None)
    check_report(found.prune, found.report, None)
    if found.method == "grid":
        refuse_infinite(found.space, nowhere)
    elif found.trials is None and found.minutes is None:
        raise UsageError("this sweep has no end", hint="give it a budget: --trials 50")
    return found


def _named(pipeline: Pipeline, request: SweepRequest) -> Sweep:
    known = pipeline.sweeps
    if request.space:
        if request.name is not None:
            raise UsageError(
                "name either a sweep of the pipeline file or what to search with -s",
                hint=f"nbci sweep {request.target} -s ...",
            )
        if not request.objectives:
            raise UsageError(
                "a sweep needs the metric that is to be best", hint="--objective STEP:METRIC"
            )
        space = read_space(request.space, pipeline.params)
        return Sweep(name="", space=space, objectives=request.objectives)
    if request.name is None and len(known) == 1:
        return next(iter(known.values()))
    if request.name is not None and request.name in known:
        return known[request.name]
    listed = ", ".join(known) or "none; say what to search with -s, e.g. -s C=0.01..100:log"
    message = "name the sweep"
    if request.name is not None:
        message = f"there is no sweep {request.name!r} in {pipeline.target}"
    raise UsageError(message, hint=f"sweeps of {pipeline.target}: {listed}")


def _check(target: Target, record: SweepRecord) -> Ready:
    """Refuse what this machine cannot carry out."""
    plan = check_plan(target, record)
    project = target.project
    cache = shared_cache(project, os.environ)
    return make_ready(project, plan, target.pipeline.notebooks, cache=cache, environ=os.environ)


def check_plan(target: Target, record: SweepRecord) -> Plan:
    """The plan with no parameter searched; refuses what no machine is to carry out."""
    check_optuna(record)
    # With the parameters' own values: what a searched one breaks is that trial's failure.
    plan = plan_trial(record, target, {})
    check_resumed_out(record, target, plan)
    # It would run a stranger's code many times over, on results that trusted builds reuse.
    if plan.fork is not None:
        raise UsageError("this is a build of a change from a fork, which gets no sweep")
    refuse_seen(record.confirm, steps_of_trials(plan))
    return plan


def _search(
    work: Prepared, jobs: int | None, listener: Listener, before: Sequence[TrialRecord] = ()
) -> Finished:
    """Carry out trials until the sweep is over or is stopped; its folder is held, and let go.

    `before` are runs from before the sweep that it begins with.
    """
    record, folder = work.sweep, work.folder
    listener.begun(record)
    try:
        earlier = _settled(folder)
        with closing(open_study(work.target.project, folder, record, earlier)) as study:
            _begin_with(before, work, study, listener)
            trials = Trials(record, folder, study, folder.read_trials())
            trials.look_around()
            if record.study is not None:
                known = counted(len(trials.known), "trial")
                listener.noticed(f"at the study {record.study} of {record.storage}: {known} so far")
            listener.known(trials.in_order)
            search = Search(record, trials, listener)
            with open_lanes(work, jobs, listener, study.step_claims) as lanes:
                asyncio.run(search.go_on(lanes))
    finally:
        listener.over()
        folder.release()
        work.ready.save()
    # What stopped all trials, such as a full disk, is no trial's own failure.
    if search.trouble is not None:
        raise search.trouble
    return Finished(
        project=work.target.project,
        folder=folder,
        sweep=record,
        trials=trials.in_order,
        is_interrupted=search.is_interrupted,
        common_error=trials.common_error,
    )


def _settled(folder: SweepFolder) -> tuple[TrialRecord, ...]:
    """The earlier trials, none of them running: this process holds the sweep."""
    before = folder.read_trials()
    settled = without_dead(before, folder.sweep)
    for trial, was in zip(settled, before, strict=True):
        if trial is not was:
            folder.add_trial(trial)
    return settled
