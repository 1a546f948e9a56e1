"""A run: carries out a plan, several steps side by side, to its record.

Several runs may go on side by side in one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.engine.caching.reuse import take_over
from nbci.engine.interruption import interruptible
from nbci.engine.schedule import Schedule
from nbci.engine.steps.auditor import auditor_for
from nbci.engine.steps.step import break_off, look, reuse_result, run_step
from nbci.formatting.durations import now_utc
from nbci.graph import by_name
from nbci.records.metrics import missing_metrics
from nbci.records.run_record import Failure, RunRecord, StepRecord
from nbci.store.files import lock_path, try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nbci.engine.context import RunContext
    from nbci.engine.steps.step import Looked
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import RunResult, StepResult

_OUT_LOCK_POLL_SECONDS = 0.2
_LONGEST_TURN_SECONDS = 0.02
_BETWEEN_PREPARATIONS_SECONDS = 0.005
_STOPPED = "the run was stopped"


class RunOptions(Struct, frozen=True, kw_only=True):
    """How to run: `jobs` is the largest number of steps that run at once.

    `tick` is called about once a second while the run goes on.

    `taken_over` are earlier results for the steps that are not asked for. `conclude` is called with
    the written record before the listener hears that the run has ended, and gives it back with its
    verdict; `preparations` does in small parts, when there is time, what makes that quicker. `part`
    is the steps to run when the others run elsewhere: their records are in the context.
    """

    jobs: int
    keep_going: bool = False
    taken_over: Mapping[str, StepRecord] = field(default_factory=dict)
    tick: Callable[[], None] | None = None
    conclude: Callable[[RunRecord], RunRecord] | None = None
    preparations: Iterable[object] = ()
    part: tuple[PlannedStep, ...] | None = None


def run_plan(context: RunContext, header: RunRecord, options: RunOptions) -> RunRecord:
    """Carry the plan out, in an event loop of its own, and write its record.

    An InfrastructureError stops the run; what was written stays.

    SIGINT and SIGTERM interrupt the run: kernels are ended, what was produced is kept; a second one
    ends it at once.
    """
    run = OngoingRun(context, header, options)
    try:
        asyncio.run(_execute_until_signal(run))
        # Behind the loop: what concludes a run may carry out steps beside it, in a loop of theirs.
        run.conclude()
    finally:
        context.kernels.close()
    return run.record


async def _execute_until_signal(run: OngoingRun) -> None:
    with interruptible(run.interrupt):
        # Not returned: asyncio.run() asks signal.getsignal() for its handler, which has the task,
        # and an enum that does not know the handler puts the repr of it, with the task's result,
        # in a message that nobody reads. For a thousand records that takes a while.
        await run.execute()


class OngoingRun:
    """The state of one run while it goes on: `execute` it, `conclude` it, close its kernels.

    Whoever owns the event loop tells it of signals. `reused` are steps that are settled and not
    reported yet. `looks_first`: earlier results are looked for before a step gets a slot, which is
    quick where no remote has to be asked.
    """

    def __init__(self, context: RunContext, header: RunRecord, options: RunOptions) -> None:
        self.context = context
        self.record = header
        self.options = options
        self.steps = by_name(_steps_to_run(context, options))
        self.tasks: dict[asyncio.Task[StepRecord], str] = {}
        self.reused: list[StepRecord] = []
        self.looks_first = False
        self.interrupted = False
        self.trouble: BaseException | None = None
        self.started = time.monotonic()

    async def execute(self) -> None:
        """Carry out the steps; their records are in the context then."""
        self.context.folder.write_run(self.record)
        self.context.listener.run_started(self.context.folder.run, self.context.plan)
        await self._run_steps()
        # They end while the record is written and the report is made.
        self.context.kernels.dismiss()

    async def _run_steps(self) -> None:
        """Run the steps to their end, or to the trouble that stops the run."""
        with self._timer(), contextlib.ExitStack() as locks:
            ticker = asyncio.create_task(self._tick())
            preparer = asyncio.create_task(self._prepare_conclusion())
            try:
                locks.callback(self.context.environments.release)
                await self._lock_outs(locks)
                self._open_kernels()
                await self._run_schedule()
            except asyncio.CancelledError:
                # Raised by the watchdog of signals: this task kept the loop from running.
                self.interrupt()
            except Exception as error:  # noqa: BLE001 - raised once the record is written
                self.trouble = self.trouble or error
            finally:
                ticker.cancel()
                preparer.cancel()

    def conclude(self) -> None:
        """Write the record and what is made of it; what stopped the run is raised then."""
        # On a full disk, the space of the reserve lets the record be written.
        self.context.folder.free_reserve()
        try:
            self._report_reused()
        except Exception as error:  # noqa: BLE001 - kept, as in `_run_steps`
            self.trouble = self.trouble or error
        record = self.record = self._final_record(round(time.monotonic() - self.started, 3))
        self.context.folder.write_run(record)
        if self.options.conclude is not None:
            record = self.record = self.options.conclude(record)
        self.context.listener.run_ended(record)

        if self.trouble is not None:
            raise self.trouble
        elsewhere = self.context.cache.elsewhere
        if elsewhere is not None and elsewhere.trouble is not None and record.result == "passed":
            # All is kept here, but a build elsewhere that counts on these results has none.
            raise elsewhere.trouble

    @property
    def _is_stopping(self) -> bool:
        is_told = self.interrupted or self.context.stop.reason is not None
        return is_told or self.trouble is not None

    @property
    def _is_stopped(self) -> bool:
        """Whether `stop` ended it, and did not come a moment too late."""
        return self.context.stop.kind == "interrupted" and any(
            record.outcome == "interrupted" or record.reason == _STOPPED
            for record in self.context.records.values()
        )

    async def _run_schedule(self) -> None:
        ended = self._settle_before()
        schedule = Schedule(
            tuple(self.steps.values()), ended=ended, keep_going=self.options.keep_going
        )
        await self._fill_slots(schedule)
        while self.tasks:
            done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._collect(task, schedule)
            await self._fill_slots(schedule)

        reason = "an earlier step failed"
        if self._is_stopping:
            reason = _STOPPED
        self._skip(schedule.give_up(), reason)

    def _open_kernels(self) -> None:
        may_run = [step for step in self.steps.values() if step.action in ("run", "depends")]
        if may_run:
            # One kernel is needed at once, and is forked when it is asked for.
            self.context.kernels.open(spares=min(self.options.jobs, len(may_run) - 1))

    async def _fill_slots(self, schedule: Schedule) -> None:
        """Start steps until all slots are taken or none may start.

        Steps whose result stands end at once.
        """
        began = time.monotonic()
        while not self._is_stopping and len(self.tasks) < self.options.jobs:
            name = schedule.start()
            if name is None:
                break
            looked, record = self._try_reuse(name)
            if record is None:
                run = run_step(self.context, self.steps[name], looked)
                self.tasks[asyncio.create_task(run, name=name)] = name
                continue
            self._settle(record)
            self._skip(schedule.end(name, record.result), _why_followers_are_skipped(record))
            # A thousand reused steps take a while, in which kernels that run, and signals, wait.
            if time.monotonic() - began > _LONGEST_TURN_SECONDS:
                self._report_reused()
                await asyncio.sleep(0)
                began = time.monotonic()
        self._report_reused()

    def _try_reuse(self, name: str) -> tuple[Looked | None, StepRecord | None]:
        """What was found for the step, and its record where that settles it already."""
        if not self.looks_first:
            return None, None
        looked = None
        try:
            looked = look(self.context, self.steps[name])
            # An audit takes a kernel, and so a slot.
            if looked is None or auditor_for(self.context, self.steps[name], looked[1]):
                return None, None
            return looked, reuse_result(self.context, self.steps[name], looked)
        except Exception as error:  # noqa: BLE001 - as in `_collect`
            return looked, self._break_off(name, error)

    def _collect(self, task: asyncio.Task[StepRecord], schedule: Schedule) -> None:
        name = self.tasks.pop(task)
        try:
            record = task.result()
        except Exception as error:  # noqa: BLE001 - kept, as in `_run_steps`
            record = self._break_off(name, error)
        self._settle(record)
        self._skip(schedule.end(name, record.result), _why_followers_are_skipped(record))

    def _break_off(self, name: str, error: Exception) -> StepRecord:
        """Stop the run for an error of its own, such as a full disk; the record of the step."""
        self.trouble = self.trouble or error
        # The reserve is freed now, or the step's record would find the disk as full as before.
        self.context.folder.free_reserve()
        self._cancel()
        record = break_off(self.context, name, error)
        self.context.folder.write_step(record)
        return record

    def _settle_before(self) -> dict[str, StepResult]:
        """Settle the steps that need no kernel; their results.

        They were done before a resume, are skipped by the plan, or are taken from another run.
        """
        ended: dict[str, StepResult] = {}
        is_resumed = self.context.folder.has_begun
        self.looks_first = not is_resumed and self.context.cache.elsewhere is None
        for step in self.steps.values():
            record = self._record_without_running(step, is_resumed)
            if record is not None:
                ended[step.name] = record.result
                self._settle(record)
        return ended

    def _record_without_running(self, step: PlannedStep, is_resumed: bool) -> StepRecord | None:
        if is_resumed:
            before = self.context.folder.read_step(step.name)
            if before is not None and before.ended_well:
                return before
        if step.action == "skip":
            return self._write_skipped(step.name, step.reason)
        if step.action == "reuse":
            return take_over(self.context, self.options.taken_over[step.name], step.reason)
        return None

    def _write_skipped(self, name: str, reason: str) -> StepRecord:
        record = StepRecord(name=name, result="skipped", reason=reason)
        self.context.folder.write_step(record)
        return record

    def _settle(self, record: StepRecord) -> None:
        """Make the step's record one that others build on, and report it."""
        self.context.records[record.name] = record
        if record.result == "reused":
            self.reused.append(record)
            return
        # First, so that listeners hear of the steps in the order in which they ended.
        self._report_reused()
        self.context.listener.step_ended(record)

    def _report_reused(self) -> None:
        """Record and report what was reused since the last call."""
        # All at once: a write and a redrawn display for each would be most of what a run costs
        # that reuses a thousand steps.
        if self.reused:
            self.context.folder.write_reused()
            records, self.reused = self.reused, []
            self.context.listener.steps_reused(records)

    def _skip(self, names: tuple[str, ...], reason: str) -> None:
        for name in names:
            self._settle(self._write_skipped(name, reason))

    async def _lock_outs(self, locks: contextlib.ExitStack) -> None:
        """Wait for other runs that write an out of this one."""
        # In one order, so that two runs never wait for each other.
        for path in sorted(_paths_written(self.steps.values())):
            lock = lock_path(self.context.project.locks_folder, f"out-{path}")
            descriptor = try_lock(lock)
            if descriptor is None:
                self.context.listener.noticed(f"waiting for another run, which writes {path}")
            while descriptor is None and not self._is_stopping:
                await asyncio.sleep(_OUT_LOCK_POLL_SECONDS)
                descriptor = try_lock(lock)
            if descriptor is not None:
                locks.callback(os.close, descriptor)

    def interrupt(self) -> None:
        """End the kernels; `execute` returns soon, and what was produced is kept."""
        if not self.interrupted:
            self.context.listener.noticed(
                "interrupted: ending the kernels, keeping what was produced"
            )
        self.interrupted = True
        self._cancel()

    def stop(self, reason: str) -> None:
        """As `interrupt`, for a reason that stands in the record: nobody pressed Ctrl-C."""
        self.context.stop.reason = reason
        self.context.stop.kind = "interrupted"
        self._cancel()

    @contextlib.contextmanager
    def _timer(self) -> Iterator[None]:
        seconds = self.context.plan.run_timeout_seconds
        if seconds is None:
            yield
            return
        handle = asyncio.get_running_loop().call_later(seconds, self._time_out, seconds)
        try:
            yield
        finally:
            handle.cancel()

    def _time_out(self, seconds: float) -> None:
        self.context.stop.reason = f"the run took longer than its run_timeout of {seconds:g} s"
        self._cancel()

    def _cancel(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def _tick(self) -> None:
        while self.options.tick is not None:
            await asyncio.sleep(1)
            self.options.tick()

    async def _prepare_conclusion(self) -> None:
        """Do a little of what the end of the run needs, whenever kernels let it."""
        # What cannot be prepared now fails again, and is reported, when it is needed.
        with contextlib.suppress(Exception):
            for _ in self.options.preparations:
                await asyncio.sleep(_BETWEEN_PREPARATIONS_SECONDS)

    def _final_record(self, seconds: float) -> RunRecord:
        steps = []
        for name in self.steps:
            never_run = StepRecord(name=name, result="skipped", reason=_STOPPED)
            steps.append(self.context.records.get(name) or never_run)
        record = replace(
            self.record, ended_utc=now_utc(), seconds=seconds, steps=tuple(steps), result="passed"
        )
        declared: Iterable[str] = ()
        # A part has the metrics of its own steps only: the whole run is judged when it is gathered.
        if self.options.part is None:
            declared = self.context.plan.required_metrics
        failure = self._failure_of_run() or missing_metrics(record, declared)
        return replace(record, result=self._result(steps, failure), failure=failure)

    def _failure_of_run(self) -> Failure | None:
        """What stopped the run, if it was no step."""
        if self.trouble is None and self._is_stopped:
            return Failure(kind="interrupted", message=self.context.stop.reason or "")
        if self.trouble is None:
            return None
        message = self.context.mask.text(str(self.trouble) or type(self.trouble).__name__)
        return Failure(
            kind="infrastructure", message=message, hint=getattr(self.trouble, "hint", None)
        )

    def _result(self, steps: Iterable[StepRecord], failure: Failure | None) -> RunResult:
        if self.interrupted or self._is_stopped:
            return "interrupted"
        has_failed_step = any(step.result == "failed" for step in steps)
        if has_failed_step or self.context.stop.is_timeout or failure is not None:
            return "failed"
        return "passed"


def _steps_to_run(context: RunContext, options: RunOptions) -> Iterator[PlannedStep]:
    """The plan's steps, or those of the part, which then come after steps of the part only."""
    if options.part is None:
        yield from context.plan.steps
        return
    names = {step.name for step in options.part}
    for step in options.part:
        yield replace(step, after=tuple(filter(names.__contains__, step.after)))


def _paths_written(steps: Iterable[PlannedStep]) -> set[str]:
    paths: set[str] = set()
    for step in steps:
        if step.action == "run":
            paths.update(step.outs, step.metrics)
    return paths


def _why_followers_are_skipped(record: StepRecord) -> str:
    if record.outcome == "interrupted":
        return f"step {record.name} was interrupted"
    return f"step {record.name} failed"
