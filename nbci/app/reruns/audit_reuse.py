"""Audit reuse: run steps again whose kept results a run is about to use, and compare."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from nbci.app.reruns.audit_cause import ThreeTimes, audit_cause, places_configured, suspects
from nbci.app.reruns.compare_proof import StepComparison
from nbci.app.reruns.earlier_run import EarlierRun
from nbci.engine.event_log import EventLog
from nbci.engine.listener import Listeners
from nbci.engine.prepare import header
from nbci.engine.steps.step import run_step
from nbci.errors import InfrastructureError, IntegrityError, NbciError
from nbci.formatting.durations import now_utc
from nbci.proofs.audits import found_sentence, settled_sentence, unknown_sentence
from nbci.proofs.compare_steps import Both
from nbci.proofs.tolerance import Tolerance
from nbci.records.run_record import StepRecord
from nbci.records.step_audit import StepAudit
from nbci.runs.file_names import EVENTS_FILE
from nbci.runs.project_runs import new_belonging_run
from nbci.store.cache import Cache
from nbci.store.file_index import project_index
from nbci.workspaces.workspace import open_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.audit_draw import Draw
    from nbci.engine.context import RunContext
    from nbci.engine.ready import Ready
    from nbci.engine.steps.inputs import Inputs
    from nbci.plan.model import PlannedStep
    from nbci.records.proof import Item, StepProof
    from nbci.records.run_record import RunResult
    from nbci.runs.folder import RunFolder
    from nbci.secrets import Mask
    from nbci.workspaces.workspace import Contents, Workspace

_TOLERANCE = Tolerance()


class _Again(NamedTuple):
    """A step that ran again: what `kept` said of it, and what `record` says now.

    `ending` removes the workspace that it ran in, which is that of `context`.
    """

    context: RunContext
    kept: StepRecord
    record: StepRecord
    proof: StepProof
    ending: contextlib.ExitStack


class Auditing:
    """Audits the steps that are drawn for a run, each in a workspace of its own.

    What was run again is a run that belongs to `run`; `end` writes its record, or removes it where
    `run` is carried on elsewhere, and takes the records of its own steps only.
    """

    def __init__(
        self,
        ready: Ready,
        run: RunFolder,
        draw: Draw,
        command: Sequence[str],
        *,
        is_carried_on: bool = False,
    ) -> None:
        self._ready = ready
        self._run = run
        self._draw = draw
        self._command = command
        self._is_carried_on = is_carried_on
        self._audits: _AuditRun | None = None
        self._differing: dict[str, _Again] = {}

    def draws(self, key: str) -> bool:
        """Whether a step with this key is audited in this run; each time the same answer."""
        return self._draw.takes(key)

    async def audit(
        self, context: RunContext, step: PlannedStep, inputs: Inputs, kept: StepRecord
    ) -> StepAudit:
        """Run the step again beside the user's files, and compare with what is kept."""
        context.listener.noticed(f"step {step.name} is audited: it runs again in a workspace")
        try:
            again = await self._run_again(self._begin(), context, step, inputs, kept)
        except (NbciError, OSError) as error:
            sentence = unknown_sentence(context.mask.text(str(error)))
            context.listener.noticed(f"step {step.name}: {sentence}")
            return StepAudit(kept=kept.run or "", run=self._shown_run(step), sentence=sentence)
        return self._judge(context, step, again)

    def _judge(self, context: RunContext, step: PlannedStep, again: _Again) -> StepAudit:
        """What the comparison comes to; a kept result that is wrong is distrusted from now on."""
        proof, kept = again.proof, again.kept.run or ""
        audit = StepAudit(
            kept=kept,
            run=self._shown_run(step),
            agreement=proof.agreement,
            sentence=found_sentence(proof, kept, _TOLERANCE.relative),
            items=proof.items,
        )
        if proof.agreement == "different":
            self._differing[step.name] = again
            # What it opens there counts for its new result, so that the next change is seen.
            context.watched.update(again.context.watched)
            _distrust(context, again.kept)
        else:
            again.ending.close()
        if proof.agreement != "identical":
            context.listener.noticed(f"step {step.name}: {audit.sentence}")
        return audit

    async def settle(
        self, context: RunContext, step: PlannedStep, record: StepRecord, audit: StepAudit
    ) -> StepAudit:
        """The audit with its cause, now that the step ran in the run, too, to `record`."""
        again = self._differing.pop(step.name, None)
        if again is None:
            return audit
        comparison = StepComparison(
            again.context, context.cache, str(context.project.root), _TOLERANCE
        )
        with again.ending:
            records = ThreeTimes(kept=again.kept, again=again.record, now=record)
            cause = await audit_cause(step, records, comparison)
        if cause == "chance":
            _distrust(context, again.kept, unsteady=True)
        found: tuple[str, ...] = ()
        if cause is not None:
            found = suspects(step, again.kept, again.record, str(context.project.root))
        return replace(
            audit,
            cause=cause,
            suspects=found,
            sentence=settled_sentence(audit.sentence, cause, found),
        )

    def _shown_run(self, step: PlannedStep) -> str:
        """The run in which the step ran again; empty where none will be left of it."""
        if self._audits is None or self._is_carried_on or not self._audits.has(step):
            return ""
        return self._audits.folder.run

    def _begin(self) -> _AuditRun:
        if self._audits is None:
            self._audits = _AuditRun(self._ready, self._run, self._command)
        self._audits.begin()
        return self._audits

    async def _run_again(
        self,
        audits: _AuditRun,
        context: RunContext,
        step: PlannedStep,
        inputs: Inputs,
        kept: StepRecord,
    ) -> _Again:
        with contextlib.ExitStack() as stack:
            name = f"{audits.folder.run}-{step.name.replace('/', '%')}"
            opened = open_workspace(context.project, name, audits.contents(step, kept))
            workspace = await _enter_in_thread(stack, opened)
            again = self._context_in(workspace, audits, context, inputs)
            # A run has no time for this; where a result is another one, it may tell why.
            watched = tuple(places_configured(context, kept))
            kernels = stack.enter_context(context.kernels.in_folder(workspace.project.root))
            again = replace(again, kernels=kernels, watched={step.name: watched})

            record = await run_step(again, step)
            audits.records.append(record)
            _refuse_failed(context, record)
            again.records[step.name] = record
            comparison = StepComparison(again, context.cache, str(context.project.root), _TOLERANCE)
            proof = await comparison.compare(step, Both(before=kept, now=record))
            proof = replace(proof, items=tuple(_masked(item, context.mask) for item in proof.items))
            return _Again(again, kept, record, proof, stack.pop_all())

    def _context_in(
        self, workspace: Workspace, audits: _AuditRun, context: RunContext, inputs: Inputs
    ) -> RunContext:
        """What the step finds in the workspace; what it takes is brought there."""
        known = context.cache
        others = (known.artifacts.objects, *known.artifacts.others)
        cache = Cache(workspace.cache, others=others)
        for ref in inputs.loaded:
            if not cache.take_value(known, ref.object):
                raise IntegrityError(f"the value {ref.name}, which it takes, is no longer kept")
        ready = replace(
            self._ready,
            project=workspace.project,
            cache=cache,
            index=project_index(workspace.project),
        )
        begun = ready.begin(
            audits.folder,
            Listeners(()),
            log=audits.log_path,
            ended=context.records.values(),
            forced=lambda _: True,
            checkout=workspace.checkout,
        )
        return replace(
            begun,
            listener=audits.listener,
            environments=context.environments,
            gpus=context.gpus,
            stop=context.stop,
        )

    def end(self) -> None:
        """Remove what is left of workspaces, and write the record of what was run again."""
        for again in self._differing.values():
            again.ending.close()
        self._differing.clear()
        if self._audits is not None:
            self._audits.end(is_kept=not self._is_carried_on)


