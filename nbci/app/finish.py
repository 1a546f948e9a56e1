"""Make a run of the steps that `nbci step` ran on agents: take in, gather, conclude, hand over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nbci.app.build_files import (
    add_deployments,
    clear_build_files,
    write_build_files,
    write_shown_outputs,
)
from nbci.app.conclusion import conclude
from nbci.app.exit_codes import exit_code
from nbci.app.publish import publish, publish_report
from nbci.config import find_project
from nbci.data.sharing import share
from nbci.engine.caching.reuse import bring_notebooks
from nbci.engine.distributed.gather_parts import gather_parts, keep_outs
from nbci.engine.distributed.handover import take_handovers
from nbci.engine.distributed.run_parts import open_store
from nbci.engine.imports import place_imports
from nbci.engine.prepare import mask_for
from nbci.errors import ExitCode, InfrastructureError, IntegrityError, NbciError
from nbci.gates.judging import Judging, check_readers
from nbci.project.sources import read_notebooks
from nbci.runs.plan_file import read_plan
from nbci.store.cache import Cache
from nbci.store.file_index import project_index
from nbci.trust.target_branch import project_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.app.reruns.parts import Parts
    from nbci.app.reruns.seed_part import FinishedSeeds
    from nbci.config import Project
    from nbci.gates.baseline import Baseline
    from nbci.gates.remeasuring import Wanted
    from nbci.pipeline.model import TaggedNotebook
    from nbci.plan.model import Plan
    from nbci.promotion.promote import Promotion
    from nbci.records.run_record import Remeasured, RunRecord
    from nbci.records.seeds import BaselineSeeds, SeedRuns
    from nbci.report.data.material import Material
    from nbci.runs.folder import RunFolder


class FinishRequest(NamedTuple):
    """One call of `nbci finish`; the fields are its options, paths as they were given.

    `lost` has the tries of stages whose machine vanished in each. `build_files` and
    `shown_outputs` are folders for what a CI shows. `warn` takes what the report lacks, `tell`
    what is carried out beside the run.
    """

    plan: Path
    store: str | None
    bring: Path | None
    command: Sequence[str]
    stopped_by: str | None
    lost: Mapping[int, int]
    build_files: Path | None
    shown_outputs: Path | None
    gates_count: bool
    warn: Callable[[str], None]
    tell: Callable[[str], None]


class FinishedRun(NamedTuple):
    """The run that the steps became."""

    project: Project
    plan: Plan
    folder: RunFolder
    record: RunRecord
    exit_code: ExitCode


def finish(request: FinishRequest) -> FinishedRun:
    """Gather, judge, publish and hand over; repeated with the same store, it is the same run."""
    if request.build_files is not None:
        clear_build_files(request.build_files)
    plan = read_plan(request.plan)
    project = project_for(find_project(Path.cwd()), plan, os.environ)
    place_imports(project, plan)
    # Before the run has its folder: sources that changed since the plan are refused here.
    notebooks = read_notebooks(project, plan.sources or {})
    check_readers(plan)
    store = _filled_store(request, project, plan)
    folder, record = gather_parts(
        project,
        plan,
        store,
        command=request.command,
        environ=os.environ,
        stopped_by=request.stopped_by,
        lost=request.lost,
    )
    try:
        # Before it is judged: a baseline that cannot be read must not cost the run its record.
        folder.write_run(record)
        record, material = _conclude(
            request, project, plan, notebooks, store=store, folder=folder, record=record
        )
        _hand_over(request, project, folder, material)
        _note_outcome(request, project, record)
    finally:
        folder.release()
    return FinishedRun(project, plan, folder, record, exit_code(record, gates=request.gates_count))


def _note_outcome(request: FinishRequest, project: Project, record: RunRecord) -> None:
    """Tell the decision that started the run, where one did; the run stands without that, too."""
    if record.because is None:
        return
    # Hardly any run was started by a decision.
    from nbci.app.retraining.note_events import explain_unnoted, note_outcome

    try:
        note_outcome(project, record)
    except NbciError as error:
        request.warn(explain_unnoted(error, record))


def _filled_store(request: FinishRequest, project: Project, plan: Plan) -> RunFolder:
    """The store, with what the steps left in other folders."""
    store = open_store(project, plan, request.store)
    if request.bring is not None:
        take_handovers(request.bring, store)
    return store


def _conclude(
    request: FinishRequest,
    project: Project,
    plan: Plan,
    notebooks: Mapping[str, TaggedNotebook],
    *,
    store: RunFolder,
    folder: RunFolder,
    record: RunRecord,
) -> tuple[RunRecord, Material]:
    """The judged run, and what its report is made of."""
    published: list[Material] = []

    def publish_run(judged: RunRecord) -> None:
        keep_outs(project, judged, store, os.environ)
        _bring_notebooks(request, project, folder, judged, store)
        # who reads the report of a CI cannot ask for the pages of reused steps later
        published.append(publish(project, folder, plan, notebooks, judged, reused_too=True))

    beside = _BesideParts(request, project, plan, store, folder)
    judging = Judging(
        project,
        plan,
        os.environ,
        mask_for,
        # The outs of the run are in its store until it is published.
        others=(Cache(store.path).own,),
        remeasure=beside.remeasure,
        seeding=beside,
        confirm=beside.confirm,
    )
    record = conclude(project, folder, record, judge=judging.with_verdict, publish=publish_run)
    return record, published[0]


class _BesideParts(NamedTuple):
    """What the parts have left beside the run's own steps; what reads it is imported for that."""

    request: FinishRequest
    project: Project
    plan: Plan
    store: RunFolder
    folder: RunFolder

    def remeasure(self, record: RunRecord, wanted: Wanted) -> Remeasured:
        """The baseline's model on the data of the run, or why it cannot be measured."""
        from nbci.app.reruns.remeasure_part import measure_finished

        parts = self._parts()
        return measure_finished(parts, parts.run_in(self.folder, record), wanted)

    def run_seeds(self, record: RunRecord) -> SeedRuns:
        """The run with each of its seeds, or why there is its own only."""
        return self._seeds().run_seeds(record)

    def baseline_seeds(self, record: RunRecord, baseline: Baseline) -> BaselineSeeds:
        """The baseline with the seeds of the run, on its data, or why that cannot be."""
        return self._seeds().baseline_seeds(record, baseline)

    def confirm(self, record: RunRecord) -> RunRecord:
        """The record of a chosen trial with what it gives where no trial has looked."""
        from nbci.app.reruns.confirm import confirm_finished

        parts = self._parts()
        return confirm_finished(parts, parts.run_in(self.folder, record))

    def _seeds(self) -> FinishedSeeds:
        from nbci.app.reruns.seed_part import FinishedSeeds

        return FinishedSeeds(parts=self._parts(), folder=self.folder)

    def _parts(self) -> Parts:
        from nbci.app.reruns.parts import Parts

        return Parts(
            project=self.project,
            plan=self.plan,
            store=self.store,
            environ=os.environ,
            command=tuple(self.request.command),
            tell=self.request.tell,
        )


