"""Where trials are carried out, one after another: a private workspace, the same for each."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.app.reruns.rerun import clear_written
from nbci.engine.listener import Aside
from nbci.engine.prepare import plan_again
from nbci.engine.ready import make_ready
from nbci.engine.run import OngoingRun, RunOptions
from nbci.formatting.durations import now_utc
from nbci.pipeline.metric_names import step_of
from nbci.pipeline.paths import is_in
from nbci.pipeline.rules import declared_for
from nbci.plan.asked_metrics import with_asked_metrics
from nbci.plan.model import NOT_ASKED_FOR
from nbci.plan.select import Selection, select
from nbci.runs.file_names import EVENTS_FILE
from nbci.runs.project_runs import new_trial
from nbci.sweeps.study_record import FROM_SWEEP
from nbci.workspaces.copy_files import Copying
from nbci.workspaces.workspace import Originals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from nbci.app.sweeps.trial_watch import TrialWatch
    from nbci.engine.kernel_source import KernelSource
    from nbci.engine.ready import Ready
    from nbci.engine.steps.gpu import GpuPool
    from nbci.engine.steps.side_by_side import SideBySide
    from nbci.pipeline.model import TaggedNotebook
    from nbci.pipeline.rules import DeclaredMetric
    from nbci.pipeline.rules import Direction as BetterWay
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord
    from nbci.workspaces.workspace import Workspace


class Shared(Struct, frozen=True, kw_only=True):
    """What the trials of a sweep share; `header` is the record that each of them begins with.

    `folder` is the sweep's, `jobs` how many steps may run at once in all of them together.
    """

    sweep: SweepRecord
    target: Target
    folder: Path
    header: RunRecord
    cache: Cache
    kernels: KernelSource
    gpus: GpuPool
    others: SideBySide
    jobs: int
    tell: Callable[[str], None]
    step_begun: Callable[[int, str], None]


class Lane:
    """A workspace in which one trial at a time is carried out."""

    def __init__(
        self,
        name: str,
        shared: Shared,
        workspace: Workspace,
        notebooks: Mapping[str, TaggedNotebook],
        without: tuple[str, ...],
    ) -> None:
        """`without` are the paths of the checkout that the workspace does not have."""
        self.name = name
        self._shared = shared
        self._without = without
        self._workspace = workspace
        self._notebooks = notebooks
        # Opened by the first trial, for all: the watches of a folder take a while to set up.
        self._kernels = shared.kernels.lend(workspace.project.root)
        self._originals = Originals(workspace.project.root)
        self._ongoing: OngoingRun | None = None

    def interrupt(self) -> None:
        """End the kernels of the trial that goes on here, if one does."""
        if self._ongoing is not None:
            self._ongoing.interrupt()

    def close(self) -> None:
        """End the watches of the workspace."""
        self._kernels.close()

    async def carry_out(
        self,
        number: int,
        point: Point,
        watch: TrialWatch | None = None,
        continued: FileRef | None = None,
    ) -> RunRecord:
        """The record of the trial's run, which `watch` may stop.

        The step that writes the out `continued` finds it there as it was then, and may go on.

        UsageError where it cannot be planned with these values.
        """
        plan = plan_trial(self._shared.sweep, self._shared.target, point)
        ready = make_ready(
            self._workspace.project,
            plan,
            self._notebooks,
            cache=self._shared.cache,
            environ=os.environ,
        )
        folder = new_trial(self._shared.folder)
        try:
            record = await self._run(number, plan, ready, folder, watch=watch, continued=continued)
        finally:
            self._ongoing = None
            folder.release()
            if not folder.has_begun:
                # What was refused before a step began is no run.
                folder.discard()
        # The next trial here need not read files again that have not changed.
        ready.index.save()
        self._clear(plan, record)
        return record

    async def _run(
        self,
        number: int,
        plan: Plan,
        ready: Ready,
        folder: RunFolder,
        *,
        watch: TrialWatch | None,
        continued: FileRef | None,
    ) -> RunRecord:
        shared = self._shared
        begun = partial(shared.step_begun, number)
        display = Aside(shared.tell, f"trial {number}", begun)
        context = ready.begin(
            folder, display, log=folder.path / EVENTS_FILE, checkout=self._workspace.checkout
        )
        # What a run by itself has of its own, and these share.
        context = replace(
            context,
            kernels=self._kernels,
            gpus=shared.gpus,
            others=shared.others,
            watch=watch and watch.listen,
            continued=continued,
        )
        shared.others.files.name(folder.run, f"trial {number}")
        folder.write_plan(plan)
        # What differs from trial to trial; the rest was asked of git once.
        header = replace(
            shared.header,
            run=folder.run,
            started_utc=now_utc(),
            params=plan.params,
            parent=shared.sweep.sweep,
            role="trial",
        )
        # Without `keep_going`: a trial of which a step failed has no value that counts.
        run = self._ongoing = OngoingRun(context, header, RunOptions(jobs=shared.jobs))
        if watch is None:
            await run.execute()
        else:
            watch.look_in(self._workspace.project.root, plan)
            await watch.attend(run, display.noticed)
        run.conclude()
        if watch is not None:
            self._show_reused(run.record, ready, watch)
            await watch.finish(run.record, display.noticed)
        return run.record

    def _show_reused(self, record: RunRecord, ready: Ready, watch: TrialWatch) -> None:
        """Show what steps printed whose results were there already: it counts like any other."""
        for step in record.steps:
            if step.result != "reused":
                continue
            place = self._shared.cache.notebook_of(step, ready.index)
            if place is not None:
                watch.replay(step.name, json.loads(place.read_bytes()))

    def _clear(self, plan: Plan, record: RunRecord) -> None:
        """Make the workspace what it was, so that the next trial begins with the same files."""
        undeclared = {*clear_written(self._workspace, plan, record)}
        # Only a step that came to its end tells what it wrote.
        if any(step.result == "failed" for step in record.steps):
            deps = [path for step in plan.steps for path in step.deps]
            undeclared.update(self._originals.clear(kept=deps))
        # A step may have written over a file of the project.
        root = self._workspace.project.root
        without = (*self._without, *plan.writes)
        Copying(self._workspace.checkout, root, lambda path: not is_in(path, without)).bring(
            undeclared
        )


def plan_trial(sweep: SweepRecord, target: Target, point: Point) -> Plan:
    """The plan of the target with the values of a point.

    Where the objectives name their steps, those and what they need; and what trials are stopped by.
    """
    plan = plan_again(
        target,
        sweep.params,
        point,
        environ=os.environ,
        source=FROM_SWEEP,
        kernel=sweep.kernel,
        lock=sweep.environment,
    )
    # A notebook without a metrics cell has the objective in a variable.
    plan = with_asked_metrics(plan, [objective.metric for objective in sweep.objectives])
    # Nothing judges a trial, but people compare them.
    plan = replace(plan, metrics=_declared(sweep, target.pipeline.metrics))
    metrics = [objective.metric for objective in sweep.objectives]
    steps = []
    # Without a step it is that of any that runs anyway.
    if sweep.prune is not None and step_of(sweep.prune.on) is not None:
        metrics.append(sweep.prune.on)
    for metric in metrics:
        step = step_of(metric)
        if step is None:
            return plan
        steps.append(step)
    # What comes behind the objectives would run in every trial and decide nothing.
    return select(plan, Selection(until=tuple(dict.fromkeys(steps))))


def steps_of_trials(plan: Plan) -> dict[str, str]:
    """The steps that a trial of that plan carries out, each with its node."""
    # A condition leaves a step out at some points only.
    return {step.name: step.node for step in plan.steps if step.reason != NOT_ASKED_FOR}


def _declared(
    sweep: SweepRecord, metrics: Mapping[str, DeclaredMetric]
) -> dict[str, DeclaredMetric]:
    """What is declared of metrics; of the objectives, the sweep knows which way is better."""
    declared = dict(metrics)
    for objective in sweep.objectives:
        direction: BetterWay = "up" if objective.direction == "maximize" else "down"
        before = declared_for(objective.metric, metrics)
        declared[objective.metric] = replace(before, direction=direction)
    return declared
