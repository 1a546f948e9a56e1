"""The attempts of a step: each in a kernel of its own, with delays between those that failed."""

from __future__ import annotations

import asyncio
import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from nbci.engine.observed.below import files_claimed, paths_named, with_opened
from nbci.engine.observed.kinds import surroundings_of
from nbci.engine.observed.meanwhile import changed_meanwhile, note_changes
from nbci.engine.steps.environment import InstallerFailed, LockRefused
from nbci.engine.steps.kernel_job import in_environment, kernel_job
from nbci.engine.steps.outcome import add_files, add_outcome, left_workspace, own_doing
from nbci.engine.steps.output_check import check_outputs
from nbci.errors import InfrastructureError, UsageError
from nbci.formatting.durations import now_utc
from nbci.kernels.execute import run_job
from nbci.records.run_record import Attempt, CellRun, Failure, StepRecord
from nbci.runs.file_names import ATTEMPTS_FOLDER, JOURNAL, KERNEL_LOG, NOTEBOOK, SPILL_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from nbci.engine.context import RunContext
    from nbci.engine.observed.opens import Window
    from nbci.engine.steps.gpu import Lease
    from nbci.engine.steps.inputs import Inputs
    from nbci.kernels.job import JobOutcome, KernelJob, ProgramCell, Seen
    from nbci.plan.model import PlannedStep

_SIGTERM_SECONDS = 6.0
# Tried again, the first is not wanted, and the others would end as they did, or, of outputs, show
# them only now and then.
_FINAL = ("interrupted", "join", "environment", "outputs")
_INFRASTRUCTURE_RETRIES = 2
_FIRST_DELAY_SECONDS = 1.0
_LONGEST_DELAY_SECONDS = 30.0


async def run_attempts(
    context: RunContext, step: PlannedStep, inputs: Inputs, record: StepRecord
) -> StepRecord:
    """The record with one attempt more, or with several: until one passes or none is left.

    The machine's faults are tried again whatever `retries` says, and are not counted there.
    """
    failures = infrastructure_failures = 0
    while True:
        _set_aside_last_attempt(context.folder.step(step.name), record)
        context.listener.step_started(step.name, len(record.attempts) + 1)
        record = await _attempt(context, step, inputs, record)

        failure = record.attempts[-1].failure
        if failure is None or failure.kind in _FINAL or context.stop.reason is not None:
            return record
        if failure.is_infrastructure:
            infrastructure_failures += 1
            count, allowed = infrastructure_failures, _INFRASTRUCTURE_RETRIES
        else:
            failures += 1
            count, allowed = failures, step.retries
        if count > allowed:
            return record

        # Doubled each time: a machine's fault, such as a network that is down, may need a while.
        delay = min(_FIRST_DELAY_SECONDS * 2 ** (count - 1), _LONGEST_DELAY_SECONDS)
        context.listener.step_retried(step.name, failure, delay)
        context.folder.write_step(replace(record, result="running"))
        await asyncio.sleep(delay)


def why_stopped(context: RunContext) -> Failure:
    """Why a step was stopped from outside."""
    if context.stop.reason is not None:
        return Failure(kind=context.stop.kind, message=context.stop.reason)
    return Failure(kind="interrupted", message="the run was interrupted")


def _set_aside_last_attempt(folder: Path, record: StepRecord) -> None:
    """Keep what the last attempt left, out of the way of the next."""
    if not record.attempts:
        return
    kept = folder / ATTEMPTS_FOLDER / str(len(record.attempts))
    for name in (NOTEBOOK, JOURNAL, KERNEL_LOG, SPILL_FOLDER):
        if (folder / name).exists() and not (kept / name).exists():
            kept.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / name, kept / name)


class _Try(Struct, kw_only=True):
    """One attempt while it goes on; `started` is of the monotonic clock, in seconds."""

    started_utc: str
    started: float
    since_ns: int
    failure: Failure | None = None
    outcome: JobOutcome | None = None


