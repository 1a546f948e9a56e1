"""Run a plan in parts, with a store folder that is carried between them.

Each part may run in a separate checkout.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.data.repository import carried_cache, project_cache
from nbci.data.sharing import share
from nbci.engine.caching.look_ahead import Ahead, ended_records, unrun
from nbci.engine.distributed.handover import leave, leave_more
from nbci.engine.prepare import header, mask_for
from nbci.engine.ready import make_ready
from nbci.engine.run import RunOptions, run_plan
from nbci.errors import UsageError
from nbci.graph import followers_of, reachable
from nbci.kernels.descriptors import kernels_at_once
from nbci.plan.stages import stages
from nbci.project.sources import read_notebooks
from nbci.records.codec import to_json
from nbci.records.metrics import missing_metrics
from nbci.records.run_record import Attempt, Failure, StepRecord, lets_followers_run
from nbci.runs.folder import RunFolder, new_run, now_utc
from nbci.store.cache import Cache
from nbci.store.file_index import project_index
from nbci.store.files import disk_errors, lock_path, try_lock, write_atomic
from nbci.store.safe_paths import checked_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.engine.listener import TickingListener
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import RunRecord

_POLL_SECONDS = 0.2
_CLOCKS_AGREE_SECONDS = 10.0


def open_store(project: Project, plan: Plan, folder: str | None) -> RunFolder:
    """The plan's own folder in the store, so that one store can carry several plans."""
    store = Path(folder) if folder else project.root / ".nbci" / "store"
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
    left: Path | None = None,
) -> RunRecord:
    """Run some steps of the plan with what the store has of the steps before them.

    `left` is the folder that is to hold what they have come to, whatever that is.
    """
    with _alone(store, steps, display):
        notebooks = read_notebooks(project, plan.sources or {})
        cache = carried_cache(project, store.path)
        share(project, cache, environ, travels=True)
        kernels_at_once(1)
        ready = make_ready(project, plan, notebooks, cache=cache, environ=environ, part=steps)
        ahead = Ahead(project.root, plan, store, cache, ready.index)
        ahead.settle(_before(plan, steps))
        records = _records_before(plan, store, steps)
        store.write_plan(plan)
        log = store.step(steps[0].name) / "events.jsonl"
        context = ready.begin(
            store, display, log=log, ended=records.values(), artifacts_through_cache=True
        )
        store.make_reserve()
        options = RunOptions(jobs=1, tick=display.tick, part=tuple(steps))
        try:
            record = run_plan(
                context, header(store.run, plan, project.root, (), ready.mask), options
            )
        finally:
            ready.save()
            if left is not None:
                leave(store, cache, steps, left)
        if left is not None and record.result == "passed":
            settled = ahead.settle(_behind(plan, steps))
            leave_more(store, cache, settled, left)
            ahead.name_stages(settled, left)
        return record


def note_lost_attempts(store: RunFolder, step: str, count: int) -> None:
    """Record that a step was tried on machines that vanished.

    Nothing is recorded where the store already knows of the step.

    A CI that carries out a stage again on another machine is the only one that knows of the first
    try.
    """
    if count < 1 or store.read_step(step) is not None:
        return
    failure = Failure(kind="infrastructure", message="the machine that it ran on vanished")
    attempts = tuple(
        Attempt(number=number, result="failed", started_utc=now_utc(), seconds=0.0, failure=failure)
        for number in range(1, count + 1)
    )
    store.write_step(StepRecord(name=step, result="failed", attempts=attempts))


@contextmanager
def _alone(
    store: RunFolder, steps: Sequence[PlannedStep], display: TickingListener
) -> Iterator[None]:
    """Wait while another process runs one of the steps in this store.

    That process may have outlived its connection to a CI.
    """
    with ExitStack() as locks:
        # In one order, so that two processes never wait for each other.
        for name in sorted(step.name for step in steps):
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
    project: Project, plan: Plan, store: RunFolder, environ: Mapping[str, str], left: Path
) -> None:
    """Before anything runs, take what a remote has of the plan's steps, and name settled stages.

    The results are left in the store; the stages named are those that these results settle.
    """
    cache, index = carried_cache(project, store.path), project_index(project)
    share(project, cache, environ, travels=True)
    ahead = Ahead(project.root, plan, store, cache, index)
    settled = ahead.settle({step.name for step in plan.steps})
    cache.save()
    index.save()
    leave(store, cache, settled, left)
    ahead.name_stages(settled, left)


