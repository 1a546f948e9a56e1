"""What earlier runs and sweeps say of the points of a search, so that it need not begin blindly.

A run counts where its steps stand: then a trial of its point would be that run once more.
"""

from __future__ import annotations

import contextlib
from itertools import chain
from typing import TYPE_CHECKING

from nbci.app.sweeps.lane import plan_trial
from nbci.app.sweeps.outcome import values_of
from nbci.engine.caching.forecast import foresee
from nbci.errors import NbciError
from nbci.runs.project_runs import all_runs, trial_runs
from nbci.sweeps.space import identity, point_in
from nbci.sweeps.study_record import TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.app.sweeps.lanes import Prepared
    from nbci.records.run_record import RunRecord, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord

_MOST = 200
"""So many points are looked up: each takes some milliseconds, and the newest say enough."""
LEARNING = ("tpe", "cmaes")
"""The methods that choose by what earlier trials gave."""


def earlier_trials(work: Prepared) -> tuple[TrialRecord, ...]:
    """The points that earlier runs of the target know, as the first trials of the sweep."""
    # The others choose the same points whatever is known, and their steps are reused all the same.
    if work.sweep.method not in LEARNING:
        return ()
    found = []
    for run, point in _points(work):
        # What is no longer there, or cannot be planned any more, says nothing.
        with contextlib.suppress(NbciError, OSError):
            values = _values(work, point)
            if values is not None:
                found.append((run, point, values))
    trials = []
    # The oldest first, as if they were the sweep's own.
    for number, (run, point, values) in enumerate(reversed(found)):
        trials.append(
            TrialRecord(
                number=number, state="complete", params=point, values=values, run=run, earlier=True
            )
        )
    return tuple(trials)


def _points(work: Prepared) -> Iterator[tuple[str, Point]]:
    """The points of the space that earlier runs had, the newest first, each with its run."""
    sweep = work.sweep
    project = work.target.project
    known: set[str] = set()
    # A person's own runs first: of two runs of one point, it is theirs that is named.
    for folder in chain(all_runs(project), trial_runs(project)):
        run = _header(folder, sweep)
        point = None
        if run is not None:
            point = point_in(sweep.space, sweep.own_values, run.param_values)
        if run is None or point is None or identity(point) in known:
            continue
        known.add(identity(point))
        yield run.run, point
        if len(known) == _MOST:
            return


def _header(folder: RunFolder, sweep: SweepRecord) -> RunRecord | None:
    """The run of the folder without its steps, where it is one of the target that passed."""
    with contextlib.suppress(NbciError, OSError):
        run = folder.read_header()
        if run.target == sweep.target and run.result == "passed":
            return run
    return None


def _values(work: Prepared, point: Point) -> tuple[float, ...] | None:
    """The objectives at the point, where all of its steps would be reused."""
    plan = plan_trial(work.sweep, work.target, point)
    ready = work.ready
    plan, settled = foresee(plan, ready.project, ready.cache, ready.index, _no_record)
    metrics: dict[str, float] = {}
    for step in plan.steps:
        # It is skipped in each trial, too.
        if step.action == "skip":
            continue
        if step.name not in settled:
            return None
        metrics |= settled[step.name].full_metrics
    values = values_of(metrics, work.sweep.objectives)
    if isinstance(values, str):
        return None
    return values


def _no_record(step: str) -> StepRecord | None:
    """No record: why a step would run is of no interest here."""
    return None
