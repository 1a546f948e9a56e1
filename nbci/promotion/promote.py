"""Promote a model of a run.

The order is: checks, objects to the DVC remote, tags to git's remote. A release that is visible
then has its objects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import nbci
from nbci.data.remotes import default_remote
from nbci.data.repository import project_cache
from nbci.data.sharing import share
from nbci.errors import UsageError
from nbci.formatting.durations import now_utc
from nbci.git.branches import built_branch
from nbci.git.process import REMOTE, GitFailed, open_git
from nbci.promotion.assignments import (
    NewEvent,
    assignment_events,
    names_of,
    registration_events,
    write_events,
)
from nbci.promotion.card import card
from nbci.promotion.checks import check_baselines, check_clean, check_passed, model_outs, pick_model
from nbci.promotion.commit import message_of, write_commit
from nbci.promotion.documents import release_documents
from nbci.promotion.facts import ElsewhereError, build_url, check_branch, find_promoter
from nbci.promotion.model_objects import check_kept, push_objects, try_model
from nbci.promotion.packaging import needed_files
from nbci.promotion.publish import NewTag, publish
from nbci.promotion.road import check_remote_of
from nbci.promotion.scratch_folder import scratch_folder
from nbci.records.codec import plain
from nbci.records.manifest import CARD_PATH, Manifest
from nbci.registry.champion import registry_name
from nbci.registry.events import ModelState, next_version
from nbci.registry.evidence import evidence_steps
from nbci.registry.grammar import check_model_name, check_version
from nbci.registry.read import fetch_models, read_models
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.git.process import Git
    from nbci.pipeline.models import Model
    from nbci.plan.model import Plan
    from nbci.promotion.checks import Look
    from nbci.promotion.packaging import Packaged
    from nbci.records.git_state import GitState
    from nbci.records.manifest import Promoter
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.registry.events import Version
    from nbci.runs.folder import RunFolder
    from nbci.store.artifacts import Artifacts

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
    case = _check_run(project, folder, request, environ)
    if request.push:
        if not case.git.has_remote(REMOTE):
            raise UsageError(
                f"the repository has no remote {REMOTE} to push the release to",
                hint=f"git remote add {REMOTE} URL, or keep the release here with --no-push",
            )
        # the numbers and the versions must follow those of other clones
        fetch_models(case.git, REMOTE, [case.name])
    state = _state(case)
    # looked up after the fetch: another machine may have promoted the run
    made = _version_of_run(state, case.record.run)
    # a run that is in its stage already has nothing left to win, so its baselines are not compared
    if made is None or _is_to_be_assigned(case, state, made):
        check_baselines(case.git, case.plan, case.record, branch=case.branch, look=look)
    if made is not None:
        return _finish(case, request, state, made)
    with scratch_folder(project) as scratch:
        return _release(case, request, state, scratch)


def _state(case: _Case) -> ModelState:
    """What the tags say of the model; nothing where it is new."""
    for state in read_models(case.git):
        if state.model == case.name:
            return state
    return ModelState(model=case.name, events=(), versions=())


def _is_to_be_assigned(case: _Case, state: ModelState, made: Version) -> bool:
    """Whether the version still has to be put into the stage."""
    if case.stage is None:
        return False
    there = state.stages.get(case.stage)
    return there is None or there.current.version != made.version


def _version_in_stage(case: _Case, state: ModelState) -> str | None:
    there = state.stages.get(case.stage or "")
    if there is None:
        return None
    return there.current.version


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A run that may be promoted.

    `name` is the model's in the registry, `outs` what the run recorded of it.
    """

    project: Project
    git: Git
    plan: Plan
    record: RunRecord
    spec: Model
    name: str
    stage: str | None
    built: GitState
    branch: str | None
    by: Promoter
    build: str | None
    seal: str
    signature: str | None
    outs: tuple[FileRef, ...]
    artifacts: Artifacts

    def notes(self, event: str) -> dict[str, str | None]:
        """Return the `Key: value` lines that end the messages of the commit and the tags."""
        return {
            "Nbci-Event": event,
            "Nbci-Run": self.record.run,
            "Nbci-Branch": self.branch,
            "Nbci-Build": self.build,
        }


