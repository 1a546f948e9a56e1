"""Make a new version of a model: its objects at the DVC remote, a commit, and tags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

import nbci
from nbci.data.remotes import default_remote
from nbci.errors import UsageError
from nbci.formatting.durations import now_utc
from nbci.git.process import GitFailed
from nbci.promotion.assignments import (
    NewEvent,
    assignment_events,
    names_of,
    registration_events,
    write_events,
)
from nbci.promotion.card import card
from nbci.promotion.commit import message_of, write_commit
from nbci.promotion.documents import release_documents, tracked_file
from nbci.promotion.model_objects import check_kept, push_objects, try_model
from nbci.promotion.packaging import needed_files
from nbci.promotion.profiling import make_profile
from nbci.promotion.publish import publish
from nbci.promotion.road import check_remote_of
from nbci.records.codec import plain
from nbci.records.manifest import CARD_PATH, PROFILE_PATH, Manifest, ServedBy
from nbci.registry.evidence import evidence_steps
from nbci.store.file_index import FileIndex, project_index

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nbci.data.remotes import Remote
    from nbci.promotion.candidate import Candidate
    from nbci.promotion.packaging import Packaged
    from nbci.records.run_record import FileRef
    from nbci.registry.events import ModelState


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A new version of a model, checked and tried; nothing is written or sent until `write`.

    `refs` are the files whose objects go to the remote, `documents` the texts that the commit adds
    or changes, by path in the repository.
    """

    candidate: Candidate
    state: ModelState
    version: str
    remote: Remote
    refs: tuple[FileRef, ...]
    documents: Mapping[str, str]

    @property
    def tags(self) -> tuple[str, ...]:
        """The names of its tags."""
        return _tag_names(self.candidate, self.state, self.version)

    def write(self, scratch: Path, *, push: bool) -> str:
        """Send the objects, write the commit and the tags, and then publish them; the commit.

        Other clones see neither commit nor tags before the last step. `scratch` is a folder for
        what git needs meanwhile.
        """
        git, by, notes = self.candidate.git, self.candidate.by, self.candidate.notes
        push_objects(self.remote, self.candidate.artifacts, self.refs)
        message = message_of(f"Release {self.state.model} {self.version}", notes)
        commit = write_commit(
            git, self.candidate.commit, self.documents, message, by=by, folder=scratch
        )
        events = _events(self.candidate, self.state, self.version, commit)
        tags = write_events(git, self.state, events, by=by, notes=notes)
        publish(git, self.state, tags, push=push)
        return commit


def prepare_release(
    candidate: Candidate, state: ModelState, version: str, scratch: Path
) -> Release:
    """Check that the release can be made, and try its model in the folder `scratch`."""
    project = candidate.project
    remote = default_remote(project)
    # before anything is sent: a release of a commit without a remote could not be fetched
    check_remote_of(candidate.git, project, candidate.commit)
    refs = (*candidate.outs, *_metrics_files(candidate), *_sample_made(candidate))
    needed = (*refs, *_files_to_try(candidate))
    check_kept(candidate.artifacts, project.root, needed, project_index(project))
    folder = scratch / "model"
    folder.mkdir()
    tried = _try_model(candidate, folder)
    profile = make_profile(candidate, scratch)
    if profile is not None:
        refs = (*refs, profile)
    made = replace(_manifest(candidate, version, tried, folder), profile=profile)
    tag, *_ = _tag_names(candidate, state, version)
    return Release(
        candidate=candidate,
        state=state,
        version=version,
        remote=remote,
        refs=refs,
        documents=_documents(candidate, made, tried, tag),
    )


def _events(candidate: Candidate, state: ModelState, version: str, commit: str) -> list[NewEvent]:
    events = registration_events(state, version, commit)
    if candidate.stage is not None:
        events += assignment_events(state, version, commit, candidate.stage)
    return events


def _tag_names(candidate: Candidate, state: ModelState, version: str) -> tuple[str, ...]:
    # the names do not depend on the commit, which does not exist yet
    return tuple(names_of(_events(candidate, state, version, "")))