class _AuditRun:
    """The run that has the steps which were run again; it belongs to the one that audits."""

    def __init__(self, ready: Ready, parent: RunFolder, command: Sequence[str]) -> None:
        self._project, self._plan = ready.project, ready.plan
        self.folder = new_belonging_run(parent)
        self.log_path = self.folder.path / EVENTS_FILE
        self.listener = Listeners((EventLog(self.log_path),))
        self.records: list[StepRecord] = []
        begun = header(self.folder.run, ready.plan, ready.project.root, command, ready.mask)
        self._record = replace(begun, parent=parent.run, role="audit")
        self._started = time.monotonic()
        self._is_written = False

    def begin(self) -> None:
        """Write what makes it a run, where that is not done."""
        if not self._is_written:
            self.folder.write_plan(self._plan)
            self.folder.write_run(self._record)
            self._is_written = True

    def contents(self, step: PlannedStep, kept: StepRecord) -> Contents:
        """The files that the workspace of the step gets: those of the checkout, as they are now."""
        plan = replace(self._plan, steps=(step,))
        run = EarlierRun(
            project=self._project,
            folder=self.folder,
            record=replace(self._record, steps=(kept,)),
            plan=plan,
            commit=None,
        )
        return run.contents(plan)

    def has(self, step: PlannedStep) -> bool:
        """Whether the step has run."""
        return any(record.name == step.name for record in self.records)

    def end(self, *, is_kept: bool) -> None:
        """Write the record, and let go of the folder; without a step, nothing is left of it."""
        self.folder.free_reserve()
        try:
            # What the run says of its audits counts; this one is then shown as interrupted.
            with contextlib.suppress(InfrastructureError):
                if is_kept and self.records:
                    self._write_end()
                else:
                    self.folder.discard()
        finally:
            self.folder.release()

    def _write_end(self) -> None:
        ran = {record.name: record for record in self.records}
        steps = []
        for step in self._plan.steps:
            steps.append(ran.get(step.name) or StepRecord(name=step.name, result="skipped"))
        record = replace(
            self._record,
            steps=tuple(steps),
            result=self._result,
            ended_utc=now_utc(),
            seconds=round(time.monotonic() - self._started, 3),
        )
        self.folder.write_run(record)

    @property
    def _result(self) -> RunResult:
        outcomes = {record.outcome for record in self.records}
        if "interrupted" in outcomes:
            return "interrupted"
        if outcomes == {"passed"}:
            return "passed"
        return "failed"


