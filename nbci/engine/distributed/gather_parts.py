"""Gather what the parts of a run left in the store into a run of the project."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.data.repository import project_cache
from nbci.engine.caching.look_ahead import skipped_record
from nbci.engine.distributed.run_parts import note_lost_attempts
from nbci.engine.prepare import header, mask_for
from nbci.plan.stages import stages
from nbci.records.metrics import missing_metrics
from nbci.records.run_record import lets_followers_run
from nbci.runs.file_names import EVENTS_FILE, STEPS_FOLDER
from nbci.runs.folder import RunFolder
from nbci.runs.project_runs import new_run, new_trial
from nbci.store.cache import Cache
from nbci.store.files import disk_errors, write_atomic
from nbci.store.safe_paths import checked_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.records.run_record import Failure, RunRecord, RunResult, StepRecord

_CLOCKS_AGREE_SECONDS = 10.0


def gather_parts(
    project: Project,
    plan: Plan,
    store: RunFolder,
    *,
    command: Sequence[str],
    environ: Mapping[str, str],
    stopped_by: str | None = None,
    lost: Mapping[int, int] | None = None,
    sweep: Path | None = None,
) -> tuple[RunFolder, RunRecord]:
    """Gather what the store has into a run of the project. Repeated, it is the same run.

    `stopped_by` is what a CI says of why it stopped the whole; `lost`, how many times the machine
    of a stage vanished that it then gave up. `sweep` is the folder of the sweep whose trial it is.
    """
    for stage in stages(plan):
        if stage.is_beside:
            continue
        # The CI counts by stages: the first step stands for the machine that its stage lost.
        note_lost_attempts(store, stage.steps[0].name, (lost or {}).get(stage.number, 0))
    records = [store.read_step(step.name) or skipped_record(step) for step in plan.steps]

    folder = _folder_of_run(project, store, sweep)
    with disk_errors(folder.path):
        for record in records:
            if store.step(record.name).exists():
                shutil.copytree(
                    store.step(record.name), folder.step(record.name), dirs_exist_ok=True
                )
    # An agent that vanished left records that still say `running`.
    records = _with_reason_to_stop(list(map(folder.settle_killed, records)), stopped_by)
    for record in records:
        folder.write_step(record)
    folder.write_plan(plan)
    write_atomic(folder.path / EVENTS_FILE, _events(store))

    mask = mask_for(project, plan, environ)
    begun = header(folder.run, plan, project.root, command, mask)
    begun = replace(begun, chosen=plan.chosen)
    return folder, _record(begun, plan, records, was_stopped=stopped_by is not None)


def _with_reason_to_stop(records: Sequence[StepRecord], stopped_by: str | None) -> list[StepRecord]:
    """The records, in which stopped steps say what stopped them.

    That is the CI, or the failure of another step.
    """
    why = _why_stopped(records, stopped_by)
    if why is None:
        return list(records)
    explained = []
    for record in records:
        if _was_stopped(record):
            explained.append(_with_message(record, why))
        else:
            explained.append(record)
    return explained


def _why_stopped(records: Sequence[StepRecord], stopped_by: str | None) -> str | None:
    if stopped_by is not None:
        return f"the step was stopped: {stopped_by}"
    for record in records:
        if record.failure is not None and not _was_stopped(record):
            return f"the step was stopped, since step {record.name} failed"
    return None


def _was_stopped(record: StepRecord) -> bool:
    return record.failure is not None and record.failure.kind == "interrupted"


def _with_message(record: StepRecord, why: str) -> StepRecord:
    *before, last = record.attempts
    failure: Failure | None = None
    if last.failure is not None:
        failure = replace(last.failure, message=why)
    return replace(record, attempts=(*before, replace(last, failure=failure)))


def keep_outs(
    project: Project, record: RunRecord, store: RunFolder, environ: Mapping[str, str]
) -> None:
    """Put what the steps made beside the project's other artifacts.

    Promotion and checkout take it from there.

    What the store lacks, or has damaged, is missed when it is asked for.
    """
    cache = project_cache(project, environ)
    store_objects = Cache(store.path).own
    artifacts = replace(cache.artifacts, others=(store_objects, *cache.artifacts.others))
    made = [ref for step in record.steps for ref in step.outs]
    for remeasured in record.remeasured:
        made += remeasured.outs
    for ref in made:
        # To ask for an object brings it from where it is, which is all that is wanted here.
        artifacts.missing_objects(ref.digest)
    cache.save()


def _folder_of_run(project: Project, store: RunFolder, sweep: Path | None) -> RunFolder:
    """The run that this store became before, or a new one."""
    if sweep is not None:
        return new_trial(sweep)
    marker = store.path / "finished.json"
    if marker.exists():
        # The store came from other machines: its word is no path until it is checked.
        run = checked_run(json.loads(marker.read_bytes())["run"])
        folder = RunFolder(project.runs_folder / run)
        if folder.path.exists() and folder.hold():
            return folder
    folder = new_run(project)
    write_atomic(marker, json.dumps({"run": folder.run}) + "\n")
    return folder


def _events(store: RunFolder) -> str:
    """The events of all steps in one order."""
    events: list[dict[str, Any]] = []
    for path in sorted((store.path / STEPS_FOLDER).rglob(EVENTS_FILE)):
        for line in path.read_bytes().splitlines():
            # The last one of a process that was killed, or had no room, may be half a line.
            with suppress(ValueError):
                events.append(json.loads(line))
    # Each part counted for itself, so that only the time can order them.
    events.sort(key=lambda event: str(event["time_utc"]))

    lines = []
    for number, event in enumerate(events):
        event["seq"] = number
        lines.append(f"{json.dumps(event, ensure_ascii=False)}\n")
    return "".join(lines)


def _record(
    begun: RunRecord, plan: Plan, steps: Sequence[StepRecord], *, was_stopped: bool
) -> RunRecord:
    """The run's record; it began with the first step that ran and ended with the last."""
    begins: list[str | None] = []
    ends: list[str | None] = []
    for step in steps:
        # Reused steps have the times of another run.
        if step.result != "reused":
            begins.append(step.started_utc)
            ends.append(step.ended_utc)
    # Times in UTC and in one form are in the order of their texts.
    started = min(filter(None, begins), default=begun.started_utc)
    ended = max(filter(None, ends), default=started)
    record = replace(
        begun, result="passed", started_utc=started, ended_utc=ended, steps=tuple(steps)
    )
    failure = missing_metrics(record, plan.required_metrics)
    clocks = tuple(_clock_warnings(plan, steps))
    seconds: float | None = None
    # Between clocks that differ, a duration is no number to show.
    if not clocks:
        seconds = _seconds_between(started, ended)
    return replace(
        record,
        result=_result(plan, steps, failure, was_stopped=was_stopped),
        failure=failure,
        seconds=seconds,
        warnings=(*record.warnings, *clocks),
    )


