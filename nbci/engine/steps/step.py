"""One step from its inputs to its record: reused, or run with retries."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import time
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from nbci.engine.caching.decide import Decision, decide, is_kept
from nbci.engine.caching.reuse import take_over
from nbci.engine.steps.attempts import run_attempts, why_stopped
from nbci.engine.steps.auditor import Auditor, auditor_for, write_audited
from nbci.engine.steps.inputs import Inputs, inputs_for
from nbci.engine.steps.side_by_side import OneMaker
from nbci.errors import IntegrityError, StepError, UsageError
from nbci.formatting.durations import now_utc
from nbci.pipeline.paths import overlaps_any
from nbci.records.run_record import Attempt, Failure, Part, StepRecord
from nbci.records.step_audit import StepAudit
from nbci.runs.file_names import NOTEBOOK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.engine.context import RunContext
    from nbci.handoff.values import ValueRef
    from nbci.plan.model import PlannedStep

Looked = tuple[Inputs, Decision]
"""What goes into a step, and whether an earlier result stands."""
_Audited = tuple[Auditor, StepAudit]


def look(context: RunContext, step: PlannedStep) -> Looked | None:
    """What goes into the step, looked up before it runs; None where something is wrong.

    Its run comes upon the same mistake and records it.
    """
    try:
        return _look(context, step)
    except (StepError, IntegrityError, UsageError):
        return None


def reuse_result(context: RunContext, step: PlannedStep, looked: Looked) -> StepRecord | None:
    """The record of a step whose earlier result stands and was put back; None when it must run."""
    _, decision = looked
    if decision.record is None or context.forced(step.name):
        return None
    try:
        return take_over(context, decision.record, decision.reason, decision.text)
    except IntegrityError as error:
        context.listener.noticed(f"step {step.name} runs again: {error}")
        return None


async def run_step(
    context: RunContext, step: PlannedStep, looked: Looked | None = None, *, again: bool = False
) -> StepRecord:
    """Run a step to its end, with retries, or take an earlier result.

    The record is written as it grows, so that a killed run can be read. `looked`: it was found that
    nothing can be reused. `again`: a step that is about to run needs its values once more.
    """
    # A step that runs again is called by one that has its turn.
    if again:
        return await _run_to_its_end(context, step, looked, None)
    claims = None if context.others is None else context.others.claims
    maker = OneMaker(context.cache.root, context.listener.noticed, claims)
    async with contextlib.AsyncExitStack() as turn:
        turn.callback(maker.close)
        if context.others is None:
            return await _run_to_its_end(context, step, looked, maker)
        try:
            made = await _await_turn(turn, context, step, looked, maker)
        except asyncio.CancelledError:
            record = _fail_before_kernel(_begin_record(context, step), why_stopped(context))
            return await _end_record(context, step, replace(record, seconds=0.0))
        if isinstance(made, StepRecord):
            return made
        return await _run_to_its_end(context, step, made, maker)


async def _await_turn(
    turn: contextlib.AsyncExitStack,
    context: RunContext,
    step: PlannedStep,
    looked: Looked | None,
    maker: OneMaker,
) -> StepRecord | Looked | None:
    """Wait for a run beside this one that makes the same result, and for a kernel's slot.

    The answer is the result, where it was made meanwhile, else what is known before the step runs.
    """
    assert context.others is not None
    seen = looked or look(context, step)
    if seen is not None and await turn.enter_async_context(context.others.turn(seen[1].key)):
        looked, seen, maker.waits = None, look(context, step), False
        taken = None
        if seen is not None:
            taken = reuse_result(context, step, seen)
        if taken is not None:
            return taken
        if seen is not None and seen[1].has_fallen:
            # A search promises that nothing is computed twice.
            context.listener.noticed(
                f"step {step.name} runs, though its result was just made: {seen[1].reason}"
            )
    await turn.enter_async_context(context.others.slot)
    return looked


async def _run_to_its_end(
    context: RunContext, step: PlannedStep, looked: Looked | None, maker: OneMaker | None
) -> StepRecord:
    """As `run_step`; `maker` is None where another step needs this one's values once more."""
    again = maker is None
    started = time.monotonic()
    record = _begin_record(context, step)
    audited: _Audited | None = None
    try:
        inputs, decision = looked or _look(context, step)
        if looked is None and not record.attempts:
            audited = await _audit(context, step, (inputs, decision))
            if audited is not None:
                # A result that was found to be wrong is not found any more.
                inputs, decision = _look(context, step)
                started, record = time.monotonic(), _begin_record(context, step)
            taken = reuse_result(context, step, (inputs, decision))
            if taken is not None:
                return _with_audit(context, taken, audited)

        if maker is not None and _is_made_once(context, step):
            await maker.take(decision.key, step.name)
            # Another machine may have sent it since it was asked for.
            if maker.has_claim:
                context.cache.ask_again(decision.key)
            # The wait is no part of the step's own time.
            started, record = time.monotonic(), _begin_record(context, step)
            if maker.has_claim or context.cache.has_results(decision.key):
                inputs, decision = _look(context, step)
                taken = reuse_result(context, step, (inputs, decision))
                if taken is not None:
                    return _with_audit(context, taken, audited)

        _tell_what_is_gone(context, step, decision, again)
        if await _regenerate_values(context, inputs, again):
            inputs, decision = _look(context, step)
        # Refused only now: a result that still stands needs no secret.
        _refuse_withheld(step)
        context.folder.write_step(record)
        record = await _run(context, step, record, (inputs, decision), again)
        audited = await _settle(context, step, record, audited)
    except (StepError, IntegrityError, UsageError) as error:
        failure = Failure(kind=_kind_of(error), message=str(error), hint=error.hint)
        record = _fail_before_kernel(record, failure)
    except asyncio.CancelledError:
        record = _fail_before_kernel(record, why_stopped(context))

    seconds = round(time.monotonic() - started, 3)
    record = await _end_record(context, step, replace(record, seconds=seconds))
    if maker is not None and record.outcome != "interrupted":
        maker.end(is_never_kept=record.result == "passed" and record.run is None)
    return _with_audit(context, record, audited)


