"""What a sweep is going to do, as text and as JSON: `nbci plan --sweep`, `nbci sweep --dry-run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, listed
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.formatting.text import text_of_lines
from nbci.sweeps.outlook import COUNTED_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.app.sweeps.sweep import SweepRequest
    from nbci.sweeps.outlook import Outlook, StepOutlook

_NAMED_STEPS = 5


def print_outlook(request: SweepRequest, *, as_json: bool) -> None:
    """Print what the sweep would do; nothing runs."""
    from nbci.app.sweeps.foresee import foresee_sweep
    from nbci.cli.arguments import print_json

    outlook = foresee_sweep(request)
    if as_json:
        print_json(outlook_document(outlook))
    else:
        print(render_outlook(outlook), end="")


def render_outlook(outlook: Outlook) -> str:
    """How large the space is, which steps trials share, and about how long it takes."""
    sweep = outlook.sweep
    # On the command line a sweep has no name.
    named = f"sweep {sweep.name} of" if sweep.name else "sweep of"
    names = ", ".join(dimension.name for dimension in sweep.space)
    goals = ", ".join(f"{each.direction} {each.metric}" for each in sweep.objectives)
    lines = [f"{named} {one_line(sweep.target)}: {names} by {sweep.method}; {goals}"]
    lines += [_size(outlook), ""]
    rows = [("step", "runs", "depends on", "stands", "takes")]
    rows += map(_row, outlook.steps)
    lines += [*table(rows), "", *_time(outlook)]
    for name in outlook.never:
        lines.append(
            f"warning: which steps depend on {name} is not known: of the points that were looked "
            "at, no two that can be planned differ in it"
        )
    return text_of_lines(lines)


def _size(outlook: Outlook) -> str:
    sweep = outlook.sweep
    points = f"more than {COUNTED_POINTS:,} points"
    if outlook.is_infinite:
        points = "infinitely many points"
    elif outlook.points is not None:
        points = counted(outlook.points, "point")
    tried = "as many are tried as time is for"
    if outlook.trials is not None and outlook.trials == outlook.points:
        tried = "all of them are tried"
    elif outlook.trials is not None:
        tried = f"{outlook.trials:,} of them are tried"
    ends = []
    if sweep.minutes is not None:
        ends.append(f"none begins after {sweep.minutes:g} min")
    if sweep.no_better_in is not None:
        ends.append(f"it ends once {sweep.no_better_in} were no better")
    at_once = f"{sweep.parallel} at once" if sweep.parallel > 1 else "one after another"
    return ", ".join((points, tried, at_once, *ends))


def _row(step: StepOutlook) -> tuple[str, str, str, str, str]:
    runs = "in each trial"
    if step.times == 1:
        runs = "once"
    elif step.times is not None:
        runs = f"{step.times:,} times"
    stands = ""
    if step.looked_at:
        stands = f"{step.standing} of {step.looked_at}"
    # Of a step that runs once there is nothing to count.
    if step.looked_at == step.times == 1:
        stands = "yes" if step.standing else "no"
    return step.name, runs, ", ".join(step.params), stands, duration(step.seconds)


def _time(outlook: Outlook) -> Iterator[str]:
    # A sum without one of its parts would be taken for the whole.
    if outlook.unknown:
        names = listed(outlook.unknown, _NAMED_STEPS)
        yield f"how long it takes is not known: no earlier run here has {names}"
        return
    shared, own = outlook.shared_seconds, outlook.own_seconds
    if outlook.seconds is None or own is None:
        yield "how long it takes is not known: its number of trials is not"
        return
    at_once = ""
    if outlook.sweep.parallel > 1:
        at_once = f", {outlook.sweep.parallel} at once"
    # How many trials are stopped, and when, nobody knows before.
    about = "about"
    if outlook.sweep.prune is not None or outlook.sweep.fidelity is not None:
        about = "at most about"
    yield (
        f"{about} {duration(outlook.seconds)}: {duration(shared)} for what all trials share, "
        f"{duration(own)} for what they have of their own{at_once}"
    )


def outlook_document(outlook: Outlook) -> dict[str, Any]:
    """What `--json` prints."""
    sweep = outlook.sweep
    steps = []
    for step in outlook.steps:
        steps.append(
            {
                "step": step.name,
                "params": [*step.params],
                "times": step.times,
                "looked_at": step.looked_at,
                "standing": step.standing,
                "seconds": step.seconds,
            }
        )
    return {
        "pipeline": sweep.pipeline,
        "target": sweep.target,
        "name": sweep.name,
        "params": [dimension.name for dimension in sweep.space],
        "objectives": [objective.metric for objective in sweep.objectives],
        "method": sweep.method,
        "points": outlook.points,
        "infinite": outlook.is_infinite,
        "trials": outlook.trials,
        "minutes": sweep.minutes,
        "parallel": sweep.parallel,
        "steps": steps,
        "shared_seconds": outlook.shared_seconds,
        "own_seconds": outlook.own_seconds,
        "seconds": outlook.seconds,
    }
