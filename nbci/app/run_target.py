"""Run a target, or resume a run: plan, check, execute, conclude, remember."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from nbci.app.conclusion import conclude
from nbci.app.publish import prepare_publishing, publish
from nbci.app.reruns.beside_run import BesideRun, check_seeds
from nbci.app.unchanged import remember_run
from nbci.audit_draw import Draw
from nbci.config import find_project
from nbci.data.sharing import shared_cache
from nbci.engine.caching.reuse import (
    KnownOuts,
    bring_notebooks,
    recall_results,
    results_to_take_over,
)
from nbci.engine.observed.before_resume import refuse_changed
from nbci.engine.prepare import header, lock_file, mask_for, plan_target
from nbci.engine.ready import make_ready
from nbci.engine.run import RunOptions, run_plan
from nbci.errors import UsageError
from nbci.gates.judging import Judging, check_readers
from nbci.kernels.descriptors import kernels_at_once
from nbci.plan.select import Selection, named_steps, select, with_time_limits
from nbci.project.sources import read_notebooks, read_target
from nbci.runs.file_names import EVENTS_FILE
from nbci.runs.project_runs import find_run, new_run
from nbci.trust.change import change_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.app.request import Presentation, RunRequest
    from nbci.app.reruns.audit_reuse import Auditing
    from nbci.config import Project
    from nbci.engine.context import RunContext
    from nbci.engine.listener import Display
    from nbci.engine.ready import Ready
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.records.chosen import Chosen
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.runs.folder import RunFolder


class _Work(NamedTuple):
    """What is to be run; `folder` is that of the run that is resumed.

    `chosen` is the trial that it carries out, where it is one.
    """

    project: Project
    plan: Plan
    notebooks: Mapping[str, TaggedNotebook]
    folder: RunFolder | None = None
    chosen: Chosen | None = None


class _Checked(NamedTuple):
    """What this machine can run, and what it needs not run."""

    ready: Ready
    taken_over: Mapping[str, StepRecord]
    forced_steps: frozenset[str]
    jobs: int


def run(request: RunRequest, presentation: Presentation) -> tuple[Project, RunRecord]:
    """Run what is asked for; what can be refused is refused before the run has its folder."""
    # Before all else: where a plan is refused, an earlier build's report must not be taken for it.
    if request.build_files is not None:
        from nbci.app.build_files import clear_build_files

        clear_build_files(request.build_files)
    work = _resumed_work(request) if request.resume else _planned_work(request)
    checked = _check(work, request)
    check_readers(work.plan)
    check_seeds(work.plan, work.chosen)
    display = presentation.open_display(work.project)
    folder = work.folder or new_run(work.project, request.run)
    judging = _judging(work, request, checked, folder, display)
    auditing = _auditing(work, request, checked, folder)

    try:
        context = replace(_begin(work, request, checked, folder, display), auditor=auditing)
        record = _execute(work, request, checked, context, display=display, judging=judging)
        _note_for_later(work, request, presentation, context, judging=judging, record=record)
    finally:
        display.close()
        if auditing is not None:
            auditing.end()
        folder.release()
        checked.ready.save()
    return work.project, record


def _planned_work(request: RunRequest) -> _Work:
    """Plan the request's target."""
    assert request.target is not None
    target = read_target(request.target, request.folder)
    plan = _plan(target, request)
    project = _project_for(target.project, plan)
    plan = _select_steps(project, plan, request)
    plan = with_time_limits(plan, request.run_timeout_seconds, request.cell_timeout_seconds)
    if request.because is not None:
        plan = replace(plan, because=request.because, imports=request.imports)
    return _Work(project, plan, target.pipeline.notebooks, chosen=request.chosen)


def _plan(target: Target, request: RunRequest) -> Plan:
    exported = request.assigned
    if request.for_dvc:
        from nbci.engine.dvc_stage import exported_params

        exported = exported_params(target.project, target.pipeline)
    return plan_target(
        target,
        environ=os.environ,
        files=request.files,
        pairs=request.pairs,
        kernel=request.kernel,
        exported=exported,
        seeds=request.seeds,
        lock=lock_file(target.project, request.environment),
    )


def _select_steps(project: Project, plan: Plan, request: RunRequest) -> Plan:
    """Limit the plan to the steps that were asked for."""
    # DVC may ask for a stage when the steps before it have no results here: they run, too.
    if request.for_dvc and not (request.first or request.until):
        from nbci.engine.dvc_stage import select_stage

        return select_stage(project, plan, request.only, os.environ)
    return select(plan, Selection(first=request.first, until=request.until, only=request.only))


def _resumed_work(request: RunRequest) -> _Work:
    """Take up the plan of an earlier run, in its own folder."""
    own_plan = request.pairs, request.files, request.first, request.until, request.only
    # To ignore these would let the user believe that the run has them.
    if any(own_plan) or request.kernel or request.seeds or not request.is_of_project:
        raise UsageError(
            "a resumed run carries on its own plan",
            hint="leave out -p, -f, --seeds, --from, --until, --only, --kernel, --environment, "
            "--in",
        )
    project = find_project(Path.cwd())
    assert request.resume is not None
    folder = find_run(project, request.resume)
    # Two processes that carry on one run would both write its record.
    if not folder.hold():
        raise UsageError(f"run {folder.run} is still going on")

    plan = folder.read_plan()
    project = _project_for(project, plan)
    notebooks = read_notebooks(project, plan.sources or {})
    # what a finished step was seen to read must be as it was, or the run would mix two states
    refuse_changed(project, plan, folder, os.environ)
    return _Work(project, plan, notebooks, folder, folder.read_header().chosen)