def _result(
    plan: Plan, steps: Sequence[StepRecord], failure: Failure | None, *, was_stopped: bool
) -> RunResult:
    has_unrun = False
    for step, planned in zip(steps, plan.steps, strict=True):
        if step.result == "skipped" and planned.action != "skip":
            has_unrun = True
    failed = [step for step in steps if step.result == "failed"]
    # A step that fails may have had its siblings interrupted: then the run failed.
    if failed and all(map(_was_stopped, failed)):
        return "interrupted"
    # Where none failed, the build was stopped while it waited for an agent.
    if not failed and was_stopped and has_unrun:
        return "interrupted"
    if has_unrun or failure is not None:
        return "failed"
    if all(lets_followers_run(step.result) for step in steps):
        return "passed"
    return "failed"


def _clock_warnings(plan: Plan, records: Sequence[StepRecord]) -> Iterator[str]:
    """Warn where a step began before an earlier step had ended.

    The clocks of the machines must then differ.
    """
    for hosts, seconds in _clock_differences(plan, records).items():
        if seconds > _CLOCKS_AGREE_SECONDS:
            names = " and ".join(sorted(map(str, hosts)))
            yield (
                f"the clocks of {names} differ by {seconds:.0f} s or more: "
                "the times in this record are theirs"
            )


def _clock_differences(
    plan: Plan, records: Sequence[StepRecord]
) -> dict[frozenset[str | None], float]:
    """By pairs of hosts, how long before the end of an earlier step the next one began."""
    ran = {}
    for record in records:
        # Reused and skipped steps have no times of this run.
        if record.result in ("passed", "failed"):
            ran[record.name] = record
    found: dict[frozenset[str | None], float] = {}
    for step in plan.steps:
        after = ran.get(step.name)
        for name in step.after:
            before = ran.get(name)
            # On one machine, an order that is wrong has another cause than clocks.
            if after is None or before is None or after.host == before.host:
                continue
            difference = _seconds_between(after.started_utc, before.ended_utc)
            if difference is not None:
                hosts = frozenset((after.host, before.host))
                found[hosts] = max(found.get(hosts, 0.0), difference)
    return found


def _seconds_between(started: str | None, ended: str | None) -> float | None:
    if started is None or ended is None:
        return None
    difference = datetime.fromisoformat(ended) - datetime.fromisoformat(started)
    return round(difference.total_seconds(), 3)