def _is_made_once(context: RunContext, step: PlannedStep) -> bool:
    """Whether another process may be making a result that this run would take."""
    # In a run that is carried out in pieces, somebody else says where each step runs.
    if context.artifacts_through_cache or step.cache is False:
        return False
    return not context.forced(step.name)


async def _audit(context: RunContext, step: PlannedStep, looked: Looked) -> _Audited | None:
    """What came of running the step again whose result stands; None where it is not audited."""
    inputs, decision = looked
    auditor = auditor_for(context, step, decision)
    if auditor is None or decision.record is None:
        return None
    return auditor, await auditor.audit(context, step, inputs, decision.record)


async def _settle(
    context: RunContext, step: PlannedStep, record: StepRecord, audited: _Audited | None
) -> _Audited | None:
    """The audit that found a difference with its cause, now that the step ran in the run, too."""
    if audited is None:
        return None
    auditor, audit = audited
    return auditor, await auditor.settle(context, step, record, audit)


def _with_audit(context: RunContext, record: StepRecord, audited: _Audited | None) -> StepRecord:
    if audited is None:
        return record
    _, audit = audited
    return write_audited(context, record, audit)


def break_off(context: RunContext, name: str, error: Exception) -> StepRecord:
    """The record of a step that could not run to its end because its record could not be kept."""
    try:
        record = context.folder.read_step(name) or StepRecord(name=name, result="running")
    except IntegrityError:
        record = StepRecord(name=name, result="running")
    hint = getattr(error, "hint", None)
    return _fail_before_kernel(
        record, Failure(kind="infrastructure", message=str(error), hint=hint)
    )


def _look(context: RunContext, step: PlannedStep) -> Looked:
    inputs = _inputs(context, step)
    return inputs, decide(context.project.root, step, inputs, context.cache, context.index)


def _inputs(context: RunContext, step: PlannedStep) -> Inputs:
    if context.artifacts_through_cache:
        _put_back_outs_before(context, step)
    inputs = inputs_for(step, context.plan, context.records)
    continued = context.continued_by(step)
    if continued is None:
        return inputs
    # A result that went on from another is not one that was made from the beginning.
    part = Part(kind="continued", label=continued.path, digest=continued.digest)
    return replace(inputs, reached=(*inputs.reached, part))


def _put_back_outs_before(context: RunContext, step: PlannedStep) -> None:
    """Where a run is carried out in pieces, files that earlier steps made are in the store only."""
    needed = []
    for record in context.records.values():
        for ref in record.outs:
            if overlaps_any(ref.path, step.deps):
                needed.append(ref)
    context.put_back(needed, context.cache.artifacts)


def _begin_record(context: RunContext, step: PlannedStep) -> StepRecord:
    """The step's record as it starts, with the attempts of a run that is resumed."""
    before = context.folder.read_step(step.name)
    # A record that still says `running` is of a process that was killed.
    if before is not None and before.result == "running":
        before = context.folder.settle_killed(before)
    attempts: tuple[Attempt, ...] = ()
    if before is not None:
        attempts = before.attempts
    return StepRecord(
        name=step.name,
        result="running",
        started_utc=now_utc(),
        host=platform.node(),
        kernel=step.kernel,
        attempts=attempts,
    )


def _tell_what_is_gone(
    context: RunContext, step: PlannedStep, decision: Decision, again: bool
) -> None:
    if decision.gone and not again:
        context.listener.noticed(
            f"step {step.name} runs again: {', '.join(decision.gone)}, which it wrote, is gone"
        )


