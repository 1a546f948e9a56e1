"""Plan a target without running it, and say what a run of it would do here."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from nbci.data.repository import project_cache
from nbci.engine.prepare import lock_file, mask_for, plan_target, refuse_written_secrets
from nbci.engine.steps.environment import check_environments
from nbci.engine.write_places import check_places
from nbci.errors import InfrastructureError
from nbci.project.sources import read_target
from nbci.records.codec import to_json
from nbci.store.files import write_atomic
from nbci.trust.target_branch import project_for

if TYPE_CHECKING:
    from nbci.config import Project
    from nbci.data.dvc_imports import Polled
    from nbci.plan.model import Plan, PlannedStep


class PlanRequest(NamedTuple):
    """One call of `nbci plan`; the fields are its options, paths as they were given.

    `seen` is what a timer's earlier poll saw of imported data, and None where nobody polls.
    `decision` is the id of the one that the plan follows from.
    """

    target: str
    pairs: list[str]
    files: list[str]
    kernel: str | None
    folder: str | None = None
    seen: str | None = None
    out: str | None = None
    store: str | None = None
    leave: str | None = None
    environment: str | None = None
    decision: str | None = None


class PlannedTarget(NamedTuple):
    """The plan, and what became of imported data if somebody asked."""

    project: Project
    plan: Plan
    polled: Polled | None = None

    @property
    def has_no_news(self) -> bool:
        """Whether a timer asked, and no imported data has changed: there is nothing to build."""
        return self.polled is not None and not self.polled.texts


def make_plan(request: PlanRequest) -> PlannedTarget:
    """Plan, refuse what no run may do, poll imported data, and write what was asked for."""
    planned = plan_only(request)
    refuse_unfit(planned.project, planned.plan)

    planned = _poll_imports(planned, request.seen)
    if planned.has_no_news:
        return planned
    # A change of a stranger is no retraining, whatever its build's environment says.
    if request.decision and planned.plan.fork is None:
        planned = _follow_decision(planned, request)

    if request.out:
        write_atomic(Path(request.out), to_json(planned.plan))
    if request.leave:
        _leave_known_results(planned, request.store, Path(request.leave))
    return planned


def plan_only(request: PlanRequest) -> PlannedTarget:
    """The plan of the target with its parameters; nothing else is checked or written."""
    target = read_target(request.target, request.folder)
    plan = plan_target(
        target,
        environ=os.environ,
        files=request.files,
        pairs=request.pairs,
        kernel=request.kernel,
        lock=lock_file(target.project, request.environment),
    )
    return PlannedTarget(target.project, plan)


def forecast_here(project: Project, plan: Plan) -> Plan:
    """The plan with what would run and what earlier results of this machine would be reused."""
    from nbci.data.sharing import shared_cache
    from nbci.engine.caching.forecast import forecast
    from nbci.engine.caching.reuse import last_records
    from nbci.store.file_index import project_index

    index = project_index(project)
    cache = shared_cache(project, os.environ)
    found = forecast(plan, project, cache, index, last_records(project, plan.target))

    # The digests that were computed spare the run that follows the same work; where nothing can
    # be written, one may still look.
    with contextlib.suppress(InfrastructureError):
        index.save()
        cache.save()
    return found


def forecast_planned(planned: PlannedTarget) -> Plan:
    """`forecast_here` under the rules that hold for the plan: a fork's are the target branch's."""
    return forecast_here(project_for(planned.project, planned.plan, os.environ), planned.plan)


def changes_since_last_run(project: Project, plan: Plan, step: PlannedStep) -> list[str] | None:
    """What the step's forecast rests on, a change a line; None where it never ran here."""
    from nbci.engine.caching.reuse import last_records
    from nbci.engine.steps.inputs import reached_parts
    from nbci.plan.parts import changes

    last = last_records(project, plan.target)(step.name)
    if last is None:
        return None
    if step.action != "run":
        return []

    # Values and files of steps before it are not known until those have run.
    known = [part for part in last.parts if part.kind not in ("value", "file")]
    # A name reached in two ways is one part.
    now = dict.fromkeys((*step.parts, *reached_parts(step, plan, last.takes, step.params or {})))
    return list(changes(known, tuple(now)))


def refuse_unfit(project: Project, plan: Plan) -> None:
    """Raise what `nbci run` would raise before the first cell.

    A CI learns it before it has agents.
    """
    refuse_written_secrets(plan, mask_for(project, plan, os.environ))
    check_environments(project.root, plan.steps)
    check_places(project.root, plan.steps, project_cache(project, os.environ).object_folders)


def _poll_imports(planned: PlannedTarget, seen: str | None) -> PlannedTarget:
    """Look at the sources of imported data that the steps depend on, if a timer asks for that."""
    project, plan, _ = planned
    if seen is None or plan.fork is not None or "data" not in (plan.triggers or {}):
        return planned

    # Imported only here: DVC takes a second, and few plans are made by a timer.
    from nbci.data.dvc_imports import poll, seen_in

    deps: list[str] = []
    for step in plan.steps:
        deps += step.deps
    polled = poll(project, deps, seen_in(seen))
    if polled.texts:
        plan = replace(plan, imports=polled.texts)
    return PlannedTarget(project, plan, polled)


def _follow_decision(planned: PlannedTarget, request: PlanRequest) -> PlannedTarget:
    """The plan as a decision asks for it: with its cause, and the data that it learns from."""
    # Imported only here: hardly any plan follows from a decision.
    from nbci.app.retraining.follow import plan_of_decision

    plan = plan_of_decision(
        planned.project, planned.plan, request.decision or "", begins=bool(request.out)
    )
    return planned._replace(plan=plan)


def _leave_known_results(planned: PlannedTarget, store: str | None, folder: Path) -> None:
    """Put into the folder what the remote has of the plan's steps, so that no agent runs them."""
    from nbci.engine.distributed.run_parts import decide_before, open_store

    plan = planned.plan
    project = project_for(planned.project, plan, os.environ)
    decide_before(project, plan, open_store(project, plan, store), os.environ, folder)
