"""Run a plan in parts, with a store folder that is carried between them.

Each part may run in a separate checkout.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.audit_draw import Draw
from nbci.data.repository import store_cache
from nbci.data.sharing import share
from nbci.dot_nbci import STORE_FOLDER
from nbci.engine.caching.look_ahead import LookAhead, ended_records
from nbci.engine.distributed.handover import hand_over, hand_over_more
from nbci.engine.prepare import header
from nbci.engine.ready import make_ready
from nbci.engine.run import RunOptions, run_plan
from nbci.errors import UsageError
from nbci.formatting.durations import now_utc
from nbci.graph import followers_of, reachable
from nbci.kernels.descriptors import kernels_at_once
from nbci.project.sources import read_notebooks
from nbci.records.codec import to_json
from nbci.records.run_record import Attempt, Failure, StepRecord, lets_followers_run
from nbci.runs.file_names import EVENTS_FILE
from nbci.runs.folder import RunFolder
from nbci.store.file_index import project_index
from nbci.store.files import lock_path, try_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.engine.listener import TickingListener
    from nbci.engine.ready import Ready
    from nbci.engine.steps.auditor import Auditor
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord
    from nbci.store.cache import Cache

_POLL_SECONDS = 0.2
_BUILDS = ("BUILD_TAG", "CI_PIPELINE_ID", "GITHUB_RUN_ID", "BUILD_BUILDID")
"""What tells one build from another, and is the same for all of its parts: on Jenkins, GitLab,
GitHub, Azure.
"""


def open_store(project: Project, plan: Plan, folder: str | None) -> RunFolder:
    """The plan's own folder in the store, so that one store can carry several plans."""
    store = project.root / STORE_FOLDER
    if folder:
        store = Path(folder)
    # The plan's digest: each part finds the same folder without being told of it.
    digest = hashlib.blake2b(
        to_json(plan).encode("utf-8", errors="surrogatepass"), digest_size=8
    ).hexdigest()
    return RunFolder(store.resolve() / digest)


def run_part(
    project: Project,
    plan: Plan,
    store: RunFolder,
    steps: Sequence[PlannedStep],
    *,
    display: TickingListener,
    environ: Mapping[str, str],
    handover: Path | None = None,
    audited_by: Callable[[Ready, Draw], Auditor] | None = None,
) -> RunRecord:
    """Run some steps of the plan with what the store has of the steps before them.

    `handover` is the folder that is to hold what they have come to, whatever that is; `audited_by`
    makes what audits those that are drawn.
    """
    with _alone(store, steps, display):
        cache = cache_of_store(project, store, environ)
        ready = _ready_for(project, plan, steps, cache, environ)
        draw = draw_of_build(project, store, environ)
        look_ahead = LookAhead(project.root, plan, store, cache, ready.index, draw)
        look_ahead.settle(_before(plan, steps))
        records = _records_before(plan, store, steps)
        store.write_plan(plan)
        # A part's own log: several parts may come together in one store.
        log = store.step(steps[0].name) / EVENTS_FILE
        context = ready.begin(
            store, display, log=log, ended=records.values(), artifacts_through_cache=True
        )
        auditor: Auditor | None = None
        if audited_by is not None and draw is not None:
            auditor = audited_by(ready, draw)
            context = replace(context, auditor=auditor)
        store.make_reserve()
        begun = header(store.run, plan, project.root, (), ready.mask)
        try:
            record = run_plan(
                context, begun, RunOptions(jobs=1, tick=display.tick, part=tuple(steps))
            )
        finally:
            if auditor is not None:
                auditor.end()
            ready.save()
            if handover is not None:
                hand_over(store, cache, steps, handover)
        if handover is not None and record.result == "passed":
            _hand_over_settled(look_ahead, _behind(plan, steps), handover)
        return record


def _ready_for(
    project: Project,
    plan: Plan,
    steps: Sequence[PlannedStep],
    cache: Cache,
    environ: Mapping[str, str],
) -> Ready:
    notebooks = read_notebooks(project, plan.sources or {})
    kernels_at_once(1)
    return make_ready(project, plan, notebooks, cache=cache, environ=environ, part=steps)


def _hand_over_settled(look_ahead: LookAhead, names: set[str], handover: Path) -> None:
    """Hand over results that stand for later steps, too: their stages then need no machine."""
    settled = look_ahead.settle(names)
    hand_over_more(look_ahead.store, look_ahead.cache, settled, handover)
    look_ahead.name_stages(settled, handover)


