"""What a trial's run gave the search."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.pipeline.metric_names import meant_by
from nbci.sweeps.study_record import TrialRecord, Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.app.sweeps.trial_watch import TrialWatch
    from nbci.records.run_record import RunRecord
    from nbci.sweeps.study_record import Objective

_SHOWN = 10


def end_of(
    trial: TrialRecord,
    record: RunRecord,
    objectives: Sequence[Objective],
    watch: TrialWatch | None = None,
) -> TrialRecord:
    """The trial with what its run came to, and with what was seen of it meanwhile."""
    ended = replace(
        trial,
        run=record.run,
        ended_utc=record.ended_utc,
        seconds=record.seconds,
        computed=work_in(record, ("passed", "failed")),
        reused=work_in(record, ("reused",)),
    )
    if watch is not None:
        ended = replace(ended, curve=tuple(watch.curve))
        # It may have come to its end just then: what it gave counts, too.
        if watch.stopped is not None and record.result == "interrupted":
            return replace(ended, state="pruned")
    # Nothing is wrong with its point, which is tried again.
    if record.result == "interrupted":
        return replace(ended, state="failed", error="interrupted", interrupted=True)
    if record.result != "passed":
        # In the plan's order: what failed later mostly failed for the first one's sake.
        reasons = [failure.message for failure in record.failures]
        return replace(ended, state="failed", error=(reasons or [f"it {record.result}"])[0])
    values = values_of(record.metrics, objectives)
    if isinstance(values, str):
        return replace(ended, state="failed", error=values)
    return replace(ended, state="complete", values=values)


def values_of(
    metrics: Mapping[str, float], objectives: Sequence[Objective]
) -> tuple[float, ...] | str:
    """The values of the objectives, or why one of them has none."""
    values = []
    for objective in objectives:
        value = _value(metrics, objective.metric)
        if isinstance(value, str):
            return value
        values.append(value)
    return tuple(values)


def work_in(record: RunRecord, results: tuple[str, ...]) -> Work:
    """The work of the steps that came to one of these results."""
    steps = [step for step in record.steps if step.result in results]
    seconds = sum(step.seconds or 0.0 for step in steps)
    return Work(steps=len(steps), seconds=round(seconds, 3))


def _value(metrics: Mapping[str, float], objective: str) -> float | str:
    """The value of the objective, or why there is none."""
    names = meant_by(objective, metrics)
    if not names:
        measured = ", ".join([*metrics][:_SHOWN]) or "nothing"
        return f"no step measured {objective}; what was measured: {measured}"
    if len(names) > 1:
        return f"several steps measure {objective}: name one of {', '.join(names[:_SHOWN])}"
    value = metrics[names[0]]
    # Samplers compare values, and NaN is neither better nor worse than any.
    if not math.isfinite(value):
        return f"{objective} is {value}"
    return value