def _refuse_withheld(step: PlannedStep) -> None:
    """UsageError for a step that asks for a secret which the build of a fork does not get.

    Run without it, the step would do something else than in a trusted build.
    """
    if step.withheld:
        raise UsageError(
            f"it asks for the secret {step.withheld[0]}, which builds of forks do not get",
            hint="the branch that the change goes to may allow it in its pipeline file: "
            f"`forks: {{secrets: [{step.withheld[0]}]}}`",
        )


async def _run(
    context: RunContext, step: PlannedStep, record: StepRecord, looked: Looked, again: bool
) -> StepRecord:
    try:
        return await _attempt_with(context, step, record, looked)
    except IntegrityError:
        # Between the look and the load, another process can remove a value (`nbci clean --cache`).
        inputs, _ = looked
        if not await _regenerate_values(context, inputs, again):
            raise
        return await _attempt_with(context, step, record, _look(context, step))


async def _attempt_with(
    context: RunContext, step: PlannedStep, record: StepRecord, looked: Looked
) -> StepRecord:
    inputs, decision = looked
    record = replace(
        record, takes=inputs.loaded, params=inputs.params, key=decision.key, parts=decision.parts
    )
    return await run_attempts(context, step, inputs, record)


async def _end_record(context: RunContext, step: PlannedStep, record: StepRecord) -> StepRecord:
    """Write the record, and keep the result where it may be reused."""
    kept = _is_kept(context, step, record)
    run = context.folder.run if kept else None
    record = replace(record, ended_utc=now_utc(), run=run)
    # Written before it is kept: a result in the cache names a run whose record must exist.
    context.folder.write_step(record)
    if kept:
        context.cache.keep(record, context.folder.step(step.name) / NOTEBOOK, context.index)
        await context.send(record)
    return record


def _is_kept(context: RunContext, step: PlannedStep, record: StepRecord) -> bool:
    """Whether the result may be reused by later runs."""
    if record.result != "passed" or record.key is None:
        return False
    is_unsteady = step.cache is not True and context.cache.distrusted.is_unsteady(record.key)
    return is_kept(step, record) and not is_unsteady


def _kind_of(
    error: StepError | IntegrityError | UsageError,
) -> Literal["join", "integrity", "missing"]:
    if isinstance(error, IntegrityError):
        return "integrity"
    if isinstance(error, UsageError):
        return "missing"
    return "join"


def _fail_before_kernel(record: StepRecord, failure: Failure) -> StepRecord:
    """The record of a step that failed outside any attempt in a kernel."""
    attempt = Attempt(
        number=len(record.attempts) + 1,
        result="failed",
        started_utc=now_utc(),
        seconds=0.0,
        failure=failure,
    )
    return replace(record, result="failed", attempts=(*record.attempts, attempt))


async def _regenerate_values(context: RunContext, inputs: Inputs, again: bool) -> bool:
    """Bring the values here, and run the steps again that gave lost ones; True when any ran."""
    context.cache.bring_values(ref.object for ref in inputs.loaded)
    # One step after another: two that need the same value would otherwise run its step twice. The
    # step that runs again is called while the lock is held.
    async with contextlib.nullcontext() if again else context.rerun_lock:
        return await _run_givers_again(context, inputs.loaded)


async def _run_givers_again(context: RunContext, refs: Iterable[ValueRef]) -> bool:
    """Run the steps again whose values have no whole file; True when there were any.

    IntegrityError when that does not bring them back. Where a run is carried out in pieces the step
    may have run elsewhere, and the reader of the value says that it is damaged.
    """
    refs = tuple(refs)
    whole = context.whole_values(refs)
    broken = [ref for ref in refs if ref.object not in whole]
    if not broken or context.artifacts_through_cache:
        return False
    for ref in broken:
        giver = _step_that_gave(context, ref)
        # The step before in this loop may have brought it back.
        if giver is not None and not context.whole_values([ref]):
            await _run_giver_again(context, giver, ref)
    return True


async def _run_giver_again(context: RunContext, giver: str, ref: ValueRef) -> None:
    context.listener.noticed(
        f"the value `{ref.name}` of step {giver} is no longer what it was: {giver} runs again",
    )
    record = await run_step(context, context.plan.step(giver), again=True)
    context.records[giver] = record
    context.listener.step_ended(record)
    if record.result != "passed":
        path = context.cache.value_path(ref.object)
        raise IntegrityError(
            f"the value `{ref.name}` of step {giver} is gone or damaged, "
            f"and {giver} failed when it ran again",
            hint=f"see why it failed; what it made before was at {path}",
        )


def _step_that_gave(context: RunContext, ref: ValueRef) -> str | None:
    """The first step of the run that gave this version: those after it handed it on as it was."""
    for step in context.plan.steps:
        record = context.records.get(step.name)
        if record is None:
            continue
        if any(given.object == ref.object for given in record.gives):
            return step.name
    return None
