"""Carries one trial of a sweep with `fidelity` out: with little of its budget, then with more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace

from nbci.app.sweeps.lane import plan_trial
from nbci.app.sweeps.outcome import end_of
from nbci.app.sweeps.trial_watch import ask_study
from nbci.errors import UsageError, spelling_hint
from nbci.pipeline.fidelity import read_fidelity
from nbci.sweeps.brackets import bracket_of
from nbci.sweeps.space_text import nowhere
from nbci.sweeps.study_record import FROM_FIDELITY, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nbci.app.sweeps.lane import Lane
    from nbci.app.sweeps.trial_watch import Judge
    from nbci.params import Parameter
    from nbci.pipeline.fidelity import Fidelity
    from nbci.pipeline.search_space import Sweep
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.records.run_record import FileRef, ParameterValue, RunRecord
    from nbci.sweeps.study_record import SweepRecord, TrialRecord


async def climb(
    lane: Lane,
    trial: TrialRecord,
    sweep: SweepRecord,
    judge: Judge,
    is_stopping: Callable[[], bool],
) -> TrialRecord:
    """The trial as it ended: at the last rung, or at an earlier one where the judge stopped it.

    Each rung is a run of its own. `is_stopping` is asked between them.

    Where nothing goes on from the rung below, those before the trial's first comparison would be
    computed for nothing. Chains have them all, so that other trials and sweeps can go on from them.
    """
    fidelity = sweep.fidelity
    assert fidelity is not None
    so_far = replace(trial, seconds=0.0)
    before: RunRecord | None = None
    first = 0
    if fidelity.resume_from is None:
        first = bracket_of(sweep, trial.number)
    for rung in range(first, len(fidelity.rungs)):
        amount, step = fidelity.rungs[rung], fidelity.steps[rung]
        # A stop that came in between found no run that it could have ended.
        if is_stopping():
            ended = replace(so_far, state="failed", error="interrupted", interrupted=True)
            return replace(ended, values=())
        point = {**trial.params, fidelity.param: amount}
        before = await lane.carry_out(
            trial.number, point, continued=_out_to_continue(fidelity, before)
        )
        so_far = _with_rung(so_far, end_of(trial, before, sweep.objectives), rung, amount)
        if so_far.state != "complete":
            return so_far
        await ask_study(judge.report, trial.number, step, so_far.values[0])
        is_last = amount == fidelity.rungs[-1]
        if not is_last and await ask_study(judge.should_stop, trial.number):
            # Its value is that of less than a whole trial: it is not compared with theirs.
            return replace(so_far, state="pruned", values=())
    return so_far


def _with_rung(so_far: TrialRecord, ended: TrialRecord, rung: int, amount: float) -> TrialRecord:
    """What the next rung came to, with the work and the values of those before."""
    curve = so_far.curve
    if ended.state == "complete":
        curve = (*curve, (amount, ended.values[0]))
    return replace(
        ended,
        computed=_sum(so_far.computed, ended.computed),
        reused=_sum(so_far.reused, ended.reused),
        seconds=round((so_far.seconds or 0.0) + (ended.seconds or 0.0), 3),
        curve=curve,
        rung=rung,
        resource=amount,
    )


def _sum(one: Work, other: Work) -> Work:
    total = one + other
    return replace(total, seconds=round(total.seconds, 3))


def _out_to_continue(fidelity: Fidelity, before: RunRecord | None) -> FileRef | None:
    """The out of the rung below from which a step goes on; None where it begins anew."""
    if before is None or fidelity.resume_from is None:
        return None
    return before.outs.get(fidelity.resume_from)


def budget_of(given: Mapping[str, Any], sweep: Sweep, parameters: Sequence[Parameter]) -> Fidelity:
    """The budget of the sweep in the file, with what the command line changes of it."""
    fields = dict(given)
    if sweep.fidelity is not None:
        fields = {**asdict(sweep.fidelity), **given}
    if "param" not in fields:
        raise UsageError(
            "--resume-from goes with a budget of which trials get more and more",
            hint="for example: --method hyperband --fidelity epochs=1..27",
        )
    return read_fidelity(fields, parameters, sweep.space, nowhere)


def with_all_of_it(
    params: tuple[ParameterValue, ...], fidelity: Fidelity | None
) -> tuple[ParameterValue, ...]:
    """The parameters of a whole trial, which has all of the budget."""
    if fidelity is None:
        return params
    found = []
    for param in params:
        found.append(param)
        if param.name == fidelity.param:
            found[-1] = replace(param, value=fidelity.high, source=FROM_FIDELITY)
    return tuple(found)


def check_resumed_out(sweep: SweepRecord, target: Target, whole: Plan) -> None:
    """UsageError where no step can go on from what the `fidelity` says; `whole` has all of it."""
    fidelity = sweep.fidelity
    if fidelity is None:
        return
    # By what its steps' keys are made of, whatever they call the parameter.
    little = plan_trial(sweep, target, {fidelity.param: fidelity.low})
    if [step.parts for step in little.steps] == [step.parts for step in whole.steps]:
        raise UsageError(
            f"no step depends on {fidelity.param}, of which the `fidelity` gives trials more",
            hint="name a parameter that a step uses",
        )
    path = fidelity.resume_from
    if path is None:
        return
    for step, other in zip(whole.steps, little.steps, strict=False):
        if path not in step.outs:
            continue
        # An out that is kept nowhere is gone before the next rung begins.
        if step.cache is False:
            raise UsageError(
                f"{step.name} cannot go on from {path}: its cache is disabled, so nothing of it is "
                "kept",
                hint="leave out `cache: disabled`, or `resume_from`",
            )
        if step.parts == other.parts:
            raise UsageError(
                f"{step.name}, which writes {path}, does not depend on {fidelity.param}",
                hint="name an out of the step that uses it in `resume_from`",
            )
        return
    outs = [out for step in whole.steps for out in step.outs]
    raise UsageError(
        f"`resume_from` names {path}, which is no out of a step that trials carry out",
        hint=spelling_hint(path, outs, f"outs: {', '.join(outs) or 'none'}"),
    )