async def _attempt(
    context: RunContext, step: PlannedStep, inputs: Inputs, record: StepRecord
) -> StepRecord:
    """The record after one attempt: run, distinguished from an abort, with what it left."""
    tried = _Try(started_utc=now_utc(), started=time.monotonic(), since_ns=time.time_ns())
    await _run_in_kernel(context, step, inputs, tried)
    if tried.failure is not None:
        tried.failure = await _stopped_or_failed(context, tried.failure)

    if tried.outcome is not None:
        record = add_outcome(context, step, inputs, record, tried.outcome)
        record = _note_changes(context, step, record, tried)
    if tried.failure is None and tried.outcome is not None:
        tried.failure = left_workspace(context, tried.outcome)
    if tried.failure is None:
        record, tried.failure = add_files(context, step, record)
    # Last: what the step left behind is recorded also where its outputs differ.
    if tried.failure is None and tried.outcome is not None:
        record = await _check_outputs(context, step, record, tried)
    return _with_attempt(context, step, record, tried)


async def _run_in_kernel(
    context: RunContext, step: PlannedStep, inputs: Inputs, tried: _Try
) -> None:
    """Bring what the step needs, and run its cells; `tried` gets the outcome or the failure."""
    lease: Lease | None = None
    try:
        tried.failure = context.bring_deps(step)
        if tried.failure is not None:
            return
        environment = await context.environment_of(step)
        lease = await _lease_gpu(context, step)
        # Only once the step can start: a failure before must not cost the outs that stand there.
        context.clear_outs(step)
        job = in_environment(kernel_job(context, step, inputs, lease), environment)
        tried.outcome = await _run_watched(context, step, job)
        tried.failure = tried.outcome.failure
    except (InfrastructureError, OSError) as error:
        tried.failure = _infrastructure_failure(error)
    # Before UsageError, of which it is one: what the installer printed goes with it.
    except LockRefused as error:
        traceback = error.output or None
        tried.failure = Failure(
            kind="environment", message=str(error), hint=error.hint, traceback=traceback
        )
    except UsageError as error:
        tried.failure = Failure(kind="exception", message=str(error), hint=error.hint)
    finally:
        if lease is not None:
            lease.release()


async def _check_outputs(
    context: RunContext, step: PlannedStep, record: StepRecord, tried: _Try
) -> StepRecord:
    """The record with what the comparison of its outputs found; `tried` gets the failure."""
    assert tried.outcome is not None
    try:
        record, tried.failure = await check_outputs(context, step, record, tried.outcome)
    except (InfrastructureError, OSError) as error:
        tried.failure = _infrastructure_failure(error)
    return record


async def _lease_gpu(context: RunContext, step: PlannedStep) -> Lease | None:
    if not step.gpu:
        return None
    return await context.gpus.lease_for(step.name)


async def _stopped_or_failed(context: RunContext, failure: Failure) -> Failure:
    """The failure, or, where the step was stopped from outside, by what."""
    if failure.signal == "SIGTERM" and await _is_cancelled_soon():
        failure = why_stopped(context)
    if failure.kind == "interrupted":
        why = why_stopped(context)
        failure = replace(failure, kind=why.kind, message=why.message)
    return failure


async def _is_cancelled_soon() -> bool:
    """Whether this task is cancelled within a moment, which is then taken back.

    A CI that aborts a build sends SIGTERM to all processes, so the kernel may die before nbci has
    its own. Jenkins waits up to five seconds between them, in classic jobs:
    https://github.com/jenkinsci/jenkins/blob/master/core/src/main/java/hudson/util/ProcessTree.java
    """
    try:
        await asyncio.sleep(_SIGTERM_SECONDS)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            # asyncio counts requests to cancel: one that was dealt with must not count later.
            task.uncancel()
        return True
    return False


