"""Runs one attempt at a step, in time, and ends it when it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from nbci.errors import InfrastructureError
from nbci.kernels.attempt import Attempt
from nbci.kernels.specs import spec_of
from nbci.records.run_record import Failure

if TYPE_CHECKING:
    from nbci.kernels.job import JobOutcome, KernelJob, Listener, OutputWatch
    from nbci.kernels.zygote.zygotes import Zygotes

OBEY_SECONDS = 2.0
"""How long an interrupted kernel has to stop by itself before it is killed."""

AFTER_KILL_SECONDS = 1.0


async def run_job(
    job: KernelJob,
    listener: Listener,
    zygotes: Zygotes | None = None,
    watch: OutputWatch | None = None,
) -> JobOutcome:
    """Run `job` in a new kernel, of which no process is left when this returns or raises.

    The kernel is forked from one of the `zygotes` where that can be, else started. `watch` reads
    along in the outputs of its cells.

    What goes wrong in the step is the outcome's `failure`. Cancelling the task interrupts the
    kernel: this then returns the partial outcome with a failure of kind `interrupted` instead of
    raising CancelledError (and takes the cancellation back, so that the task has a result); a
    second one kills the kernel at once. Raises UsageError for an unknown kernel,
    IntegrityError when a value's file is not what it should be, InfrastructureError when files
    cannot be written.
    """
    attempt = Attempt(
        job, listener, display_name=spec_of(job).display_name, zygotes=zygotes, watch=watch
    )
    work = asyncio.ensure_future(attempt.work())
    try:
        await _supervise(work, attempt, job)
        await _finish_even_if_cancelled(asyncio.ensure_future(attempt.close()), attempt)
    except BaseException:
        work.cancel()
        attempt.kill()
        await attempt.close()
        raise
    # What a step that was stopped raises is a consequence of that.
    if not work.cancelled() and attempt.stopping is None:
        _raise_error(work, job)
    return attempt.outcome()


def _raise_error(work: asyncio.Task[None], job: KernelJob) -> None:
    error = work.exception()
    if isinstance(error, OSError):
        raise InfrastructureError(f"the step `{job.step}` could not go on: {error}") from error
    if error is not None:
        raise error


async def _supervise(work: asyncio.Task[None], attempt: Attempt, job: KernelJob) -> None:
    """Wait for the work; end it when the step's time is over or the task is cancelled."""
    try:
        done, _ = await asyncio.wait({work}, timeout=job.timeout_seconds)
        if not done:
            message = f"the step took longer than {job.timeout_seconds or 0:g} seconds"
            await _stop(work, attempt, Failure(kind="timeout", message=message))
    except asyncio.CancelledError:
        _uncancel()
        failure = Failure(kind="interrupted", message="the step was interrupted")
        stopping = asyncio.ensure_future(_stop(work, attempt, failure))
        await _finish_even_if_cancelled(stopping, attempt)


async def _stop(work: asyncio.Task[None], attempt: Attempt, failure: Failure) -> None:
    attempt.stopping = failure
    # First as Ctrl-C does: `finally` and context managers of the cell may have files to close.
    await attempt.interrupt()
    await asyncio.wait({work}, timeout=OBEY_SECONDS)
    if not work.done():
        attempt.kill()
        await asyncio.wait({work}, timeout=AFTER_KILL_SECONDS)
    # What still waits then waits for something other than the kernel, such as a thread.
    if not work.done():
        work.cancel()
        await asyncio.wait({work}, timeout=AFTER_KILL_SECONDS)


async def _finish_even_if_cancelled(task: asyncio.Task[None], attempt: Attempt) -> None:
    """Finish `task` even if this is cancelled meanwhile; then the kernel is killed at once."""
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            _uncancel()
            if attempt.stopping is None:
                attempt.stopping = Failure(kind="interrupted", message="the step was interrupted")
            attempt.kill()
    with contextlib.suppress(asyncio.CancelledError):
        task.result()


def _uncancel() -> None:
    # Else `asyncio.timeout` would count the cancellation again, later in this task.
    current = asyncio.current_task()
    if current is not None:
        current.uncancel()