def _bring_notebooks(
    request: FinishRequest,
    project: Project,
    folder: RunFolder,
    record: RunRecord,
    store: RunFolder,
) -> None:
    """Bring those of reused steps; what cannot be brought is missed in the report, nowhere else."""
    cache = Cache(store.path)
    try:
        share(project, cache, os.environ, for_other_machines=True)
        bring_notebooks(folder, record, cache, project_index(project))
    except (InfrastructureError, IntegrityError) as error:
        request.warn(f"the report lacks notebooks of reused steps: {error}")


def _hand_over(
    request: FinishRequest, project: Project, folder: RunFolder, material: Material
) -> None:
    """Put where a CI takes it from: the report, how the build ends, and what cells showed."""
    if request.build_files is not None:
        # What a step without cache has made may be in the store only.
        store = open_store(project, material.run.plan, request.store)
        write_build_files(
            request.build_files,
            project,
            folder,
            material,
            gates=request.gates_count,
            others=(Cache(store.path).own,),
        )
    if request.shown_outputs is not None:
        write_shown_outputs(request.shown_outputs, folder, material.run.plan)


def promote_finished(request: FinishRequest, run: FinishedRun, model: str | None) -> Promotion:
    """Promote a model of the finished run, and publish its release in the run's report.

    ElsewhereError on a branch that nothing is promoted from: a job of all branches asks on each.
    """
    from nbci.app.promote_run import promote_run
    from nbci.promotion.promote import Request

    project, folder = run.project, run.folder
    done = promote_run(project, folder, Request(model=model), os.environ)
    material = publish_report(project, folder, folder.read_plan(), folder.read(), reused_too=True)
    # What was handed over before does not show the release.
    if request.build_files is not None and material is not None:
        _hand_over(request, project, folder, material)
    if request.build_files is not None:
        add_deployments(request.build_files, project, run.plan.target, done)
    return done