def _before(plan: Plan, steps: Sequence[PlannedStep]) -> set[str]:
    names = [step.name for step in steps]
    return reachable(names, {step.name: step.after for step in plan.steps}) - set(names)


def _behind(plan: Plan, steps: Sequence[PlannedStep]) -> set[str]:
    names = [step.name for step in steps]
    return reachable(names, followers_of({step.name: step.after for step in plan.steps})) - set(
        names
    )


def finish(
    project: Project,
    plan: Plan,
    store: RunFolder,
    *,
    command: Sequence[str],
    environ: Mapping[str, str],
    stopped_by: str | None = None,
    lost: Mapping[int, int] | None = None,
) -> tuple[RunFolder, RunRecord]:
    """Gather what the store has into a run of the project. Repeated, it is the same run.

    `stopped_by` is what a CI says of why it stopped the whole; `lost`, how many times the machine
    of a stage vanished that it then gave up.
    """
    for stage in stages(plan):
        note_lost_attempts(store, stage.steps[0].name, (lost or {}).get(stage.number, 0))
    records = [store.read_step(step.name) or unrun(step) for step in plan.steps]
    folder = _run_of(project, store)
    with disk_errors(folder.path):
        for record in records:
            if store.step(record.name).exists():
                shutil.copytree(
                    store.step(record.name), folder.step(record.name), dirs_exist_ok=True
                )
    records = _with_reason_to_stop([folder.settle_killed(record) for record in records], stopped_by)
    for record in records:
        folder.write_step(record)
    folder.write_plan(plan)
    write_atomic(folder.path / "events.jsonl", _events(store))
    mask = mask_for(project, plan, environ)
    begun = header(folder.run, plan, project.root, command, mask)
    return folder, _record(begun, plan, records, was_stopped=stopped_by is not None)


def _with_reason_to_stop(records: Sequence[StepRecord], stopped_by: str | None) -> list[StepRecord]:
    """The records, in which stopped steps say what stopped them.

    That is the CI, or the failure of another step.
    """
    failed = [
        record.name for record in records if record.failure is not None and not _was_stopped(record)
    ]
    if stopped_by is not None:
        why = f"the step was stopped: {stopped_by}"
    elif failed:
        why = f"the step was stopped, since step {failed[0]} failed"
    else:
        return list(records)
    return [_stopped_because(record, why) if _was_stopped(record) else record for record in records]


def _was_stopped(record: StepRecord) -> bool:
    return record.failure is not None and record.failure.kind == "interrupted"


def _stopped_because(record: StepRecord, why: str) -> StepRecord:
    *before, last = record.attempts
    failure = replace(last.failure, message=why) if last.failure is not None else None
    return replace(record, attempts=(*before, replace(last, failure=failure)))


def keep_outs(
    project: Project, record: RunRecord, store: RunFolder, environ: Mapping[str, str]
) -> None:
    """Put what the steps made beside the project's other artifacts.

    Promotion and checkout take it from there.

    What the store lacks, or has damaged, is missed when it is asked for.
    """
    cache = project_cache(project, environ)
    carried = Cache(store.path).own
    artifacts = replace(cache.artifacts, others=(carried, *cache.artifacts.others))
    for step in record.steps:
        for ref in step.outs:
            artifacts.lacking(ref.digest)
    cache.save()


def _records_before(
    plan: Plan, store: RunFolder, steps: Sequence[PlannedStep]
) -> dict[str, StepRecord]:
    """The records of all other steps in the store.

    UsageError when a step that must have ended has not.
    """
    here = {step.name for step in steps}
    records = {
        record.name: record for record in ended_records(plan, store) if record.name not in here
    }
    for step in steps:
        for name in step.after:
            if name not in here and (
                name not in records or not lets_followers_run(records[name].result)
            ):
                state = records[name].result if name in records else "not there"
                raise UsageError(
                    f"step {step.name} comes after {name}, whose record in the store is {state}",
                    hint=f"run it first, or carry its store here: {store.path.parent}",
                )
    return records


