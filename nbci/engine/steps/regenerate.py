"""Values that are gone or damaged when a step needs them: the step that gave them runs again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from nbci.engine.context import RunContext
    from nbci.handoff.values import ValueRef
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import StepRecord

    RunAgain = Callable[[RunContext, PlannedStep], Awaitable[StepRecord]]


async def remake(context: RunContext, refs: Iterable[ValueRef], run_again: RunAgain) -> bool:
    """Run the givers of those values again whose files are not whole; True when there were any.

    IntegrityError when that does not bring them back. Where a run is carried out in pieces the
    giver may have run elsewhere, and the reader of the value says that it is damaged.
    """
    refs = tuple(refs)
    whole = context.whole_values(refs)
    broken = [ref for ref in refs if ref.object not in whole]
    if not broken or context.carries:
        return False
    for ref in broken:
        giver = _giver(context, ref)
        if giver is None or context.whole_values([ref]):
            continue
        context.listener.noticed(
            f"the value `{ref.name}` of step {giver} is no longer what it was: {giver} runs again",
        )
        record = await run_again(context, context.plan.step(giver))
        context.records[giver] = record
        context.listener.step_ended(record)
        if record.result != "passed":
            raise IntegrityError(
                f"the value `{ref.name}` of step {giver} is gone or damaged, and {giver} failed when it ran again",
                hint=f"see why it failed; what it made before was at {context.cache.value_path(ref.object)}",
            )
    return True


def _giver(context: RunContext, ref: ValueRef) -> str | None:
    """The first step of the run that gave this version: those after it handed it on as it was."""
    planned = [step.name for step in context.plan.steps if step.name in context.records]
    return next(
        (
            name
            for name in planned
            for gave in context.records[name].gives
            if gave.object == ref.object
        ),
        None,
    )
