"""A run: carries out a plan, several steps side by side, to its record."""

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
from nbci.engine.steps.step import break_off, look, reuse_result, run_step
from nbci.records.metrics import missing_metrics
from nbci.records.run_record import Failure, RunRecord, StepRecord
from nbci.runs.folder import now_utc
from nbci.store.files import try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from nbci.engine.context import RunContext
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import RunResult, StepResult

_OUT_LOCK_POLL_SECONDS = 0.2
_LONGEST_TURN_SECONDS = 0.02
_BETWEEN_PARTS_SECONDS = 0.005


class RunOptions(Struct, frozen=True, kw_only=True):
    """How to run: `jobs` is the largest number of steps that run at once.

    `tick` is called about once a second while the run goes on.

    `taken_over` are earlier results for the steps that are not asked for. `conclude` is called with
    the written record before the listener hears that the run has ended, and gives it back with its
    verdict; `ahead` does in small parts, when there is time, what makes that quicker. `part` is the
    steps to run when the others run elsewhere: their records are in the context.
    """

    jobs: int
    keep_going: bool = False
    taken_over: Mapping[str, StepRecord] = field(default_factory=dict)
    tick: Callable[[], None] | None = None
    conclude: Callable[[RunRecord], RunRecord] | None = None
    ahead: Iterable[object] = ()
    part: tuple[PlannedStep, ...] | None = None


def run_plan(context: RunContext, header: RunRecord, options: RunOptions) -> RunRecord:
    """Carry the plan out and write its record.

    An InfrastructureError stops the run; what was written stays.

    SIGINT and SIGTERM interrupt the run: kernels are ended, what was produced is kept; a second one
    ends it at once.
    """
    context.folder.write_run(header)
    run = _Run(context, header, options)
    asyncio.run(run.go())
    return run.record


