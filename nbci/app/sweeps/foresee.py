"""What a sweep is going to do here, without starting a kernel."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING

from nbci.app.sweeps.lane import plan_trial, steps_of_trials
from nbci.app.sweeps.sweep import sweep_record
from nbci.data.sharing import shared_cache
from nbci.engine.caching.forecast import foresee
from nbci.engine.caching.reuse import last_records
from nbci.engine.prepare import lock_file, plan_target
from nbci.errors import InfrastructureError, NbciError, UsageError
from nbci.graph import by_name, followers_of, reachable
from nbci.pipeline.confirmation import refuse_seen
from nbci.project.sources import read_target
from nbci.runs.project_runs import trial_runs
from nbci.store.file_index import project_index
from nbci.sweeps.outlook import (
    Outlook,
    StepOutlook,
    count_points,
    differing_points,
    is_infinite,
    projection,
    times_of,
)
from nbci.sweeps.space import grid, point_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.app.sweeps.sweep import SweepRequest
    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.records.run_record import StepRecord
    from nbci.sweeps.space import Point
    from nbci.sweeps.study_record import SweepRecord

_LOOKED_AT = 20
"""Points whose results are looked for: each takes some milliseconds."""
_LOOK_BACK_TRIALS = 20


def foresee_sweep(request: SweepRequest) -> Outlook:
    """What the sweep is going to do; UsageError where it would be refused."""
    target = read_target(request.target)
    plan = plan_target(
        target,
        environ=os.environ,
        files=request.files,
        pairs=request.pairs,
        kernel=request.kernel,
        lock=lock_file(target.project, request.environment),
    )
    sweep = sweep_record(target, plan, request)
    refuse_seen(sweep.confirm, steps_of_trials(plan_trial(sweep, target, {})))
    points = count_points(sweep.space, sweep.own_values)
    # Where all points are known, a sweep ends before its number of trials.
    known = [number for number in (points, sweep.trials) if number is not None]
    trials = min(known, default=None)
    params, never = _params_of_steps(sweep, target)
    found = _Standing(sweep, target, params, points)
    steps = []
    for name, names in params.items():
        looked_at, standing = found.counts(name)
        step = StepOutlook(
            name=name,
            params=names,
            times=times_of(sweep, names, points, trials),
            looked_at=looked_at,
            standing=standing,
            seconds=found.seconds(name),
        )
        steps.append(step)
    return Outlook(
        sweep=sweep,
        points=points,
        is_infinite=is_infinite(sweep.space),
        trials=trials,
        steps=tuple(steps),
        never=never,
    )


def _params_of_steps(
    sweep: SweepRecord, target: Target
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The searched parameters that each step of the trials depends on; those of no comparison.

    Found by plans that differ in one of them: whatever of their keys differs, and what follows.
    """
    reached: defaultdict[str, dict[str, None]] = defaultdict(dict)
    # First: steps that nothing searched reaches are in no comparison.
    for step in steps_of_trials(plan_trial(sweep, target, {})):
        reached[step] = {}
    searched = set()
    for name, one, other in differing_points(sweep.space, sweep.own_values):
        try:
            plans = [plan_trial(sweep, target, point) for point in (one, other)]
        except UsageError:
            # With these values a trial fails, and the sweep goes on.
            continue
        searched.add(name)
        # A condition may leave a step out at one of them: both count.
        changed = _changed_steps(*plans)
        for plan in plans:
            wanted = steps_of_trials(plan)
            starts = changed & plan.edges().keys()
            for step in reachable(starts, followers_of(plan.edges())):
                if step in wanted:
                    reached[step][name] = None
    never = [each.name for each in sweep.space if each.name not in searched]
    # As the space has them, so that two steps are told apart at a glance.
    order = [dimension.name for dimension in sweep.space]
    found = {}
    for step, names in reached.items():
        found[step] = tuple(sorted(names, key=order.index))
    return found, tuple(never)


def _changed_steps(one: Plan, other: Plan) -> set[str]:
    """The steps that are not the same in both, or in one only."""
    before, after = by_name(one.steps), by_name(other.steps)
    changed = before.keys() ^ after.keys()
    for name in before.keys() & after.keys():
        if (before[name].parts, before[name].action) != (after[name].parts, after[name].action):
            changed.add(name)
    return changed


class _Standing:
    """Which results of the trials are there already, and how long steps took."""

    def __init__(
        self,
        sweep: SweepRecord,
        target: Target,
        params: Mapping[str, Sequence[str]],
        points: int | None,
    ) -> None:
        self._last = last_records(target.project, sweep.target)
        self._of_trials = _seconds_in_trials(target.project, sweep.target)
        self._looked: defaultdict[str, set[str]] = defaultdict(set)
        self._standing: defaultdict[str, set[str]] = defaultdict(set)
        self._settled: dict[str, StepRecord] = {}
        index = project_index(target.project)
        cache = shared_cache(target.project, os.environ)
        for point in _points_to_look_at(sweep, points):
            try:
                plan = plan_trial(sweep, target, point)
            except UsageError:
                continue
            plan, settled = foresee(plan, target.project, cache, index, lambda _: None)
            self._settled |= settled
            for step in plan.steps:
                names = params.get(step.name)
                # With infinitely many values, other trials have other ones.
                if names is None or (names and points is None):
                    continue
                which = projection(point, names)
                self._looked[step.name].add(which)
                # What depends on a step that is still to run may be there: nobody knows yet.
                if step.action in ("reuse", "skip"):
                    self._standing[step.name].add(which)
        # The digests that were computed spare the sweep the same work.
        with contextlib.suppress(InfrastructureError):
            index.save()
            cache.save()

    def counts(self, step: str) -> tuple[int, int]:
        """How many results of the step were looked for, and how many are there."""
        return len(self._looked[step]), len(self._standing[step])

    def seconds(self, step: str) -> float | None:
        """How long the step took last, or mostly took in trials; None where it never ran here."""
        # A result that stands says best how long its step takes with these inputs.
        for record in (self._settled.get(step), self._last(step)):
            if record is not None and record.ended_well and record.seconds is not None:
                return record.seconds
        return self._of_trials.get(step)


def _points_to_look_at(sweep: SweepRecord, points: int | None) -> Iterator[Point]:
    own = sweep.own_values
    if points is not None:
        yield from islice(grid(sweep.space, own), _LOOKED_AT)
        return
    # What all trials share stands at any point as at this one.
    first = next((one for _, one, _ in differing_points(sweep.space, own)), None)
    yield first or point_of(sweep.space, own, lambda each: own[each.name])


def _seconds_in_trials(project: Project, target: str) -> dict[str, float]:
    """How long each step mostly took in the newest trials of the target."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for folder in islice(trial_runs(project), _LOOK_BACK_TRIALS):
        # A damaged record only tells less.
        with contextlib.suppress(NbciError, OSError):
            if folder.read_header().target != target:
                continue
            for record in folder.step_records():
                if record.ended_well and record.seconds is not None:
                    found[record.name].append(record.seconds)
    return {step: median(seconds) for step, seconds in found.items()}