def _note_changes(
    context: RunContext, step: PlannedStep, record: StepRecord, tried: _Try
) -> StepRecord:
    """The record with what changed since the step read it."""
    if tried.outcome is None or tried.outcome.seen is None:
        return record
    seen = own_doing(context, tried.outcome.seen)
    around = surroundings_of(
        context.project.root, step, record.observed, context.index, context.environ
    )
    return note_changes(record, changed_meanwhile(step, seen, around, tried.since_ns))


def _with_attempt(
    context: RunContext, step: PlannedStep, record: StepRecord, tried: _Try
) -> StepRecord:
    result: Literal["passed", "failed"] = "passed"
    if tried.failure is not None:
        result = "failed"
    attempt = Attempt(
        number=len(record.attempts) + 1,
        result=result,
        started_utc=tried.started_utc,
        seconds=round(time.monotonic() - tried.started, 3),
        failure=tried.failure,
    )
    if tried.outcome is not None:
        attempt = replace(attempt, cells=tried.outcome.cells, notebook=NOTEBOOK)
    # A step that failed before it had a kernel has no log.
    if (context.folder.step(step.name) / KERNEL_LOG).exists():
        attempt = replace(attempt, log=KERNEL_LOG)
    return replace(record, result=result, attempts=(*record.attempts, attempt))


async def _run_watched(context: RunContext, step: PlannedStep, job: KernelJob) -> JobOutcome:
    """Run the step, and note what was opened meanwhile by code in which Python sees nothing."""
    opens = context.kernels.opens
    if opens is not None:
        opens.start()
    listener = _StepListener(context, step)
    watch = None
    if context.watch is not None:
        watch = context.watch(step.name)
    seen: Seen | None = None
    try:
        outcome = await run_job(job, listener, context.kernels.zygotes, watch)
        seen = outcome.seen
    finally:
        # Also after an error: a window that stayed open would take in all that later steps open.
        if opens is not None and listener.window is not None:
            claimed: Iterable[str] = ()
            if seen is not None:
                claimed = files_claimed(seen)
            opens.end(listener.window, claimed)
    if opens is None or listener.window is None or seen is None:
        return outcome
    return replace(outcome, seen=with_opened(seen, opens, listener.window))


def _infrastructure_failure(error: InfrastructureError | OSError) -> Failure:
    failure = Failure(kind="infrastructure", message=str(error))
    if isinstance(error, InfrastructureError):
        failure = replace(failure, hint=error.hint)
    if isinstance(error, InstallerFailed):
        failure = replace(failure, traceback=error.output or None)
    return failure


def _elsewhere(context: RunContext, step: PlannedStep) -> Iterator[str]:
    """The paths outside the project where the step may open files."""
    yield from paths_named(step, context.project.root)
    yield from context.watched.get(step.name, ())


class _StepListener:
    """Passes what a step's kernel tells on to the run's listener, with the step's name.

    `window` is open from the first cell on: until then the kernel starts, and the project's folders
    are looked up.
    """

    def __init__(self, context: RunContext, step: PlannedStep) -> None:
        self._listener = context.listener
        self._step = step.name
        self._opens = context.kernels.opens
        self._elsewhere = partial(_elsewhere, context, step)
        self._outs = [str(context.project.root / path) for path in step.writes]
        self.window: Window | None = None

    def cell_started(self, cell: ProgramCell, index: int, total: int) -> None:
        if self.window is None and self._opens is not None:
            self.window = self._opens.begin(self._elsewhere(), self._outs)
        first_line, _, _ = cell.source.lstrip().partition("\n")
        self._listener.cell_started(self._step, cell.number, first_line.strip(), index, total)

    def text_printed(
        self, cell: ProgramCell | None, text: str, stream: Literal["stdout", "stderr"]
    ) -> None:
        self._listener.text_printed(self._step, text, stream)

    def cell_ended(self, cell: ProgramCell, run: CellRun) -> None:
        self._listener.cell_ended(self._step, run)