async def _enter_in_thread(
    stack: contextlib.ExitStack, opened: contextlib.AbstractContextManager[Workspace]
) -> Workspace:
    """Make the workspace while other steps go on: to copy a large project takes seconds."""
    making = asyncio.create_task(asyncio.to_thread(stack.enter_context, opened))
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        # The thread cannot be stopped, and what it makes has to be removed.
        await asyncio.wait([making])
        raise


def _distrust(context: RunContext, kept: StepRecord, *, unsteady: bool = False) -> None:
    """Have nobody use the kept result any more, nor older ones; `unsteady`: later ones, too."""
    # The clock of the machine that made it may be ahead.
    until = max(now_utc(), kept.ended_utc or "")
    context.cache.distrust(kept.key or "", until, unsteady=unsteady)


def _masked(item: Item, mask: Mask) -> Item:
    """Files and metrics are compared as they are, and may hold a secret."""
    return replace(item, place=mask.text(item.place), reason=mask.text(item.reason))


def _refuse_failed(context: RunContext, record: StepRecord) -> None:
    """IntegrityError for a step that gave nothing to compare."""
    failure = record.failure
    if failure is None:
        return
    if failure.kind == "interrupted" or context.stop.reason is not None:
        # It was this task that was cancelled, and the step's own end has taken that up.
        raise asyncio.CancelledError
    raise IntegrityError(f"it failed when it ran again: {failure.message}")