def note_lost_attempts(store: RunFolder, step: str, count: int) -> None:
    """Record that a step was tried on machines that vanished.

    Nothing is recorded where the store already knows of the step.

    A CI that carries out a stage again on another machine is the only one that knows of the first
    try.
    """
    if count < 1 or store.read_step(step) is not None:
        return
    failure = Failure(kind="infrastructure", message="the machine that it ran on vanished")
    attempts: list[Attempt] = []
    for number in range(1, count + 1):
        # The machine's log of it is lost, so that neither its begin nor its length is known.
        attempt = Attempt(
            number=number, result="failed", started_utc=now_utc(), seconds=0.0, failure=failure
        )
        attempts.append(attempt)
    store.write_step(StepRecord(name=step, result="failed", attempts=tuple(attempts)))


@contextmanager
def _alone(
    store: RunFolder, steps: Sequence[PlannedStep], display: TickingListener
) -> Iterator[None]:
    """Wait while another process runs one of the steps in this store.

    That process may have outlived its connection to a CI.
    """
    with ExitStack() as locks:
        # In one order, so that two processes never wait for each other.
        for name in sorted(_names(steps)):
            place = lock_path(store.path / "locks", name)
            descriptor = try_lock(place)
            if descriptor is None:
                display.noticed(
                    f"waiting for another process, which runs step {name} in this store"
                )
            # Polled, since the lock belongs to another process, which may end at any time.
            while descriptor is None:
                time.sleep(_POLL_SECONDS)
                descriptor = try_lock(place)
            locks.callback(os.close, descriptor)
        yield


def decide_before(
    project: Project, plan: Plan, store: RunFolder, environ: Mapping[str, str], handover: Path
) -> None:
    """Before anything runs, take what a remote has of the plan's steps, and name settled stages.

    The results are put into the store and into the folder `handover`; the stages named are those
    that these results settle.
    """
    cache, index = cache_of_store(project, store, environ), project_index(project)
    draw = draw_of_build(project, store, environ)
    look_ahead = LookAhead(project.root, plan, store, cache, index, draw)
    settled = look_ahead.settle(_names(plan.steps))
    cache.save()
    index.save()
    hand_over(store, cache, settled, handover)
    look_ahead.name_stages(settled, handover)


def draw_of_build(project: Project, store: RunFolder, environ: Mapping[str, str]) -> Draw | None:
    """Which of the steps are audited in this build: all of its parts draw the same.

    None where nobody asked for audits, or no CI tells one build from another.
    """
    builds = [environ[name] for name in _BUILDS if environ.get(name)]
    if project.audit is None or not builds:
        return None
    return Draw(f"{store.run} {builds[0]}", project.audit)


def cache_of_store(project: Project, store: RunFolder, environ: Mapping[str, str]) -> Cache:
    """The cache in the store, which asks the remote for what it lacks."""
    cache = store_cache(project, store.path)
    share(project, cache, environ, for_other_machines=True)
    return cache


def _before(plan: Plan, steps: Sequence[PlannedStep]) -> set[str]:
    names = _names(steps)
    return reachable(names, plan.edges()) - names


def _behind(plan: Plan, steps: Sequence[PlannedStep]) -> set[str]:
    names = _names(steps)
    return reachable(names, followers_of(plan.edges())) - names


def _names(steps: Iterable[PlannedStep]) -> set[str]:
    return {step.name for step in steps}


def _records_before(
    plan: Plan, store: RunFolder, steps: Sequence[PlannedStep]
) -> dict[str, StepRecord]:
    """The records of all other steps in the store.

    UsageError when a step that must have ended has not.
    """
    here = _names(steps)
    records = {}
    for record in ended_records(plan, store):
        # What a part runs now may have a record of an earlier try.
        if record.name not in here:
            records[record.name] = record
    for step in steps:
        for name in step.after:
            if name in here:
                continue
            state = "not there"
            if name in records:
                if lets_followers_run(records[name].result):
                    continue
                state = records[name].result
            raise UsageError(
                f"step {step.name} comes after {name}, whose record in the store is {state}",
                hint=f"run it first, or carry its store here: {store.path.parent}",
            )
    return records