def _documents(
    candidate: Candidate, manifest: Manifest, tried: Packaged, tag: str
) -> dict[str, str]:
    git, plan = candidate.git, candidate.plan
    documents = release_documents(
        git, plan, candidate.record, spec=candidate.spec, manifest=manifest
    )
    introduction = _introduction(candidate)
    documents[f"{git.prefix}{CARD_PATH}"] = card(manifest, tried, tag, introduction)
    if manifest.profile is not None:
        documents[f"{git.prefix}{PROFILE_PATH}.dvc"] = tracked_file(manifest.profile)
    # the run saw the imports as its poll had brought them, not as the commit has them
    for path, text in (plan.imports or {}).items():
        documents[f"{git.prefix}{path}"] = text
    return documents


def _metrics_files(candidate: Candidate) -> list[FileRef]:
    """The metrics files, so that `dvc metrics diff` between releases finds them."""
    names: set[str] = set()
    for planned in candidate.plan.steps:
        names.update(planned.metrics)
    # a metrics file may be a file of the model already, and is sent once
    names -= {out.path for out in candidate.outs}
    found = []
    for step in candidate.record.steps:
        found += [ref for ref in step.outs if ref.path in names]
    return found


def _introduction(candidate: Candidate) -> str | None:
    """The card text that the project has for the model, as the commit has it."""
    if candidate.spec.card is None:
        return None
    name, model = candidate.spec.card, candidate.spec.name
    path = f"{candidate.commit}:{candidate.git.prefix}{name}"
    try:
        return candidate.git("cat-file", "--filters", operands=[path])
    except GitFailed as error:
        raise UsageError(
            f"the commit has no {name}, which {model} names as its card",
            hint="write and commit it",
        ) from error


def _sample_made(candidate: Candidate) -> tuple[FileRef, ...]:
    """The sample, where the run made it and it is no file of the model: whoever serves needs it."""
    made = candidate.record.outs.get(candidate.spec.sample or "")
    if made is None or made in candidate.outs:
        return ()
    return (made,)


def _sample(candidate: Candidate, folder: Path) -> FileRef | None:
    """The sample that the model in the folder was tried with; None where it was tried with none."""
    is_tried = bool(candidate.spec.onnx_paths or candidate.spec.serve)
    if candidate.spec.sample is None or not is_tried:
        return None
    return FileIndex(folder / ".digests").fingerprint(folder, candidate.spec.sample)


def _served_by(candidate: Candidate, folder: Path) -> ServedBy | None:
    """The notebook that the model in the folder was tried with, and its files."""
    serve = candidate.spec.serve
    if serve is None:
        return None
    index = FileIndex(folder / ".digests")
    files = [index.fingerprint(folder, path) for path in serve.paths]
    return ServedBy(notebook=serve.notebook, files=tuple(files))


def _try_model(candidate: Candidate, folder: Path) -> Packaged:
    return try_model(
        candidate.spec,
        _files_to_try(candidate),
        artifacts=candidate.artifacts,
        git=candidate.git,
        commit=candidate.commit,
        folder=folder,
    )


def _files_to_try(candidate: Candidate) -> list[FileRef]:
    """The files, of those that the model is tried with, that the run made."""
    needed = needed_files(candidate.spec)
    found: list[FileRef] = []
    for path, ref in candidate.record.outs.items():
        # a sample or a signature may be an out, too, besides the files of the model
        if path in needed or ref in candidate.outs:
            found.append(ref)
    return found


def _manifest(candidate: Candidate, version: str, tried: Packaged, folder: Path) -> Manifest:
    record = candidate.record
    return Manifest(
        model=candidate.name,
        version=version,
        stage=candidate.stage,
        run=record.run,
        pipeline=record.pipeline,
        target=record.target,
        commit=candidate.commit,
        branch=candidate.branch,
        promoted_utc=now_utc(),
        by=candidate.by,
        build_url=candidate.build,
        nbci=nbci.__version__,
        seal=candidate.seal,
        seal_signature=candidate.signature,
        files=candidate.outs,
        sample=_sample(candidate, folder),
        served_by=_served_by(candidate, folder),
        details=plain(tried),
        sources=record.sources,
        params=record.params,
        metrics=record.metrics,
        declared=plain(candidate.plan.metrics or {}),
        verdict=record.verdict,
        platform=record.platform,
        python=record.python,
        steps=evidence_steps(candidate.plan, record),
        proof=candidate.proof,
        chosen=record.chosen,
        confirmed=record.confirmed,
        because=record.because,
    )
