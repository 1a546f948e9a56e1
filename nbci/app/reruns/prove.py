"""Prove a run: carry it out once more without any kept result, and compare what both gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbci.app.exit_codes import exit_code
from nbci.app.publish import publish_report
from nbci.app.reruns.compare_proof import compare_runs
from nbci.app.reruns.earlier_run import find_earlier_run, plan_steps_again
from nbci.app.reruns.find_cause import CauseSearch, add_cause
from nbci.app.reruns.interrupted_proof import (
    discard_interrupted,
    ended_steps,
    find_interrupted,
    is_over,
)
from nbci.app.reruns.rerun import RerunOptions, open_rerun
from nbci.config import find_project
from nbci.data.repository import dvc_objects
from nbci.errors import ExitCode, UsageError
from nbci.formatting.numbers import counted, listed
from nbci.proofs.tolerance import Tolerance
from nbci.runs.project_runs import find_run
from nbci.runs.proofs import write_proof
from nbci.store.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.app.reruns.rerun import Rerun
    from nbci.config import Project
    from nbci.engine.listener import Display
    from nbci.engine.ready import Ready
    from nbci.plan.model import Plan
    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder

_NAMED = 5

_NO_ANSWER = (
    ExitCode.INTERRUPTED,
    ExitCode.INFRASTRUCTURE,
    ExitCode.INTEGRITY,
    # A lock file that gives no environment here says nothing of the run.
    ExitCode.USAGE,
)


class ProofRequest(NamedTuple):
    """One call of `nbci prove`; without `steps` all of the run's are carried out again.

    `cause_seconds` is how long the cause of a difference is looked for, None for not at all. One
    that `resumes` takes up the last proof of these steps where that was interrupted.
    """

    run: str
    steps: tuple[str, ...]
    jobs: int | None
    tolerance: float
    command: tuple[str, ...]
    cause_seconds: float | None
    resumes: bool


class Proving(NamedTuple):
    """A run that was carried out again; `proof` is None where that came to no end by itself."""

    record: RunRecord
    folder: RunFolder
    proof: Proof | None

    @property
    def exit_code(self) -> ExitCode:
        """0 where the run was reproduced, 1 where it was not."""
        if self.proof is None:
            return exit_code(self.record)
        if self.proof.agreement == "different":
            return ExitCode.STEP_FAILED
        return ExitCode.SUCCESS


def prove(request: ProofRequest, open_display: Callable[[Path], Display]) -> Proving:
    """Carry the run out again in a workspace of its own, compare, and write the proof down.

    UsageError where that cannot be. `open_display` gets the folder that the run's folder is in.
    """
    run = find_provable_run(find_project(Path.cwd()), request.run)
    plan = plan_proof(run, request.steps)
    # Nobody may resume or remove it meanwhile, or prove it at the same time.
    if not run.folder.hold():
        raise UsageError(
            f"run {run.folder.run} is in use: it goes on, or is being proved",
            hint="try again when that has ended",
        )
    try:
        if not request.resumes:
            discard_interrupted(run, plan)
        taken_up = find_interrupted(run, plan)
        with open_rerun(run, plan, taken_up=taken_up, is_over=is_over) as rerun:
            proving = _carry_out(rerun, request, open_display)
        if proving.proof is not None and (run.folder.report / "index.html").exists():
            publish_report(run.project, run.folder, run.plan, run.record)
    finally:
        run.folder.release()
    return proving


def find_provable_run(project: Project, name: str) -> EarlierRun:
    """The run of that id, its beginning or `latest`.

    UsageError where it cannot be proved, IntegrityError where its records were altered.
    """
    run = find_earlier_run(project, find_run(project, name))
    run.refuse_unfit("nothing can be proved", "prove")
    return run


def plan_proof(run: EarlierRun, names: tuple[str, ...]) -> Plan:
    """The plan of a proof of all of the run's steps, or of the named ones.

    UsageError where the run skipped all of them.
    """
    plan = plan_steps_again(run, names, "it is proved")
    if not any(step.action == "run" for step in plan.steps):
        asked = listed(names or run.plan.names, _NAMED)
        raise UsageError(f"run {run.folder.run} skipped {asked}, so there is nothing to prove")
    return plan


def _carry_out(
    rerun: Rerun, request: ProofRequest, open_display: Callable[[Path], Display]
) -> Proving:
    run, folder = rerun.before, rerun.folder
    known = run.open_cache()
    cache = _make_cache(rerun, known)
    rerun.bring_data(cache)
    try:
        notebooks = rerun.read_code()
    except UsageError as error:
        raise run.refusal(error, "proved") from error
    ready = rerun.make_ready(notebooks, cache)
    display = open_display(folder.path.parent)
    ended = ended_steps(folder)
    if ended:
        display.noticed(
            f"proof {folder.run} was interrupted and goes on: {counted(ended, 'step')} had ended"
        )
    try:
        return _run_and_compare(rerun, ready, known, request, display)
    finally:
        display.close()


def _run_and_compare(
    rerun: Rerun, ready: Ready, known: Cache, request: ProofRequest, display: Display
) -> Proving:
    options = RerunOptions(
        role="proof",
        command=request.command,
        jobs=request.jobs,
        # Also two steps that are alike run both.
        forced=lambda _: True,
    )
    context, record = rerun.run(ready, options, display)
    if exit_code(record) in _NO_ANSWER:
        return Proving(record, rerun.folder, None)
    tolerance = Tolerance(request.tolerance)
    proof = compare_runs(rerun.before, known, context, record, tolerance)
    # That they differ stands, whatever becomes of the search for the cause.
    write_proof(rerun.folder, proof)
    if proof.agreement == "different" and request.cause_seconds is not None:
        search = CauseSearch(
            rerun=rerun,
            context=context,
            known=known,
            tolerance=tolerance,
            within_seconds=request.cause_seconds,
            tell=display.noticed,
        )
        proof = add_cause(search, proof)
        write_proof(rerun.folder, proof)
    return Proving(record, rerun.folder, proof)


def _make_cache(rerun: Rerun, known: Cache) -> Cache:
    """A cache of its own, in which no earlier result is but those that are taken over."""
    others = [known.own]
    dvc = dvc_objects(rerun.before.project)
    if dvc is not None:
        others.append(dvc)
    cache = Cache(rerun.workspace.cache, others=tuple(others))
    for record in rerun.taken_over.values():
        for given in record.gives:
            _bring(known, cache, given.object, record.name)
        for out in record.outs:
            # One that only the remote has comes to where the others are looked for.
            known.artifacts_of(record).missing_objects(out.digest)
    return cache


def _bring(known: Cache, cache: Cache, digest: str, step: str) -> None:
    """Have a value of the first run in the cache of the second."""
    if not cache.take_value(known, digest):
        raise UsageError(
            f"what step {step} gave is no longer kept",
            hint=f"let it run again, too: --steps {step},...",
        )
