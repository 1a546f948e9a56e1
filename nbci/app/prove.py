"""Prove a run: carry it out once more without any kept result, and compare what both gave."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from nbci.app.compare_proof import compare_runs
from nbci.app.exit_codes import exit_code
from nbci.app.provable_run import ProvableRun, find_provable_run, plan_again
from nbci.app.publish import publish_report
from nbci.config import find_project
from nbci.data.repository import dvc_objects, project_cache
from nbci.data.sharing import share
from nbci.engine.observed.before_resume import first_change
from nbci.engine.prepare import header
from nbci.engine.ready import make_ready
from nbci.engine.run import RunOptions, run_plan
from nbci.engine.steps.declared_files import stands
from nbci.errors import ExitCode, UsageError
from nbci.kernels.descriptors import kernels_at_once
from nbci.pipeline.paths import overlaps_any
from nbci.project.sources import read_notebooks
from nbci.proofs.tolerance import Tolerance
from nbci.runs.project_runs import new_belonging_run
from nbci.runs.proofs import write_proof
from nbci.store.cache import Cache
from nbci.store.file_index import project_index
from nbci.workspaces.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nbci.engine.context import RunContext
    from nbci.engine.listener import Display
    from nbci.engine.ready import Ready
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.workspaces.workspace import Workspace

_NO_ANSWER = (
    ExitCode.INTERRUPTED,
    ExitCode.INFRASTRUCTURE,
    ExitCode.INTEGRITY,
    # A lock file that gives no environment here says nothing of the run.
    ExitCode.USAGE,
)


class ProofRequest(NamedTuple):
    """One call of `nbci prove`; without `steps` all of the run's are carried out again."""

    run: str
    steps: tuple[str, ...]
    jobs: int | None
    tolerance: float
    command: tuple[str, ...]


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
    plan = plan_again(run, request.steps)
    # Nobody may resume or remove it meanwhile, or prove it at the same time.
    if not run.folder.hold():
        raise UsageError(
            f"run {run.folder.run} is in use: it goes on, or is being proved",
            hint="try again when that has ended",
        )
    try:
        proving = _carry_out(run, plan, request, open_display)
        if proving.proof is not None and (run.folder.report / "index.html").exists():
            publish_report(run.project, run.folder, run.plan, run.record)
    finally:
        run.folder.release()
    return proving


def _carry_out(
    run: ProvableRun, plan: Plan, request: ProofRequest, open_display: Callable[[Path], Display]
) -> Proving:
    folder = new_belonging_run(run.folder)
    try:
        with open_workspace(run.project, folder.run, run.contents(plan)) as workspace:
            again = _Again(run, plan, workspace, folder)
            cache = again.make_cache()
            _bring_data(run, plan, workspace, cache)
            ready = again.make_ready(cache, _check_code(run, plan, workspace))
            display = open_display(folder.path.parent)
            try:
                return again.run(ready, request, display)
            finally:
                display.close()
    finally:
        folder.release()
        # What was refused before it began has left nothing to look at.
        if not folder.has_begun:
            folder.discard()


def _bring_data(run: ProvableRun, plan: Plan, workspace: Workspace, cache: Cache) -> None:
    """Put back data that is not, or no longer, as the run had it, where it is kept by digest."""
    root, index, artifacts = (
        workspace.project.root,
        project_index(workspace.project),
        cache.artifacts,
    )
    for record in run.record.steps:
        for ref in record.deps:
            # What another step makes comes of that step.
            if overlaps_any(ref.path, plan.writes) or stands(root, ref, index):
                continue
            if artifacts.has(ref) and not artifacts.missing_objects(ref.digest):
                artifacts.restore(root, ref, index)
    # The next ones that ask for digests need not read all files again.
    index.save()


def _check_code(run: ProvableRun, plan: Plan, workspace: Workspace) -> Mapping[str, TaggedNotebook]:
    """The notebooks, where the workspace has all that the run used; UsageError where not."""
    try:
        notebooks = read_notebooks(workspace.project, plan.sources or {})
    except UsageError as error:
        raise run.refusal(error) from error
    changed = first_change(workspace.project, plan, run.folder, os.environ, without_outs=True)
    if changed is not None:
        what = UsageError(f"{changed.what} has changed since step {changed.step.name} used it")
        raise run.refusal(what)
    return notebooks


class _Again(NamedTuple):
    """A run, the plan to carry out again, the workspace for it, and the folder of its records."""

    before: ProvableRun
    plan: Plan
    workspace: Workspace
    folder: RunFolder

    def make_cache(self) -> Cache:
        """A cache of its own, in which no earlier result is but those that are taken over."""
        project = self.before.project
        known = user_results(self.before)
        others = [known.own]
        dvc = dvc_objects(project)
        if dvc is not None:
            others.append(dvc)
        cache = Cache(self.workspace.cache, others=tuple(others))
        for record in self._taken_over().values():
            for ref in record.gives:
                _bring(known, cache, ref.object, record.name)
        return cache

    def make_ready(self, cache: Cache, notebooks: Mapping[str, TaggedNotebook]) -> Ready:
        """What the steps need on this machine, looked up."""
        return make_ready(
            self.workspace.project, self.plan, notebooks, cache=cache, environ=os.environ
        )

    def _taken_over(self) -> dict[str, StepRecord]:
        """The results of the run itself for steps that are not to run again."""
        taken = {}
        for step in self.plan.steps:
            record = self.before.record.step(step.name)
            if step.action == "reuse" and record is not None:
                taken[step.name] = record
        return taken

    def run(self, ready: Ready, request: ProofRequest, display: Display) -> Proving:
        """Run the plan, compare, and write the proof."""
        context = ready.begin(
            self.folder,
            display,
            log=self.folder.path / "events.jsonl",
            # Also two steps that are alike run both.
            forced=lambda _: True,
            checkout=self.workspace.checkout,
        )
        options = RunOptions(
            jobs=_jobs(self.before, self.plan, request.jobs),
            keep_going=True,
            taken_over=self._taken_over(),
            tick=display.tick,
        )
        self.folder.write_plan(self.plan)
        record = run_plan(context, self._header(ready, request), options)
        if exit_code(record) in _NO_ANSWER:
            return Proving(record, self.folder, None)
        return Proving(record, self.folder, self._prove(context, record, request))

    def _header(self, ready: Ready, request: ProofRequest) -> RunRecord:
        begun = header(
            self.folder.run, self.plan, self.before.project.root, request.command, ready.mask
        )
        # The code is that of the first run, whatever is checked out by now.
        return replace(
            begun, parent=self.before.folder.run, role="proof", git=self.before.record.git
        )

    def _prove(self, context: RunContext, record: RunRecord, request: ProofRequest) -> Proof:
        proof = compare_runs(
            self.before, context, record, Tolerance(request.tolerance), platform.node()
        )
        write_proof(self.folder, proof)
        return proof


def user_results(run: ProvableRun) -> Cache:
    """The cache that has what the run gave, with the remote's results where one is named."""
    cache = project_cache(run.project, os.environ)
    share(run.project, cache, os.environ)
    return cache


def _jobs(run: ProvableRun, plan: Plan, asked: int | None) -> int:
    jobs = asked or run.project.jobs or os.cpu_count() or 1
    return kernels_at_once(min(jobs, len(plan.steps)))


def _bring(known: Cache, cache: Cache, digest: str, step: str) -> None:
    """Have a value of the first run in the cache of the second."""
    if not cache.take_value(known, digest):
        raise UsageError(
            f"what step {step} gave is no longer kept",
            hint=f"let it run again, too: --steps {step},...",
        )
