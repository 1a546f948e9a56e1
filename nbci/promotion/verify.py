"""Compare every release with its evidence: tags, commit, documents, and objects at DVC."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nbci.data.dvc_merge import locked_digests
from nbci.data.remotes import ARTIFACTS, default_remote
from nbci.errors import IntegrityError, NbciError
from nbci.git.process import REMOTE, GitFailed
from nbci.promotion.fetched import check_files, download
from nbci.promotion.road import access_of, clone_of
from nbci.records.manifest import CARD_PATH, MANIFEST_PATH, PROFILE_PATH
from nbci.registry.grammar import tag_patterns
from nbci.registry.read import read_manifest
from nbci.runs.signature import check_signature
from nbci.store.artifacts import is_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.config import Project
    from nbci.data.remotes import Remote
    from nbci.git.process import Git
    from nbci.records.manifest import Manifest
    from nbci.records.run_record import FileRef
    from nbci.registry.events import ModelState, Version

_ADDED = ("dvc.yaml", "dvc.lock", MANIFEST_PATH, CARD_PATH, f"{PROFILE_PATH}.dvc")


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
    states = tuple(models)
    found: list[Finding] = []
    for state in states:
        found += _tag_findings(git, state)
    files: dict[FileRef, tuple[str, str]] = {}
    for state, version in _releases(states):
        found += _evidence_findings(git, state, version, files)
    if project.signers_file is not None:
        found += _signature_findings(git, states, project.signers_file)
    if files:
        found += _object_findings(default_remote(project), files, content=content)

    # a release with a problem already would fail again here, for the same reason
    damaged = {(finding.model, finding.version) for finding in found}
    whole = []
    for state, version in _releases(states):
        if (state.model, version.version) not in damaged:
            whole.append((state, version))
    found += _download_findings(git, project, whole, content=content)
    return tuple(found)


def _releases(states: Iterable[ModelState]) -> Iterator[tuple[ModelState, Version]]:
    for state in states:
        for version in state.versions:
            yield state, version


def _evidence_findings(
    git: Git, state: ModelState, version: Version, files: dict[FileRef, tuple[str, str]]
) -> Iterator[Finding]:
    """Yield what is wrong with a release's evidence; add the files that it names to `files`."""
    try:
        manifest = read_manifest(git, version.commit)
    except IntegrityError as error:
        yield _finding(state, version, str(error))
        return
    if manifest is None:
        yield _finding(state, version, "it carries no evidence")
        return
    for problem in _release_problems(git, state, version, manifest):
        yield _finding(state, version, problem)
    refs = [*manifest.files]
    if manifest.profile is not None:
        refs.append(manifest.profile)
    for ref in refs:
        # several releases may share an object; it is read once
        files.setdefault(ref, (state.model, version.version))


def _finding(state: ModelState, version: Version, problem: str) -> Finding:
    return Finding(model=state.model, version=version.version, problem=problem)


def _object_findings(
    remote: Remote, files: Mapping[FileRef, tuple[str, str]], *, content: bool
) -> Iterator[Finding]:
    """Yield what is wrong with the objects; `files` maps each to the release that is named."""
    for ref, (model, version) in files.items():
        for problem in _object_problems(remote, ref, content=content):
            yield Finding(model=model, version=version, problem=f"{ref.path}: {problem}")


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


def _signature_findings(git: Git, states: Iterable[ModelState], signers: Path) -> Iterator[Finding]:
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
                yield _finding(state, version, error.message)


def _download_findings(
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
                found.append(_finding(state, version, problem))
            if manifest is not None:
                fetched.update(manifest.files)
    return found


def _tag_findings(git: Git, state: ModelState) -> Iterator[Finding]:
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


def _release_problems(
    git: Git, state: ModelState, version: Version, manifest: Manifest
) -> Iterator[str]:
    if (manifest.model, manifest.version) != (state.model, version.version):
        yield f"its evidence is that of {manifest.model} {manifest.version}"
    header, _, _ = git("cat-file", "commit", operands=[version.commit]).partition("\n\n")
    parents = [line.split()[1] for line in header.splitlines() if line.startswith("parent ")]
    # a forged release could otherwise name a commit that passed while its content is of another
    if parents != [manifest.commit]:
        yield f"its commit is no child of {manifest.commit[:10]}, which the evidence names"
    prefix = git.prefix
    between = [manifest.commit, version.commit]
    changed: set[str] = set()
    # a shallow clone does not have the parent
    with contextlib.suppress(GitFailed):
        listed = git("diff-tree", "-r", "--name-only", "-z", operands=between)
        # -z ends each name, so that the last part is empty
        changed.update(filter(None, listed.split("\0")))
    changed.difference_update(f"{prefix}{name}" for name in _ADDED)
    if changed:
        yield f"its commit changes more than it says: {', '.join(sorted(changed)[:5])}"
    yield from _document_problems(git, version.commit, prefix, manifest)


def _document_problems(git: Git, commit: str, prefix: str, manifest: Manifest) -> Iterator[str]:
    import yaml

    def read(name: str) -> Any:
        return yaml.safe_load(git.bytes("cat-file", "blob", operands=[f"{commit}:{prefix}{name}"]))

    try:
        models = read("dvc.yaml").get("artifacts") or {}
        locked = locked_digests(read("dvc.lock").get("stages") or {})
    # A forged document may have any shape: a list, nothing, a stage without paths.
    except (GitFailed, yaml.YAMLError, AttributeError, KeyError, TypeError):
        yield "its dvc.yaml or dvc.lock cannot be read"
        return
    # dvc.yaml lies in the folder of the project and does not repeat it in the name
    name = manifest.model.rpartition(":")[2]
    if name not in models:
        yield "its dvc.yaml does not name the model"
    for ref in manifest.files:
        # a file that a .dvc file tracks is in no stage of dvc.lock
        if locked.get(ref.path, ref.digest) != ref.digest:
            yield f"its dvc.lock has other content for {ref.path} than the evidence"


def _object_problems(remote: Remote, ref: FileRef, *, content: bool) -> Iterator[str]:
    """What is wrong with the objects of a file or a folder."""
    # the listing of a folder is always read, because its entries name the objects to look for
    own = list(_missing_or_altered(remote, {ref.digest: ""}, content=content or is_folder(ref)))
    yield from own
    if own or not is_folder(ref):
        return
    entries = json.loads(remote.read(f"{ARTIFACTS}/{ref.digest[:2]}/{ref.digest[2:]}"))
    names = {entry["md5"]: f"{entry['relpath']}: " for entry in entries}
    yield from _missing_or_altered(remote, names, content=content)


def _missing_or_altered(
    remote: Remote, names: Mapping[str, str], *, content: bool
) -> Iterator[str]:
    there = remote.present(ARTIFACTS, names)
    altered: set[str] = set()
    if content:
        altered = remote.altered(ARTIFACTS, there)
    for name, shown in names.items():
        if name not in there:
            yield f"{shown}the object {name} is not on the DVC remote"
        elif name in altered:
            yield f"{shown}the object {name} on the DVC remote was altered"
