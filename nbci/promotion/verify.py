"""Compare every release with its evidence: tags, commit, documents, and objects at DVC."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nbci.data.remotes import ARTIFACTS, default_remote
from nbci.errors import IntegrityError, NbciError
from nbci.git.process import REMOTE, GitFailed
from nbci.promotion.fetched import check_files, download
from nbci.promotion.road import access_of, clone_of
from nbci.records.manifest import CARD_PATH, MANIFEST_PATH
from nbci.registry.grammar import tag_patterns
from nbci.registry.read import read_manifest
from nbci.runs.seal import check_signature
from nbci.store.artifacts import is_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.data.remotes import Remote
    from nbci.git.process import Git
    from nbci.records.manifest import Manifest
    from nbci.records.run_record import FileRef
    from nbci.registry.events import ModelState, Version

_ADDED = ("dvc.yaml", "dvc.lock", MANIFEST_PATH, CARD_PATH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem of a release: of which model and version, and what is wrong."""

    model: str
    version: str | None
    problem: str


def verify(
    git: Git, project: Project, models: Iterable[ModelState], *, content: bool = True
) -> tuple[Finding, ...]:
    """Return what is wrong with the releases.

    `content`: objects are read and digested, not only looked for.
    """
    found: list[Finding] = []
    files: dict[FileRef, tuple[str, str]] = {}
    states = tuple(models)
    found += (finding for state in states for finding in _tags(git, state))
    for state in states:
        for version in state.versions:
            try:
                manifest = read_manifest(git, version.commit)
            except IntegrityError as error:
                found.append(
                    Finding(model=state.model, version=version.version, problem=str(error))
                )
                continue
            problems = (
                ["it carries no evidence"]
                if manifest is None
                else list(_release(git, state, version, manifest))
            )
            found += (
                Finding(model=state.model, version=version.version, problem=problem)
                for problem in problems
            )
            for ref in manifest.files if manifest is not None else ():
                # several releases may share an object; it is read once
                files.setdefault(ref, (state.model, version.version))
    if project.signers_file is not None:
        found += _signatures(git, states, project.signers_file)
    if files:
        remote = default_remote(project)
        for ref, (model, name) in files.items():
            problems = list(_objects(remote, ref, content=content))
            found += (
                Finding(model=model, version=name, problem=f"{ref.path}: {problem}")
                for problem in problems
            )
    # a release with a problem already would fail again here, for the same reason
    damaged = {(finding.model, finding.version) for finding in found}
    whole = [
        (state, version)
        for state in states
        for version in state.versions
        if (state.model, version.version) not in damaged
    ]
    found += _roads(git, project, whole, content=content)
    return tuple(found)


def describe_signature(manifest: Manifest, signers: Path | None) -> str:
    """Describe whether the run of a release was signed, and by whom, as `nbci audit` prints it."""
    if manifest.seal_signature is None:
        return "not signed"
    if signers is None:
        return "signed; the project names no `signers` to check it"
    try:
        return f"signed by {check_signature(manifest.seal or '', manifest.seal_signature, signers)}"
    except IntegrityError as error:
        return f"not vouched for: {error.message}"


def _signatures(git: Git, states: Iterable[ModelState], signers: Path) -> Iterator[Finding]:
    """Yield releases whose run was not signed by an allowed signer.

    Releases from before the model's first signed one need no signature.
    """
    for state in states:
        is_signed = False
        for version in state.versions:
            manifest = None
            with contextlib.suppress(IntegrityError):  # reported already
                manifest = read_manifest(git, version.commit)
            # a project may begin to sign later; after the first signed release, an unsigned one is
            # suspect
            if manifest is None or (manifest.seal_signature is None and not is_signed):
                continue
            is_signed = True
            try:
                check_signature(manifest.seal or "", manifest.seal_signature, signers)
            except IntegrityError as error:
                yield Finding(model=state.model, version=version.version, problem=error.message)


def _roads(
    git: Git, project: Project, releases: Sequence[tuple[ModelState, Version]], *, content: bool
) -> list[Finding]:
    """Return the releases that `nbci models get` cannot fetch.

    It is tried as a user does it who has only the repository.
    """
    found: list[Finding] = []
    if not releases:
        return found
    fetched: set[FileRef] = set()
    access = access_of(project)
    with clone_of(git) as url:
        for state, version in releases:
            manifest = read_manifest(git, version.commit)
            # a file in several releases is downloaded once; for the others its presence is checked
            is_new = manifest is not None and not fetched.issuperset(manifest.files)
            try:
                with TemporaryDirectory(prefix="nbci-") as name:
                    is_wanted = content and is_new
                    taken = download(
                        url,
                        version.commit,
                        git.prefix,
                        Path(name),
                        content=is_wanted,
                        config=access,
                    )
                    if is_wanted:
                        check_files(taken, Path(name))
            except NbciError as error:
                problem = f"it cannot be fetched from a clone: {error.message}"
                found.append(Finding(model=state.model, version=version.version, problem=problem))
            fetched.update(manifest.files if manifest is not None else ())
    return found