class _Run:
    """The state of one run while it goes on."""

    def __init__(self, context: RunContext, header: RunRecord, options: RunOptions) -> None:
        self.context = context
        self.record = header
        self.options = options
        steps = context.plan.steps if options.part is None else _with_edges_inside(options.part)
        self.steps = {step.name: step for step in steps}
        self.tasks: dict[asyncio.Task[StepRecord], str] = {}
        self.reused: list[StepRecord] = []  # settled, and nobody has been told
        self.at_once = (
            False  # a step that was tried before runs, and what is far away takes its time
        )
        self.interrupted = False
        self.trouble: BaseException | None = None

    async def go(self) -> None:
        """Everything between the header and the record.

        The record is no answer of this: at its end asyncio would have it shown in full, to nobody.
        """
        started = time.monotonic()
        self.context.listener.run_started(self.context.folder.run, self.context.plan)
        with contextlib.ExitStack() as kernels:
            await self._run_to_the_end(kernels)
            if self.context.zygotes is not None:
                self.context.zygotes.dismiss()
            self._conclude(started)

    async def _run_to_the_end(self, kernels: contextlib.ExitStack) -> None:
        with interruptible(self._interrupt), self._timer(), contextlib.ExitStack() as locks:
            ticker, ahead = asyncio.create_task(self._tick()), asyncio.create_task(self._go_ahead())
            try:
                locks.callback(self.context.environments.release)
                await self._lock_outs(locks)
                self._open_zygotes(kernels)
                await self._run_all()
            except asyncio.CancelledError:
                self._interrupt()  # what kept it from its turn was broken off
            except Exception as error:  # noqa: BLE001 - kept, the record is written, and then it is raised
                self.trouble = self.trouble or error
            finally:
                ticker.cancel()
                ahead.cancel()

    def _conclude(self, started: float) -> None:
        """Write the record and what is made of it; what stopped the run is raised then."""
        # On a full disk, the space of the reserve lets the record be written.
        self.context.folder.free_reserve()
        try:
            self._tell_reused()
        except Exception as error:  # noqa: BLE001 - the same
            self.trouble = self.trouble or error
        record = self.record = self._final(round(time.monotonic() - started, 3))
        self.context.folder.write_run(record)
        if self.options.conclude is not None:
            record = self.record = self.options.conclude(record)
        self.context.listener.run_ended(record)
        if self.trouble is not None:
            raise self.trouble
        elsewhere = self.context.cache.elsewhere
        if elsewhere is not None and elsewhere.trouble is not None and record.result == "passed":
            raise elsewhere.trouble  # all is kept here, and nobody else has it

    @property
    def _stopping(self) -> bool:
        return self.interrupted or self.trouble is not None or self.context.stop_reason is not None

    async def _run_all(self) -> None:
        ended = self._settle_before()
        schedule = Schedule(
            tuple(self.steps.values()), ended=ended, keep_going=self.options.keep_going
        )
        await self._fill(schedule)
        while self.tasks:
            done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._collect(task, schedule)
            await self._fill(schedule)
        reason = "the run was stopped" if self._stopping else "an earlier step failed"
        self._skip(schedule.give_up(), reason)

    def _open_zygotes(self, opened: contextlib.ExitStack) -> None:
        """Have kernels forked where that can be; as many wait ahead as can be needed at once."""
        to_run = sum(step.action in ("run", "depends") for step in self.steps.values())
        if to_run:
            from nbci.engine.observed.opens import Opens
            from nbci.kernels.zygote.zygotes import Zygotes

            context = self.context
            environ = {
                name: value
                for name, value in context.environ.items()
                if name not in context.secrets
            }
            zygotes = Zygotes(
                environ=environ,
                spares=min(self.options.jobs, to_run - 1),
                noticed=context.listener.noticed,
            )
            context.zygotes = opened.enter_context(zygotes)
            context.opens = Opens(context.project.root)
            opened.callback(context.opens.close)

    async def _fill(self, schedule: Schedule) -> None:
        """Start steps until all slots are taken or none may start.

        Steps whose result stands end at once.
        """
        began = time.monotonic()
        while (
            not self._stopping
            and len(self.tasks) < self.options.jobs
            and (name := schedule.start()) is not None
        ):
            step = self.steps[name]
            try:
                looked = look(self.context, step) if self.at_once else None
                record = reuse_result(self.context, step, looked) if looked is not None else None
            except Exception as error:  # noqa: BLE001 - as in `_collect`
                record = self._broken_off(name, error)
            if record is None:
                self.tasks[asyncio.create_task(run_step(self.context, step, looked), name=name)] = (
                    name
                )
                continue
            self._ended(record)
            self._skip(schedule.end(name, record.result), _why_not(record))
            if time.monotonic() - began > _LONGEST_TURN_SECONDS:
                self._tell_reused()
                await asyncio.sleep(0)  # the kernels that run, and signals, have their turn
                began = time.monotonic()
        self._tell_reused()

    def _collect(self, task: asyncio.Task[StepRecord], schedule: Schedule) -> None:
        name = self.tasks.pop(task)
        try:
            record = task.result()
        except Exception as error:  # noqa: BLE001 - it stops the run, and is raised when the record is written
            record = self._broken_off(name, error)
        self._ended(record)
        self._skip(schedule.end(name, record.result), _why_not(record))

    def _broken_off(self, name: str, error: Exception) -> StepRecord:
        self.trouble = self.trouble or error
        self.context.folder.free_reserve()
        self._cancel()
        record = break_off(self.context, name, error)
        self.context.folder.write_step(record)
        return record

    def _settle_before(self) -> dict[str, StepResult]:
        """Settle the steps that need no kernel.

        They were done before a resume, are skipped by the plan, or are taken from another run.
        """
        ended: dict[str, StepResult] = {}
        resumed = self.context.folder.has_begun
        self.at_once = not resumed and self.context.cache.elsewhere is None
        for step in self.steps.values():
            before = self.context.folder.read_step(step.name) if resumed else None
            if before is not None and before.ended_well:
                record = before
            elif step.action == "skip":
                record = self._written(
                    StepRecord(name=step.name, result="skipped", reason=step.reason)
                )
            elif step.action == "reuse":
                record = take_over(self.context, self.options.taken_over[step.name], step.reason)
            else:
                continue
            ended[step.name] = record.result
            self._ended(record)
        return ended

    def _written(self, record: StepRecord) -> StepRecord:
        self.context.folder.write_step(record)
        return record

    def _ended(self, record: StepRecord) -> None:
        """The step, whose record stands, is settled."""
        self.context.records[record.name] = record
        if record.result == "reused":
            self.reused.append(record)
            return
        self._tell_reused()
        self.context.listener.step_ended(record)

    def _tell_reused(self) -> None:
        """Record and report what was reused since the last call.

        This is done for all of them together, as there may be many.
        """
        if self.reused:
            self.context.folder.write_reused()
            told, self.reused = self.reused, []
            self.context.listener.steps_reused(told)

    def _skip(self, names: tuple[str, ...], reason: str) -> None:
        for name in names:
            self._ended(self._written(StepRecord(name=name, result="skipped", reason=reason)))

    async def _lock_outs(self, locks: contextlib.ExitStack) -> None:
        """Wait for other runs that write an out of this one.

        In one order, so that two never wait for each other.
        """
        for path in sorted(_written(self.steps.values())):
            lock = self.context.project.locks_folder / f"out-{path.replace('/', '%')[-200:]}.lock"
            descriptor = try_lock(lock)
            if descriptor is None:
                self.context.listener.noticed(f"waiting for another run, which writes {path}")
            while descriptor is None and not self._stopping:
                await asyncio.sleep(_OUT_LOCK_POLL_SECONDS)
                descriptor = try_lock(lock)
            if descriptor is not None:
                locks.callback(os.close, descriptor)

    def _interrupt(self) -> None:
        if not self.interrupted:
            self.context.listener.noticed(
                "interrupted: ending the kernels, keeping what was produced"
            )
        self.interrupted = True
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
        self.context.stop_reason = f"the run took longer than its run_timeout of {seconds:g} s"
        self._cancel()

    def _cancel(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def _tick(self) -> None:
        while self.options.tick is not None:
            await asyncio.sleep(1)
            self.options.tick()

    async def _go_ahead(self) -> None:
        """Do a little of what the end of the run needs, whenever kernels let it."""
        with contextlib.suppress(
            Exception
        ):  # what cannot be done now fails again when it is needed
            for _ in self.options.ahead:
                await asyncio.sleep(_BETWEEN_PARTS_SECONDS)

    def _final(self, seconds: float) -> RunRecord:
        steps = tuple(
            self.context.records.get(name)
            or StepRecord(name=name, result="skipped", reason="the run was stopped")
            for name in self.steps
        )
        record = replace(
            self.record, ended_utc=now_utc(), seconds=seconds, steps=steps, result="passed"
        )
        declared = self.context.plan.required_metrics if self.options.part is None else ()
        failure = self._failure_of_run() or missing_metrics(record, declared)
        return replace(record, result=self._result(steps, failure is not None), failure=failure)

    def _failure_of_run(self) -> Failure | None:
        """What stopped the run, if it was no step."""
        if self.trouble is None:
            return None
        message = self.context.mask.text(str(self.trouble) or type(self.trouble).__name__)
        return Failure(
            kind="infrastructure", message=message, hint=getattr(self.trouble, "hint", None)
        )

    def _result(self, steps: tuple[StepRecord, ...], metric_missing: bool) -> RunResult:
        if self.interrupted:
            return "interrupted"
        failed = any(step.result == "failed" for step in steps)
        return "failed" if failed or self._stopping or metric_missing else "passed"


def _with_edges_inside(steps: tuple[PlannedStep, ...]) -> Iterator[PlannedStep]:
    names = {step.name for step in steps}
    return (
        replace(step, after=tuple(name for name in step.after if name in names)) for step in steps
    )


def _written(steps: Iterable[PlannedStep]) -> set[str]:
    return {path for step in steps if step.action == "run" for path in (*step.outs, *step.metrics)}


def _why_not(record: StepRecord) -> str:
    """Why steps behind this one do not run."""
    return (
        f"step {record.name} {'was interrupted' if record.outcome == 'interrupted' else 'failed'}"
    )
