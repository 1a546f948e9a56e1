"""Hand a trial of a sweep out to a worker, which has its stages carried out on agents."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict, replace

from nbci.app.planning import refuse_unfit
from nbci.app.sweeps.known_results import KnownResults, other_value
from nbci.app.sweeps.lane import plan_trial
from nbci.app.sweeps.parts_folder import Build, Job, PartsFolder, checked_worker
from nbci.app.sweeps.parts_study import goes_on_here, is_own, open_parts_study, open_trials
from nbci.app.sweeps.sweep import check_plan, sweep_record
from nbci.app.sweeps.take_back import Taking
from nbci.app.sweeps.trials import like
from nbci.engine.prepare import lock_file, plan_target
from nbci.errors import IntegrityError, UsageError
from nbci.formatting.durations import now_utc
from nbci.git.checkout import is_in_repository
from nbci.git.process import Git
from nbci.plan.select import Selection, select
from nbci.project.sources import read_target
from nbci.records.codec import to_json
from nbci.store.files import write_atomic
from nbci.sweeps.carried import unpack
from nbci.sweeps.space import identity
from nbci.sweeps.standing import common_error, without_dead
from nbci.sweeps.study_record import read_sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.app.sweeps.sweep import SweepRequest
    from nbci.app.sweeps.trials import Trials
    from nbci.config import Project
    from nbci.engine.caching.look_ahead import LookAhead
    from nbci.plan.model import Plan
    from nbci.project.sources import Target
    from nbci.sweeps.carried import Carried
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

_ASK_AGAIN_SECONDS = 20
_NEW_EACH_TIME = ("sweep", "seed", "nbci", "started_utc", "command")
_BUDGET = ("trials", "minutes", "no_better_in", "parallel")


class NextRequest(Struct, frozen=True, kw_only=True):
    """One call of `nbci sweep next`: what `worker` is to do for the sweep in the folder `state`.

    `out` gets the plan, `leave` the results that stand for its steps; `store` carries results.
    `before` has what an earlier build left of the sweep. `tell` is called with what is to be known.
    """

    sweep: SweepRequest
    state: Path
    worker: str
    out: Path
    leave: Path
    store: str | None
    before: Path | None
    tell: Callable[[str], None]


class Part(Struct, frozen=True, kw_only=True):
    """What a worker is to do: carry out the `plan` of a job, or wait; or why all is over.

    It waits until another worker has told something, or for `ask_again_seconds`.
    """

    plan: Plan | None = None
    job: Job | None = None
    waits_for: str | None = None
    ask_again_seconds: int | None = None
    over: str | None = None


def hand_out(request: NextRequest) -> Part:
    """Give the worker the next trial, or the steps that others need, too.

    UsageError where the sweep cannot be carried out, or the folder has another one.
    """
    checked_worker(request.worker)
    target = read_target(request.sweep.target)
    plan = plan_target(
        target,
        environ=os.environ,
        files=request.sweep.files,
        pairs=request.sweep.pairs,
        kernel=request.sweep.kernel,
        lock=lock_file(target.project, request.sweep.environment),
    )
    wanted = sweep_record(target, plan, request.sweep)
    refuse_unfit(target.project, check_plan(target, wanted))
    folder = PartsFolder(request.state)
    folder.open()
    try:
        sweep = _begin_or_go_on(folder, target, wanted, request)
        with ExitStack() as stack:
            return _Handing(request, target, folder, sweep, stack).next()
    finally:
        folder.release()


def commit_here(project: Project) -> str | None:
    """The commit that is checked out; None where there is none."""
    if not is_in_repository(project.root):
        return None
    return Git(project.root).get("rev-parse", "--verify", "--quiet", operands=["HEAD^{commit}"])


def _begin_or_go_on(
    folder: PartsFolder, target: Target, wanted: SweepRecord, request: NextRequest
) -> SweepRecord:
    """The sweep in the folder; where there is none, that of an earlier build, or a new one."""
    if folder.has_begun:
        found = folder.read_record()
        if not _is_alike(found, wanted):
            raise UsageError(
                f"the folder {folder.path} has another sweep, of {found.target}",
                hint="give each sweep a folder of its own",
            )
        return found
    sweep = wanted
    # In a database, a new sweep joins the study: nothing need be handed from build to build.
    if request.before is not None and wanted.study is None:
        sweep = _taken_up(folder, target, wanted, request) or wanted
    folder.write_record(sweep)
    if sweep.prune is not None:
        request.tell("`prune` does not count here: trials on agents are carried out to their end")
    if sweep.fidelity is not None:
        request.tell(
            f"`fidelity` does not count here: trials on agents have all of {sweep.fidelity.param}"
        )
    return sweep


def _taken_up(
    folder: PartsFolder, target: Target, wanted: SweepRecord, request: NextRequest
) -> SweepRecord | None:
    """The sweep of an earlier build, put into the folder; None where it is another search."""
    carried = _read_carried(request)
    if carried is None:
        return None
    place = request.before
    assert place is not None
    found = read_sweep(carried.files.get("sweep.json", "").encode(), place)
    # A trial before a change and one after it would be compared as if they were alike; what data
    # the steps read is known by the commit only.
    if carried.commit != commit_here(target.project) or not _is_alike(found, wanted):
        request.tell(
            "the sweep of an earlier build was of another commit, or another search: "
            "this one begins anew"
        )
        return None
    folder.put_back(dict(carried.files))
    changed = {name: getattr(wanted, name) for name in _BUDGET}
    found = replace(found, **changed)
    earlier = folder.read_trials()
    for trial, settled in zip(earlier, without_dead(earlier), strict=True):
        # Whoever was at work at it went away with its build.
        if settled is not trial:
            folder.add_trial(settled)
    earlier = folder.read_trials()
    with open_parts_study(target.project, folder, found) as study:
        study.settle(earlier)
    request.tell(f"goes on with sweep {found.sweep} of an earlier build: {len(earlier)} trials")
    return found


def _read_carried(request: NextRequest) -> Carried | None:
    assert request.before is not None
    try:
        text = request.before.read_text("utf-8")
    except FileNotFoundError:
        return None
    # As a build script leaves it where no earlier build had anything.
    if not text:
        return None
    try:
        return unpack(text)
    except IntegrityError as error:
        # Of no use, and no reason to refuse this build.
        request.tell(str(error))
        return None


def _is_alike(found: SweepRecord, wanted: SweepRecord) -> bool:
    """Whether two sweeps are the same search; their budgets may differ."""
    changed = {name: getattr(wanted, name) for name in (*_NEW_EACH_TIME, *_BUDGET)}
    return asdict(replace(found, **changed)) == asdict(wanted)


class _Handing:
    """One call: looks for something that the worker can do now."""

    def __init__(
        self,
        request: NextRequest,
        target: Target,
        folder: PartsFolder,
        sweep: SweepRecord,
        stack: ExitStack,
    ) -> None:
        self._stack = stack
        self._request = request
        self._target = target
        self._folder = folder
        self._sweep = sweep
        self._build = folder.build()
        self._known = KnownResults(target.project, folder, request.store)

    @cached_property
    def _trials(self) -> Trials:
        # Opened only where a worker has nothing yet: Optuna takes most of a second.
        opened = open_trials(self._target.project, self._folder, self._sweep)
        return self._stack.enter_context(opened)

    def next(self) -> Part:
        job = self._folder.job_of(self._request.worker)
        # What it was given was lost on the way, so that it asks again.
        if job is not None:
            return self._give(job, self._known.settle(self._folder.plan_of(job)))
        try:
            while True:
                trial = self._own_trial() or self._begin()
                if isinstance(trial, str):
                    return Part(over=trial)
                part = self._part_of(trial)
                if part is not None:
                    return part
        finally:
            self._known.save()

    def _own_trial(self) -> TrialRecord | None:
        """The trial of this worker that is not over yet."""
        for trial in self._trials.in_order:
            if not goes_on_here(self._sweep, trial):
                continue
            # In a shared study, the machine that asked stands before it.
            if (trial.worker or "").rpartition("/")[2] == self._request.worker:
                return trial
        return None

    def _begin(self) -> TrialRecord | str:
        """The next trial, or why there is none."""
        of_this_build = []
        for trial in self._trials.in_order:
            if trial.number >= self._build.first and is_own(self._sweep, trial):
                of_this_build.append(trial)
        error = common_error(of_this_build)
        if error is not None:
            return f"all trials fail with one error: {error}"
        if self._trials.is_over(_seconds_since(self._build)):
            return "no further trial is to begin"
        return self._trials.begin(self._request.worker) or "no further point is to be tried"

    def _part_of(self, trial: TrialRecord) -> Part | None:
        """What is to be done for the trial; None where that was nothing, so that it has ended."""
        first = self._trials.first_like(trial)
        if first is not None:
            self._trials.end(like(trial, first))
            return None
        for other in self._trials.in_order:
            if _is_the_same_before(other, trial):
                return self._wait(f"trial {other.number}, which has the same values")
        try:
            plan = plan_trial(self._sweep, self._target, dict(trial.params))
        except UsageError as error:
            # With these values the pipeline cannot be planned; with others it may.
            failed = replace(trial, state="failed", error=error.message, ended_utc=now_utc())
            self._trials.end(failed)
            return None

        ahead = self._known.settle(plan)
        coming = ahead.next_keys()
        unkept = self._folder.unkept()
        waits_for = self._in_the_making(trial, coming, unkept)
        if waits_for is not None:
            return self._wait(waits_for)
        shared = self._needed_by_all(trial, coming, unkept)
        if shared:
            ahead = self._known.settle(select(plan, Selection(until=shared)))
        job = Job(worker=self._request.worker, trial=trial.number, shared=bool(shared))
        if not coming:
            # All of it is known: no agent has anything to do.
            self._folder.give(job, plan)
            taking = Taking(self._target, self._folder, self._trials, self._known)
            taking.end(job, plan, ahead.store)
            return None
        return self._give(job, ahead)

    def _in_the_making(
        self, trial: TrialRecord, coming: dict[str, str], unkept: frozenset[str]
    ) -> str | None:
        """Who computes what the trial needs next; None where nobody does."""
        wanted = {key: name for name, key in coming.items() if key not in unkept}
        if not wanted:
            return None
        for job in self._folder.jobs():
            made, _ = self._known.keys(self._folder.plan_of(job))
            for key in wanted.keys() & {*made.values()}:
                return f"{wanted[key]}, which worker {job.worker} computes for trial {job.trial}"
        for other in self._trials_before(trial):
            made, _ = self._known.keys(plan_trial(self._sweep, self._target, {**other.params}))
            for key in wanted.keys() & {*made.values()}:
                return f"{wanted[key]}, which sweep {other.sweep} computes for trial {other.number}"
        return None

    def _trials_before(self, trial: TrialRecord) -> list[TrialRecord]:
        """Trials that go on in other builds, and whose results come here, by the remote."""
        found = []
        for other in self._trials.in_order:
            # Not later ones: two builds would wait for each other.
            is_before = other.state == "running" and other.number < trial.number
            if is_before and not is_own(self._sweep, other):
                found.append(other)
        return found if self._known.is_shared else []

    def _wait(self, reason: str) -> Part:
        # Nobody tells this build of it when another one's trial has ended.
        seconds = _ASK_AGAIN_SECONDS if self._trials.others_go_on else None
        return Part(waits_for=reason, ask_again_seconds=seconds)

    def _needed_by_all(
        self, trial: TrialRecord, coming: dict[str, str], unkept: frozenset[str]
    ) -> tuple[str, ...]:
        """The steps that come next and that no searched parameter reaches.

        They are handed out by themselves, so that the others wait for no more than these.
        """
        if self._sweep.parallel == 1 or not coming:
            return ()
        other = {}
        for name, value in trial.params.items():
            other[name] = other_value(self._sweep, name, value)
        _, there = self._known.keys(plan_trial(self._sweep, self._target, other))
        found = []
        for name, key in coming.items():
            if key in there and key not in unkept:
                found.append(name)
        return tuple(found)

    def _give(self, job: Job, ahead: LookAhead) -> Part:
        request = self._request
        self._known.hand_over(ahead, request.leave)
        write_atomic(request.out, to_json(ahead.plan))
        # Last: a worker that asks again after a failure before is given the same.
        self._folder.give(job, ahead.plan)
        return Part(plan=ahead.plan, job=job)


def _is_the_same_before(other: TrialRecord, trial: TrialRecord) -> bool:
    is_before = other.state == "running" and other.number < trial.number
    return is_before and identity(other.params) == identity(trial.params)


def _seconds_since(build: Build) -> float:
    began = datetime.fromisoformat(build.began_utc)
    return (datetime.fromisoformat(now_utc()) - began).total_seconds()
