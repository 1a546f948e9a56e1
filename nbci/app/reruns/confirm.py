"""What a chosen trial gives where no trial has looked: in another step, or with other seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.app.request import RunRequest
from nbci.app.reruns.reseed import Seeding, data_read
from nbci.behaviour.seed_noise import bands_of
from nbci.graph import by_name
from nbci.pipeline.metric_names import meant_by, short_name, step_of
from nbci.pipeline.paths import overlaps_any
from nbci.plan.model import NOT_ASKED_FOR, PlannedSeeds
from nbci.plan.select import Selection, select
from nbci.plan.stages import needs_of_machine
from nbci.records.chosen import Confirmed, ConfirmedValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.app.reruns.parts import Parts
    from nbci.plan.model import Plan
    from nbci.records.chosen import Chosen
    from nbci.records.run_record import RunRecord, StepRecord


def confirm(run: EarlierRun, seeding: Seeding) -> RunRecord:
    """The record of the run, whose folder this process holds, with what was confirmed of it."""
    record, chosen = run.record, run.record.chosen
    if chosen is None:
        return record
    if chosen.confirm_step is not None:
        found, warnings = _by_step(record, run.plan, chosen, chosen.confirm_step)
    elif chosen.confirm_seeds is not None:
        found = _with_seeds(seeding, chosen)
        warnings = tuple(_failed_seeds(found))
    else:
        return record
    if found.reason is not None:
        warnings = (f"the chosen trial was not confirmed: {found.reason}", *warnings)
    together = tuple(dict.fromkeys((*record.warnings, *warnings)))
    return replace(record, confirmed=found, warnings=together)


def confirm_finished(parts: Parts, run: EarlierRun) -> RunRecord:
    """The same of a run that was carried out in parts, from what these have left."""
    plan = parts.plan
    request = RunRequest(target=plan.target, resume=None, command=parts.command)
    seeding = Seeding(
        run=run,
        cache=parts.open_cache(),
        request=request,
        tell=parts.tell,
        # Where a stage was stopped, another machine may not be able to do its work.
        only_kept=any(map(needs_of_machine, plan.steps)),
    )
    return confirm(run, seeding)


def _with_seeds(seeding: Seeding, chosen: Chosen) -> Confirmed:
    """The means over further values of the seed: the trial's own one is what it was chosen by."""
    parameter = str(chosen.confirm_parameter)
    plan = seeding.run.plan
    own = by_name(plan.params)[parameter].value
    found = Confirmed(parameter=parameter)
    if isinstance(own, bool) or not isinstance(own, int | float):
        return replace(found, reason=f"the seed {parameter} is {own!r}, and no number")
    # The trial's own seed is the first: what it gave is known, and no part of the mean.
    further = range(1, (chosen.confirm_seeds or 0) + 1)
    planned = PlannedSeeds(parameter=parameter, values=(own, *(own + step for step in further)))
    run = replace(seeding.run, plan=replace(plan, seeds=planned))
    seeds = replace(seeding, run=run).run_seeds()
    if seeds.reason is not None:
        return replace(found, reason=seeds.reason)
    others = tuple(each for each in seeds.runs if each.value != own)
    # Of seeds that all failed there is nothing to take a mean of.
    bands = bands_of([each for each in others if each.metrics is not None])
    if not bands:
        return replace(found, seeds=others, reason="fewer than two seeds have a result")
    metrics = {name: band.mean for name, band in bands.items()}
    found = replace(found, seeds=others, metrics=metrics, bands=bands)
    return replace(found, values=tuple(_objectives(chosen, found)))


def _objectives(chosen: Chosen, confirmed: Confirmed) -> Iterator[ConfirmedValue]:
    """What was searched for, as it was confirmed; the other metrics are there beside it."""
    metrics = confirmed.metrics or {}
    for objective in chosen.objectives:
        # A step of its own has another metric of that name.
        meant = meant_by(objective.metric, metrics)
        meant = meant or meant_by(short_name(objective.metric), metrics)
        # Of several steps of a node, none is the one.
        if len(meant) == 1:
            yield ConfirmedValue(
                objective=objective.metric,
                metric=meant[0],
                chosen=objective.chosen,
                value=metrics[meant[0]],
                band=(confirmed.bands or {}).get(meant[0]),
            )


def _failed_seeds(confirmed: Confirmed) -> Iterator[str]:
    for run in confirmed.seeds:
        if run.reason is not None:
            yield f"no result with {confirmed.parameter} {run.value}: {run.reason}"


def _by_step(
    record: RunRecord, plan: Plan, chosen: Chosen, name: str
) -> tuple[Confirmed, tuple[str, ...]]:
    """What the step measured, which trials did not run."""
    # A node stands for all of its steps.
    ours = [step for step in plan.steps if name in (step.name, step.node)]
    names = by_name(ours)
    records = [each for each in record.steps if each.name in names]
    metrics: dict[str, float] = {}
    for each in records:
        metrics |= each.full_metrics
    found = Confirmed(step=name, metrics=metrics)
    if not metrics:
        return replace(found, reason=f"step {name} measured nothing"), ()
    found = replace(found, values=tuple(_objectives(chosen, found)))
    return found, tuple(_doubts(record, plan, chosen, records))


def _doubts(
    record: RunRecord, plan: Plan, chosen: Chosen, records: list[StepRecord]
) -> Iterator[str]:
    """Why the data of the step may have been known to the trials."""
    until = tuple(filter(None, (step_of(each.metric) for each in chosen.objectives)))
    # As each trial was planned: what lies behind the objectives is not theirs.
    planned = select(plan, Selection(until=until)).steps
    ran = {step.name for step in planned if step.reason != NOT_ASKED_FOR}
    of_trials = replace(record, steps=tuple(step for step in record.steps if step.name in ran))
    known = (*data_read(of_trials), *of_trials.outs)
    own = data_read(replace(record, steps=tuple(records)))
    # Data that is held apart in a variable leaves no trace here; the model is no data.
    if all(overlaps_any(path, known) for path in own):
        yield (
            f"step {chosen.confirm_step} read no file that trials neither read nor made, so "
            "nothing shows that its data was new to the search"
        )
