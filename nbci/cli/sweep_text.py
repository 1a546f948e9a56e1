"""`nbci sweep`: what the trials of a sweep came to, as text, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, number
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.formatting.text import short_line, text_of_lines
from nbci.sweeps.run_command import run_command
from nbci.sweeps.standing import front_of, ranked, work_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_SHOWN = 20
_SHOWN_COMMANDS = 3
_LONGEST_NOTE = 60
_WAYS = {"maximize": "as high as can be", "minimize": "as low as can be"}


def heading(sweep: SweepRecord) -> str:
    """What is searched, and until when."""
    budget = []
    if sweep.trials is not None:
        budget.append(counted(sweep.trials, "trial"))
    if sweep.minutes is not None:
        budget.append(f"{sweep.minutes:g} min")
    if sweep.no_better_in is not None:
        budget.append(f"none better in {sweep.no_better_in}")
    names = ", ".join(dimension.name for dimension in sweep.space)
    if sweep.fidelity is not None:
        rungs = ", ".join(map(number, sweep.fidelity.rungs))
        budget.append(f"{sweep.fidelity.param} {rungs}")
    until = f", at most {', '.join(budget)}" if budget else ""
    goals = []
    for objective in sweep.objectives:
        goals.append(f"{objective.metric} {_WAYS[objective.direction]}")
    return (
        f"sweep {sweep.sweep} of {one_line(sweep.target)}: {names} by {sweep.method}{until}; "
        f"{', '.join(goals)}"
    )


def trial_line(sweep: SweepRecord, trial: TrialRecord) -> str:
    """What one trial gave, and with which values."""
    result: str = trial.state
    if trial.state == "complete":
        result = values_text(sweep, trial)
    elif trial.state == "pruned":
        result = f"pruned{_reached(sweep, trial)}"
    elif trial.error is not None:
        result = f"{trial.state}: {short_line(one_line(trial.error))}"
    return f"trial {trial.number}: {result}  ({point_text(trial)}; {_work(trial)})"


def _reached(sweep: SweepRecord, trial: TrialRecord) -> str:
    """Where a trial was stopped, and by which value."""
    if not trial.curve:
        return ""
    step, value = trial.curve[-1]
    if sweep.fidelity is not None:
        objective = sweep.objectives[0].metric
        return f" at {sweep.fidelity.param}={number(step)}, {objective} {number(value)}"
    if sweep.prune is None:
        return ""
    return f" at step {number(step)}, {sweep.prune.on} {number(value)}"


def best_line(sweep: SweepRecord, trial: TrialRecord, ended: Sequence[TrialRecord]) -> str:
    """What stands behind the line of a trial that is the best of those shown."""
    if trial not in front_of(sweep, ended):
        return ""
    if len(sweep.objectives) > 1:
        return "  none better so far"
    return "  best so far"


def outcome_line(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> str:
    """What came of a sweep, for the list of builds of a CI."""
    computed, reused = work_of(trials)
    work = f"{counted(computed.steps, 'step')} ran, {reused.steps} reused"
    front = front_of(sweep, trials)
    if not front:
        return f"no trial has a value; {counted(len(trials), 'trial')}, {work}"
    best = front[0]
    if len(front) > 1:
        numbers = ", ".join(str(trial.number) for trial in front[:_SHOWN])
        return f"none better in all than trials {numbers}; {counted(len(trials), 'trial')}, {work}"
    return (
        f"best: trial {best.number}, {values_text(sweep, best)} ({point_text(best)}); "
        f"{counted(len(trials), 'trial')}, {work}"
    )


def values_text(sweep: SweepRecord, trial: TrialRecord) -> str:
    """The values of the objectives, by their names."""
    found = []
    for objective, value in zip(sweep.objectives, trial.values, strict=True):
        found.append(f"{objective.metric} {number(value)}")
    return ", ".join(found)


def point_text(trial: TrialRecord) -> str:
    """The parameters that were searched, with their values."""
    return ", ".join(f"{name}={_value(value)}" for name, value in trial.params.items())


def _work(trial: TrialRecord) -> str:
    if trial.same_as is not None:
        return f"as trial {trial.same_as}"
    steps = counted(trial.computed.steps, "step")
    return f"{steps} ran, {trial.reused.steps} reused, {duration(trial.seconds)}"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return one_line(value)
    return json.dumps(value)


def render(
    sweep: SweepRecord, trials: Sequence[TrialRecord], folder: str, target: str | None = None
) -> str:
    """The trials as a table, the best first, and what is to be known of all of them.

    `folder` is the sweep's and `target` what it searched, as they are called here.
    """
    if not trials:
        return text_of_lines([heading(sweep), "no trial yet"])
    names = [dimension.name for dimension in sweep.space]
    objectives = [objective.metric for objective in sweep.objectives]
    cells = [("trial", *objectives, *names, "state", "took", "run", "")]
    # Of a thousand trials, the best are what people look for.
    for trial in ranked(sweep, trials)[:_SHOWN]:
        values = [""] * len(objectives)
        if trial.state == "complete":
            values = [number(value) for value in trial.values]
        note = short_line(one_line(trial.error or ""), _LONGEST_NOTE)
        if trial.state == "pruned":
            note = _reached(sweep, trial).lstrip()
        if trial.same_as is not None:
            note = f"as trial {trial.same_as}"
        if trial.earlier:
            note = "an earlier run"
        row = [str(trial.number), *values]
        for name in names:
            # Where the condition of a parameter does not hold, it is not searched.
            row.append(_value(trial.params[name]) if name in trial.params else "")
        cells.append((*row, trial.state, duration(trial.seconds), trial.run or "", note))
    lines = table(cells, right=frozenset(range(len(objectives) + 1)))
    if len(trials) > _SHOWN:
        lines.append(f"and {len(trials) - _SHOWN} more: --json and --csv have all of them")
    return text_of_lines(
        [*lines, "", *_closing_lines(sweep, trials, target), f"  record: {folder}"]
    )


def _closing_lines(
    sweep: SweepRecord, trials: Sequence[TrialRecord], target: str | None
) -> Iterator[str]:
    front = front_of(sweep, trials)
    if len(sweep.objectives) > 1 and front:
        numbers = ", ".join(str(trial.number) for trial in front)
        yield f"no trial is better in all than one of these: {numbers}"
    elif front:
        yield f"best: trial {front[0].number}, {values_text(sweep, front[0])}"
    computed, reused = work_of(trials)
    yield (
        f"  {counted(len(trials), 'trial')}: {counted(computed.steps, 'step')} ran in "
        f"{duration(computed.seconds)}, {reused.steps} reused that took {duration(reused.seconds)}"
    )
    for trial in front[:_SHOWN_COMMANDS]:
        which = f"run trial {trial.number}" if len(front) > 1 else "run it"
        # It has another key than what went on from less, and is computed.
        if sweep.fidelity is not None and sweep.fidelity.resume_from is not None:
            which += " from the beginning"
        yield f"  {which} with: {run_command(sweep, trial, target)}"


def sweep_document(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """What `nbci sweep show --json` prints."""
    front = [trial.number for trial in front_of(sweep, trials)]
    objectives = [objective.metric for objective in sweep.objectives]
    directions = [objective.direction for objective in sweep.objectives]
    computed, reused = work_of(trials)
    return {
        "sweep": sweep.sweep,
        "pipeline": sweep.pipeline,
        "target": sweep.target,
        "name": sweep.name,
        "objective": _alone(objectives),
        "direction": _alone(directions),
        "method": sweep.method,
        "seed": sweep.seed,
        "trials": [_trial_document(trial) for trial in trials],
        "best": front[0] if front else None,
        "front": front,
        "computed": {"steps": computed.steps, "seconds": round(computed.seconds, 3)},
        "reused": {"steps": reused.steps, "seconds": round(reused.seconds, 3)},
    }


def _alone(values: list[Any]) -> Any:
    """The one value where there is one; else the list."""
    if len(values) == 1:
        return values[0]
    return values


def _trial_document(trial: TrialRecord) -> dict[str, Any]:
    return {
        "number": trial.number,
        "params": dict(trial.params),
        "values": [*trial.values] or None,
        "state": trial.state,
        "run": trial.run,
        "error": trial.error,
        "same_as": trial.same_as,
        "interrupted": trial.interrupted,
        "earlier": trial.earlier,
        "worker": trial.worker,
        "rung": trial.rung,
        "resource": trial.resource,
        "curve": [[step, value] for step, value in trial.curve],
        "started_utc": trial.started_utc,
        "ended_utc": trial.ended_utc,
        "seconds": trial.seconds,
        "computed": {"steps": trial.computed.steps, "seconds": trial.computed.seconds},
        "reused": {"steps": trial.reused.steps, "seconds": trial.reused.seconds},
    }


def trials_csv(sweep: SweepRecord, trials: Sequence[TrialRecord]) -> str:
    """The trials as CSV, in their order: number, state, objective, a column a parameter, run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [dimension.name for dimension in sweep.space]
    objectives = [objective.metric for objective in sweep.objectives]
    writer.writerow(["trial", "state", *objectives, *names, "run", "error"])
    for trial in trials:
        values = [trial.params.get(name, "") for name in names]
        # Empty, as spreadsheets know what is not there.
        results = trial.values or [""] * len(objectives)
        writer.writerow(
            [trial.number, trial.state, *results, *values, trial.run or "", trial.error or ""]
        )
    return text.getvalue()
