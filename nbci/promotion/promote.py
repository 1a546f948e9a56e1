"""Promote a model of a run.

The order is: checks, objects to the DVC remote, tags to git's remote. A release that is visible
then has its objects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from nbci.errors import UsageError
from nbci.git.process import REMOTE
from nbci.promotion.assignments import NewEvent, assignment_events, names_of, write_events
from nbci.promotion.candidate import check_run
from nbci.promotion.checks import check_baselines
from nbci.promotion.publish import NewTag, publish
from nbci.promotion.release import prepare_release
from nbci.promotion.scratch_folder import scratch_folder
from nbci.registry.events import ModelState, next_version
from nbci.registry.grammar import check_version
from nbci.registry.read import fetch_models, read_models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.config import Project
    from nbci.promotion.candidate import Candidate
    from nbci.promotion.checks import Look
    from nbci.records.run_record import FileRef
    from nbci.registry.events import Version
    from nbci.runs.folder import RunFolder

Part = Literal["major", "minor", "patch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for.

    `stage` overrides the model's stage; without `version`, `part` says which number is raised.
    """

    model: str | None = None
    stage: str | None = None
    version: str | None = None
    part: Part = "patch"
    push: bool = True
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """The result of a promotion.

    `done` says whether there was nothing left to do; `before` is the version that was in the stage
    until then.
    """

    model: str
    version: str
    stage: str | None
    run: str
    tags: tuple[str, ...]
    files: tuple[FileRef, ...]
    commit: str | None = None
    before: str | None = None
    pushed: bool = False
    dry_run: bool = False
    done: bool = False


def promote(
    project: Project, folder: RunFolder, request: Request, environ: Mapping[str, str], look: Look
) -> Promotion:
    """Promote a model of the run, or finish what an earlier call began.

    `look` finds the baselines that are no models, to see whether the verdict still holds.
    """
    candidate = check_run(project, folder, environ, model=request.model, stage=request.stage)
    git = candidate.git
    if request.push:
        if not git.has_remote(REMOTE):
            raise UsageError(
                f"the repository has no remote {REMOTE} to push the release to",
                hint=f"git remote add {REMOTE} URL, or keep the release here with --no-push",
            )
        # the numbers and the versions must follow those of other clones
        fetch_models(git, REMOTE, [candidate.name])
    state = _state(candidate)
    # looked up after the fetch: another machine may have promoted the run
    made = _version_of_run(state, candidate.record.run)
    # a run that is in its stage already has nothing left to win, so its baselines are not compared
    if made is None or _is_to_be_assigned(candidate, state, made):
        plan, record = candidate.plan, candidate.record
        check_baselines(git, plan, record, branch=candidate.branch, look=look)
    if made is not None:
        return _finish(candidate, request, state, made)
    return _release(candidate, request, state)


def _state(candidate: Candidate) -> ModelState:
    """What the tags say of the model; nothing where it is new."""
    for state in read_models(candidate.git):
        if state.model == candidate.name:
            return state
    return ModelState(model=candidate.name, events=(), versions=())


def _version_of_run(state: ModelState, run: str) -> Version | None:
    """The version that an earlier call made of this run, if any."""
    for version in reversed(state.versions):
        # a version that was taken back does not hinder a new one of the same run
        if version.active and version.registered.notes.get("Nbci-Run") == run:
            return version
    return None


def _is_to_be_assigned(candidate: Candidate, state: ModelState, made: Version) -> bool:
    """Whether the version still has to be put into the stage."""
    return candidate.stage is not None and _version_in_stage(candidate, state) != made.version


def _version_in_stage(candidate: Candidate, state: ModelState) -> str | None:
    there = state.stages.get(candidate.stage or "")
    if there is None:
        return None
    return there.current.version


def _release(candidate: Candidate, request: Request, state: ModelState) -> Promotion:
    """Make a new version of the run."""
    version = _new_version(state, request)
    with scratch_folder(candidate.project) as scratch:
        release = prepare_release(candidate, state, version, scratch)
        result = _promotion(candidate, request, version, release.tags)
        result = replace(result, before=_version_in_stage(candidate, state))
        if request.dry_run:
            return result
        return replace(result, commit=release.write(scratch, push=request.push))


def _new_version(state: ModelState, request: Request) -> str:
    known = [version.version for version in state.versions]
    # versions taken back count, too: their tags still exist
    if request.version is None:
        return next_version(known, request.part)
    version = check_version(request.version)
    if version in known:
        raise UsageError(
            f"{state.model} {version} is there already, of another run",
            hint=f"the next is {next_version(known, 'patch')}",
        )
    return version


def _finish(candidate: Candidate, request: Request, state: ModelState, made: Version) -> Promotion:
    """Finish the promotion of a run that is a version already.

    It is put into the stage if it is not there, and tags that were not pushed are pushed.
    """
    there = state.stages.get(candidate.stage or "")
    present = [made.registered]
    events: list[NewEvent] = []
    before = None
    if candidate.stage is not None and _is_to_be_assigned(candidate, state, made):
        events = assignment_events(state, made.version, made.commit, candidate.stage)
        before = _version_in_stage(candidate, state)
    elif there is not None:
        # the earlier call may have ended between making the tags and pushing them
        present.append(there.current)

    git = candidate.git
    names = [event.tag for event in present]
    if not request.dry_run:
        tags = [NewTag(name=event.tag, object=event.object) for event in present]
        tags += write_events(git, state, events, by=candidate.by, notes=candidate.notes)
        publish(git, state, tags, push=request.push)
    result = _promotion(candidate, request, made.version, (*names, *names_of(events)))
    return replace(result, commit=made.commit, before=before, done=not events)


def _promotion(
    candidate: Candidate, request: Request, version: str, tags: tuple[str, ...]
) -> Promotion:
    return Promotion(
        model=candidate.name,
        version=version,
        stage=candidate.stage,
        run=candidate.record.run,
        tags=tags,
        files=candidate.outs,
        pushed=request.push,
        dry_run=request.dry_run,
    )