def _project_for(project: Project, plan: Plan) -> Project:
    """The project as a build of a fork has it."""
    # most runs are no build of a fork, and need not wait for git
    if plan.fork is None and change_of(os.environ) is None:
        return project
    from nbci.trust.target_branch import project_for

    return project_for(project, plan, os.environ)


def _check(work: _Work, request: RunRequest) -> _Checked:
    """Refuse what this machine cannot run, and find the results of steps that need not run."""
    project, plan = work.project, work.plan
    forced_steps = frozenset(named_steps(plan, request.force_steps))
    cache = shared_cache(project, os.environ)
    ready = make_ready(project, plan, work.notebooks, cache=cache, environ=os.environ)
    recall_results(project, plan.target, cache)
    taken_over = results_to_take_over(project, plan, ready.cache, ready.index)
    return _Checked(ready, taken_over, forced_steps, _jobs(work, request))


def _jobs(work: _Work, request: RunRequest) -> int:
    """How many steps may run at once."""
    jobs = request.jobs or work.project.jobs or os.cpu_count() or 1
    if any(step.action in ("run", "depends") for step in work.plan.steps):
        # each kernel takes sockets and pipes of this process, whose number the system limits
        return kernels_at_once(min(jobs, len(work.plan.steps)))
    return jobs


def _auditing(
    work: _Work, request: RunRequest, checked: _Checked, folder: RunFolder
) -> Auditing | None:
    """What runs a share of the steps again that are reused; None where nobody asked for that."""
    share = request.audit or work.project.audit
    if share is None:
        return None
    # Hardly any run audits a step, and what does it takes time to import.
    from nbci.app.reruns.audit_reuse import Auditing

    return Auditing(checked.ready, folder, Draw(folder.run, share), request.command)


def _begin(
    work: _Work, request: RunRequest, checked: _Checked, folder: RunFolder, display: Display
) -> RunContext:
    """What the steps of this run share."""
    return checked.ready.begin(
        folder,
        display,
        log=folder.path / EVENTS_FILE,
        forced=lambda step: request.forces_all or step in checked.forced_steps,
        known_outs=KnownOuts(work.project),
    )


def _judging(
    work: _Work, request: RunRequest, checked: _Checked, folder: RunFolder, display: Display
) -> Judging:
    """What judges the run; models of baselines are measured, and seeds run, beside it."""
    beside = BesideRun(
        work.project,
        work.plan,
        folder,
        cache=checked.ready.cache,
        request=request,
        tell=display.noticed,
    )
    return Judging(
        work.project,
        work.plan,
        os.environ,
        mask_for,
        remeasure=beside.remeasure,
        seeding=beside,
        confirm=beside.confirm,
    )


def _execute(
    work: _Work,
    request: RunRequest,
    checked: _Checked,
    context: RunContext,
    *,
    display: Display,
    judging: Judging,
) -> RunRecord:
    """Run the plan, and conclude the run."""
    project, plan, notebooks, folder = work.project, work.plan, work.notebooks, context.folder

    def judge_run(record: RunRecord) -> RunRecord:
        try:
            return judging.with_verdict(record)
        except KeyboardInterrupt:
            # Its steps have passed; resumed, it goes on with what is carried out beside it.
            return replace(record, result="interrupted")

    def publish_run(judged: RunRecord) -> None:
        # Who reads the report of a CI cannot ask for the pages of reused steps later. A build that
        # is aborted has a few seconds.
        is_whole = request.build_files is not None and judged.result != "interrupted"
        if is_whole:
            bring_notebooks(folder, judged, checked.ready.cache, checked.ready.index)
        material = publish(project, folder, plan, notebooks, judged, reused_too=is_whole)
        if request.build_files is not None:
            from nbci.app.build_files import write_build_files

            write_build_files(
                request.build_files, project, folder, material, gates=request.gates_count
            )

    def conclude_run(record: RunRecord) -> RunRecord:
        return conclude(project, folder, record, judge=judge_run, publish=publish_run)

    options = RunOptions(
        jobs=checked.jobs,
        keep_going=plan.keep_going if request.keep_going is None else request.keep_going,
        taken_over=checked.taken_over,
        tick=display.tick,
        conclude=conclude_run,
        preparations=prepare_publishing(plan),
    )
    # Before the first step: a run that is killed at any moment is resumed by its plan.
    folder.write_plan(plan)
    begun = header(folder.run, plan, project.root, request.command, checked.ready.mask)
    return run_plan(context, replace(begun, chosen=work.chosen), options)


def _note_for_later(
    work: _Work,
    request: RunRequest,
    presentation: Presentation,
    context: RunContext,
    *,
    judging: Judging,
    record: RunRecord,
) -> None:
    """Write down what the next run, or DVC, needs to see that nothing has changed."""
    if request.for_dvc:
        from nbci.engine.dvc_stage import write_notes_of

        write_notes_of(work.project, work.plan, record, request.only)
    # A resumed run has no target to be remembered by; a fork's rules may change at any time. A run
    # with the same values that nobody asked for as a trial, or that no decision started, claims
    # nothing of a search or a reason.
    elif (
        not (request.resume or work.chosen or request.because)
        and request.is_of_project
        and work.plan.fork is None
    ):
        remember_run(request, context, record, judging, presentation.summary_of)