def _tags(git: Git, state: ModelState) -> Iterator[Finding]:
    """Check that stages point at versions, and that tags which `origin` has are the same there."""
    for event in state.events:
        if event.version is None:
            problem = f"the tag {event.tag} stands on a commit that is no version"
            yield Finding(model=state.model, version=None, problem=problem)
    there: dict[str, str] = {}
    # offline, the other checks still say something
    with contextlib.suppress(GitFailed):
        there = git.remote_tags(REMOTE, tag_patterns(state.model))
    for event in state.events:
        if there.get(event.tag, event.object) != event.object:
            problem = f"the tag {event.tag} is another one at {REMOTE}"
            yield Finding(model=state.model, version=event.version, problem=problem)


def _release(git: Git, state: ModelState, version: Version, manifest: Manifest) -> Iterator[str]:
    said = (manifest.model, manifest.version)
    if said != (state.model, version.version):
        yield f"its evidence is that of {said[0]} {said[1]}"
    head = git("cat-file", "commit", operands=[version.commit]).partition("\n\n")[0].splitlines()
    parents = [line.split()[1] for line in head if line.startswith("parent ")]
    # a forged release could otherwise name a commit that passed while its content is of another
    if parents != [manifest.commit]:
        yield f"its commit is no child of {manifest.commit[:10]}, which the evidence names"
    prefix = git.prefix
    try:
        changed = git(
            "diff-tree", "-r", "--name-only", "-z", operands=[manifest.commit, version.commit]
        ).split("\0")
    except GitFailed:
        changed = []  # a shallow clone does not have the parent
    other = sorted({path for path in changed if path} - {f"{prefix}{name}" for name in _ADDED})
    if other:
        yield f"its commit changes more than it says: {', '.join(other[:5])}"
    yield from _documents(git, version.commit, prefix, manifest)


def _documents(git: Git, commit: str, prefix: str, manifest: Manifest) -> Iterator[str]:
    import yaml

    try:
        document, lock = (
            yaml.safe_load(git.bytes("cat-file", "blob", operands=[f"{commit}:{prefix}{name}"]))
            for name in ("dvc.yaml", "dvc.lock")
        )
    except (GitFailed, yaml.YAMLError):
        yield "its dvc.yaml or dvc.lock cannot be read"
        return
    # dvc.yaml lies in the folder of the project and does not repeat it in the name
    name = manifest.model.rpartition(":")[2]
    if name not in (document.get("artifacts") or {}):
        yield "its dvc.yaml does not name the model"
    outs = [
        entry for stage in (lock.get("stages") or {}).values() for entry in stage.get("outs") or ()
    ]
    locked = {str(entry["path"]): str(entry.get("md5")) for entry in outs}
    for ref in manifest.files:
        # a file that a .dvc file tracks is in no stage of dvc.lock
        if locked.get(ref.path, ref.digest) != ref.digest:
            yield f"its dvc.lock has other content for {ref.path} than the evidence"


def _objects(remote: Remote, ref: FileRef, *, content: bool) -> Iterator[str]:
    """What is wrong with the objects of a file or a folder."""
    # the listing of a folder is always read, because its entries name the objects to look for
    own = list(_wrong(remote, {ref.digest: ""}, content=content or is_folder(ref)))
    yield from own
    if own or not is_folder(ref):
        return
    entries = json.loads(remote.read(f"{ARTIFACTS}/{ref.digest[:2]}/{ref.digest[2:]}"))
    yield from _wrong(
        remote, {entry["md5"]: f"{entry['relpath']}: " for entry in entries}, content=content
    )


def _wrong(remote: Remote, names: Mapping[str, str], *, content: bool) -> Iterator[str]:
    there = remote.present(ARTIFACTS, names)
    altered = remote.altered(ARTIFACTS, there) if content else set()
    for name, shown in names.items():
        if name not in there:
            yield f"{shown}the object {name} is not on the DVC remote"
        elif name in altered:
            yield f"{shown}the object {name} on the DVC remote was altered"