def _run_of(project: Project, store: RunFolder) -> RunFolder:
    """The run that this store became before, or a new one."""
    marker = store.path / "finished.json"
    if marker.exists():
        folder = RunFolder(
            project.runs_folder / checked_run(json.loads(marker.read_bytes())["run"])
        )
        if folder.path.exists() and folder.hold():
            return folder
    folder = new_run(project)
    write_atomic(marker, json.dumps({"run": folder.run}) + "\n")
    return folder


def _events(store: RunFolder) -> str:
    """The events of all steps in one order."""
    lines: list[dict[str, Any]] = []
    for path in sorted((store.path / "steps").rglob("events.jsonl")):
        for line in path.read_bytes().splitlines():
            with suppress(
                ValueError
            ):  # the last one of a process that was killed, or had no room, may be half
                lines.append(json.loads(line))
    lines.sort(key=lambda line: str(line["time_utc"]))
    return "".join(
        json.dumps({**line, "seq": at}, ensure_ascii=False) + "\n" for at, line in enumerate(lines)
    )


def _record(
    begun: RunRecord, plan: Plan, steps: Sequence[StepRecord], *, was_stopped: bool
) -> RunRecord:
    """The run's record; it began with the first step that ran and ended with the last."""
    ran = [
        step for step in steps if step.result != "reused"
    ]  # the others have the times of another run
    started = min((step.started_utc for step in ran if step.started_utc), default=begun.started_utc)
    ended = max((step.ended_utc for step in ran if step.ended_utc), default=started)
    record = replace(
        begun, result="passed", started_utc=started, ended_utc=ended, steps=tuple(steps)
    )
    failure = missing_metrics(record, plan.required_metrics)
    not_run = any(
        step.result == "skipped" and planned.action != "skip"
        for step, planned in zip(steps, plan.steps, strict=True)
    )
    broken = [step for step in steps if step.result == "failed"]
    # a step that fails may have had its siblings interrupted: then that is what became of the run
    # where none failed, the build was stopped while it waited for an agent
    interrupted = all(_was_stopped(step) for step in broken) and (
        bool(broken) or (was_stopped and not_run)
    )
    failed = (
        not_run or failure is not None or any(not lets_followers_run(step.result) for step in steps)
    )
    result: Any = "interrupted" if interrupted else "failed" if failed else "passed"
    clocks = tuple(_clock_warnings(plan, steps))
    seconds = _seconds_between(started, ended) if not clocks else None
    warnings = (*record.warnings, *clocks)
    return replace(record, result=result, failure=failure, seconds=seconds, warnings=warnings)


def _clock_warnings(plan: Plan, records: Sequence[StepRecord]) -> Iterator[str]:
    """Warn where a step began before an earlier step had ended.

    The clocks of the machines must then differ.
    """
    ended = {record.name: record for record in records if record.result in ("passed", "failed")}
    found: dict[frozenset[str | None], float] = {}
    for step in plan.steps:
        record = ended.get(step.name)
        for before in (ended[name] for name in step.after if name in ended and record is not None):
            ahead = (
                _seconds_between(record.started_utc, before.ended_utc)
                if record is not None
                else None
            )
            if record is not None and ahead is not None and record.host != before.host:
                hosts = frozenset((record.host, before.host))
                found[hosts] = max(found.get(hosts, 0.0), ahead)
    for hosts, seconds in found.items():
        if seconds > _CLOCKS_AGREE_SECONDS:
            names = " and ".join(sorted(str(host) for host in hosts))
            yield f"the clocks of {names} differ by {seconds:.0f} s or more: the times in this record are theirs"


def _seconds_between(started: str | None, ended: str | None) -> float | None:
    if started is None or ended is None:
        return None
    return round(
        (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds(), 3
    )