def _check_run(
    project: Project, folder: RunFolder, request: Request, environ: Mapping[str, str]
) -> _Case:
    record, plan = folder.read(), folder.read_plan()
    spec = pick_model(plan, request.model)
    if plan.fork is not None:
        raise ElsewhereError(
            f"run {record.run} is of a change from a fork; "
            f"{spec.name} is promoted from branches only",
            hint=f"promote the build of {plan.fork.branch} once the change is merged",
        )
    check_passed(plan, record)
    seal = folder.check_seal(project.signers_file)
    git = open_git(project.root)
    # outs may be tracked by git, and the run itself has just changed them
    made: list[str] = []
    for step in plan.steps:
        made += (*step.outs, *step.metrics)
    built = check_clean(git, record, [*made, *(plan.imports or {})])
    branch = built_branch(built.branch, environ)
    check_branch(spec.name, spec.branches, branch, environ)
    stage = request.stage or spec.stage
    check_model_name(spec.name)
    if stage:
        check_model_name(stage)
    return _Case(
        project=project,
        git=git,
        plan=plan,
        record=record,
        spec=spec,
        name=registry_name(git, spec.name),
        stage=stage,
        built=built,
        branch=branch,
        by=find_promoter(git, environ),
        build=build_url(environ),
        seal=seal,
        signature=folder.signature,
        outs=model_outs(spec, record),
        artifacts=_artifacts(project, environ),
    )


def _artifacts(project: Project, environ: Mapping[str, str]) -> Artifacts:
    """Return the artifacts kept here; others come from the shared remote when needed."""
    cache = project_cache(project, environ)
    # a run of another machine left its objects at the shared remote
    share(project, cache, environ)
    return cache.artifacts


def _version_of_run(state: ModelState, run: str) -> Version | None:
    """Return the version that an earlier call made of this run, if any."""
    for version in reversed(state.versions):
        # a version that was taken back does not hinder a new one of the same run
        if version.active and version.registered.notes.get("Nbci-Run") == run:
            return version
    return None


def _finish(case: _Case, request: Request, state: ModelState, made: Version) -> Promotion:
    """Finish the promotion of a run that is a version already.

    It is put into the stage if it is not there, and tags that were not pushed are pushed.
    """
    there = state.stages.get(case.stage or "")
    present = [made.registered]
    events: list[NewEvent] = []
    before = None
    if case.stage is not None and _is_to_be_assigned(case, state, made):
        events = assignment_events(state, made.version, made.commit, case.stage)
        before = _version_in_stage(case, state)
    elif there is not None:
        # the earlier call may have ended between making the tags and pushing them
        present.append(there.current)
    if not request.dry_run:
        tags = [NewTag(name=event.tag, object=event.object) for event in present]
        tags += write_events(case.git, state, events, by=case.by, notes=case.notes("promote"))
        publish(case.git, state, tags, push=request.push)
    return Promotion(
        model=case.name,
        version=made.version,
        stage=case.stage,
        run=case.record.run,
        tags=(*(event.tag for event in present), *names_of(events)),
        files=case.outs,
        commit=made.commit,
        before=before,
        pushed=request.push,
        dry_run=request.dry_run,
        done=not events,
    )


def _release(case: _Case, request: Request, state: ModelState, scratch: Path) -> Promotion:
    """Make a new version: send the objects, write a commit and tags, then publish the tags.

    Commit and tags are visible to nobody before the last step.
    """
    version = _version(state, request)
    remote = default_remote(case.project)
    # before anything is sent: a release of a commit without a remote could not be fetched
    check_remote_of(case.git, case.project, case.built.commit or "")
    refs = [*case.outs, *_metrics_files(case)]
    check_kept(case.artifacts, case.project.root, refs, project_index(case.project))
    tried = _try_model(case, scratch)
    manifest = _manifest(case, version, tried)
    documents = release_documents(
        case.git, case.plan, case.record, spec=case.spec, manifest=manifest
    )
    # the names of the tags do not depend on the commit, which does not exist yet
    names = names_of(_events(case, state, version, ""))
    shown = card(manifest, tried, names[0], _introduction(case))
    prefix = case.git.prefix
    documents[f"{prefix}{CARD_PATH}"] = shown
    # the run saw the imports as its poll had brought them, not as the commit has them
    for path, text in (case.plan.imports or {}).items():
        documents[f"{prefix}{path}"] = text
    result = Promotion(
        model=case.name,
        version=version,
        stage=case.stage,
        run=case.record.run,
        tags=tuple(names),
        files=case.outs,
        before=_version_in_stage(case, state),
        pushed=request.push,
        dry_run=request.dry_run,
    )
    if request.dry_run:
        return result
    # nothing was written so far, so a dry run has made all checks
    push_objects(remote, case.artifacts, refs)
    notes = case.notes("promote")
    message = message_of(f"Release {case.name} {version}", notes)
    commit = write_commit(case.git, manifest.commit, documents, message, by=case.by, folder=scratch)
    tags = write_events(
        case.git, state, _events(case, state, version, commit), by=case.by, notes=notes
    )
    publish(case.git, state, tags, push=request.push)
    return replace(result, commit=commit)


def _events(case: _Case, state: ModelState, version: str, commit: str) -> list[NewEvent]:
    events = registration_events(state, version, commit)
    if case.stage is not None:
        events += assignment_events(state, version, commit, case.stage)
    return events


def _version(state: ModelState, request: Request) -> str:
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


def _metrics_files(case: _Case) -> list[FileRef]:
    """Return the metrics files, so that `dvc metrics diff` between releases finds them."""
    names: set[str] = set()
    for planned in case.plan.steps:
        names.update(planned.metrics)
    # a metrics file may be a file of the model already, and is sent once
    names -= {out.path for out in case.outs}
    found = []
    for step in case.record.steps:
        found += [ref for ref in step.outs if ref.path in names]
    return found


def _introduction(case: _Case) -> str | None:
    """Return the card text that the project has for the model, as the commit has it."""
    if case.spec.card is None:
        return None
    path = f"{case.built.commit}:{case.git.prefix}{case.spec.card}"
    try:
        return case.git("cat-file", "--filters", operands=[path])
    except GitFailed as error:
        raise UsageError(
            f"the commit has no {case.spec.card}, which {case.spec.name} names as its card",
            hint="write and commit it",
        ) from error


def _try_model(case: _Case, scratch: Path) -> Packaged:
    (scratch / "model").mkdir()
    return try_model(
        case.spec,
        _files_to_try(case),
        artifacts=case.artifacts,
        git=case.git,
        commit=case.built.commit or "",
        folder=scratch / "model",
    )


def _files_to_try(case: _Case) -> list[FileRef]:
    """Return the files, of those that the model is tried with, that the run made."""
    needed = needed_files(case.spec)
    found: dict[str, FileRef] = {}
    for step in case.record.steps:
        for ref in step.outs:
            # a sample or a signature may be an out, too, besides the files of the model
            if ref.path in needed or ref in case.outs:
                found[ref.path] = ref
    return list(found.values())


def _manifest(case: _Case, version: str, tried: Packaged) -> Manifest:
    record = case.record
    return Manifest(
        model=case.name,
        version=version,
        stage=case.stage,
        run=record.run,
        pipeline=record.pipeline,
        target=record.target,
        commit=case.built.commit or "",
        branch=case.branch,
        promoted_utc=now_utc(),
        by=case.by,
        build_url=case.build,
        nbci=nbci.__version__,
        seal=case.seal,
        seal_signature=case.signature,
        files=case.outs,
        details=plain(tried),
        sources=record.sources,
        params=record.params,
        metrics=record.metrics,
        declared=plain(case.plan.metrics or {}),
        verdict=record.verdict,
        platform=record.platform,
        python=record.python,
        steps=evidence_steps(case.plan, record),
    )
