"""Fetch a promoted model from the DVC remote of its repository and compare it with its evidence."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.commands import checked_operand
from nbci.dot_nbci import TEMPORARY_PREFIX
from nbci.errors import InfrastructureError, IntegrityError, Location, NbciError, UsageError
from nbci.git.process import Git
from nbci.records.codec import to_json
from nbci.records.manifest import MANIFEST_PATH
from nbci.registry.events import Event, fold
from nbci.registry.grammar import parse_tag, tag_patterns
from nbci.registry.read import find_commit, find_model, parse_manifest, read_models
from nbci.store.file_index import FileIndex
from nbci.store.files import write_atomic
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.records.manifest import Manifest
    from nbci.records.run_record import FileRef
    from nbci.registry.events import ModelState
    from nbci.registry.grammar import Reference

KEPT_MANIFEST = "nbci-release.json"
"""The evidence of a release, in a folder that holds its files."""


class LacksFilesError(IntegrityError):
    """Files of a release are not on its remote now, or the folder that is its remote is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What was brought: the release's version, its commit, and where its files are now."""

    model: str
    version: str
    commit: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRelease:
    """A release by its commit in the git repository `source`.

    Its paths there begin with `prefix`.
    """

    model: str
    commit: str
    source: str
    prefix: str


def get_model(
    reference: Reference, *, url: str | None, folder: Path, target: Path, force: bool = False
) -> Fetched:
    """Write the model's file or files to `target`.

    `target` names a file when the model is a single file and no folder is there, and a folder
    otherwise. `url` is a git repository; without it, the one that `folder` belongs to.
    IntegrityError when what arrives is not what was promoted.
    """
    found = find_release(reference, url=url, folder=folder)
    with tempfile.TemporaryDirectory(prefix="nbci-") as name:
        manifest = download(found.source, found.commit, found.prefix, Path(name))
        files = _move_files(manifest, Path(name), target, force=force)
    return Fetched(
        model=found.model,
        version=manifest.version,
        commit=found.commit,
        files=tuple(map(str, files)),
    )


def find_release(reference: Reference, *, url: str | None, folder: Path) -> FoundRelease:
    """Where the release is that is meant; `url` and `folder` as in `get_model`."""
    if url is not None:
        checked_operand(url)  # DVC, too, hands it on to other programs
    if url is None:
        git = Git(folder)
        models, source = read_models(git), git("rev-parse", "--show-toplevel")
    else:
        models, source = remote_models(folder, url, reference.model), url
    state = find_model(models, reference.model)
    commit = find_commit(state, reference)
    # a model of a project in a subfolder has that folder in its name, as GTO has it
    subfolder, separator, _ = state.model.rpartition(":")
    prefix = ""
    if separator:
        prefix = f"{subfolder}/"
    return FoundRelease(model=state.model, commit=commit, source=source, prefix=prefix)


def get_release(found: FoundRelease, target: Path) -> Manifest:
    """Bring the files of a release, and its sample, to the folder `target`, as they were promoted.

    What was brought there before is not brought again.
    """
    if (target / KEPT_MANIFEST).is_file():
        return read_release(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=TEMPORARY_PREFIX) as name:
        manifest = download(found.source, found.commit, found.prefix, Path(name))
        check_files(manifest, Path(name))
        write_atomic(Path(name) / KEPT_MANIFEST, to_json(manifest))
        try:
            Path(name).rename(target)
        except OSError:
            # another process may have brought the same meanwhile
            if not (target / KEPT_MANIFEST).is_file():
                raise
        else:
            # what removes the temporary folder wants to find it
            Path(name).mkdir()
    return manifest


def read_release(folder: Path) -> Manifest:
    """The evidence of the release whose files lie in the folder.

    UsageError where none lies there, IntegrityError where its files are not what was promoted.
    """
    kept = folder / KEPT_MANIFEST
    try:
        text = kept.read_bytes()
    except OSError as error:
        raise UsageError(
            f"no release lies there: {error.strerror}",
            where=Location(str(kept)),
            hint="`nbci deploy` puts a release into such a folder",
        ) from error
    manifest = parse_manifest(text, str(kept))
    check_files(manifest, folder)
    return manifest


def remote_models(folder: Path, url: str, model: str) -> tuple[ModelState, ...]:
    """Read the models of a remote repository from the names of its tags.

    A listing of a remote's refs holds no dates; the numbers in the names order the events.
    """
    found = Git(folder).remote_tags(url, tag_patterns(model))
    events = []
    for name, tag in found.items():
        # `TAG^{}` is the commit that an annotated tag points at; a lightweight tag has no such line
        parsed, commit = parse_tag(name), found.get(f"{name}^{{}}")
        if parsed is not None and commit is not None:
            events.append(
                Event(
                    **asdict(parsed),
                    tag=name,
                    object=tag,
                    commit=commit,
                    seconds=0,
                    name="",
                    email="",
                )
            )
    return fold(events)


def download(
    source: str,
    commit: str,
    prefix: str,
    folder: Path,
    *,
    content: bool = True,
    config: Mapping[str, Any] | None = None,
) -> Manifest:
    """Download a release's files into `folder` and return its manifest.

    The files have their paths in the project there. Without `content`, the files are not
    downloaded. `config` adds to what the commit holds of DVC's configuration.
    """
    from dvc.repo import Repo

    added = {}
    if config is not None:
        added["config"] = config
    with (
        _dvc_errors(source),
        Repo.open(url=source, rev=commit, subrepos=True, uninitialized=True, **added) as repo,
    ):
        if not repo.config["core"].get("remote"):
            raise IntegrityError(
                "the release's commit names no default remote of DVC, "
                "from which its files would come",
                where=Location(source),
            )
        path = f"{prefix}{MANIFEST_PATH}"
        manifest = parse_manifest(_read(repo, path), f"{commit[:10]}:{path}")
        if content:
            _download_files(repo, manifest, prefix, folder)
        return manifest


def _download_files(repo: Any, manifest: Manifest, prefix: str, folder: Path) -> None:
    for ref in _files_of(manifest):
        # the manifest comes from a repository that may be hostile: `..` must not lead out
        place = place_inside(folder, ref.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        repo.dvcfs.get(f"{prefix}{ref.path}", os.fspath(place), recursive=True)


@contextlib.contextmanager
def _dvc_errors(source: str) -> Iterator[None]:
    """Turn errors of DVC and of the disk into errors that say what to do."""
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError
    from dvc_data.index import DataIndexError

    try:
        yield
    except NbciError:
        raise
    except FileNotFoundError as error:
        raise LacksFilesError(
            f"the release lacks something: {error}",
            hint="nbci models verify says what",
            where=Location(source),
        ) from error
    except (DvcException, SCMError, DataIndexError, OSError) as error:
        raise InfrastructureError(
            f"the model could not be brought: {str(error) or type(error).__name__}",
            where=Location(source),
        ) from error


def _read(repo: Any, path: str) -> bytes:
    with repo.dvcfs.open(path, "rb") as file:
        text: bytes = file.read()
    return text


def check_files(manifest: Manifest, folder: Path) -> None:
    """Raise IntegrityError where a file in the folder is not what was promoted."""
    index = FileIndex(folder / ".digests")
    for ref in _files_of(manifest):
        found = index.fingerprint(folder, ref.path)
        if found.digest != ref.digest:
            raise IntegrityError(
                f"what came for {ref.path} is not what was promoted: "
                f"{found.digest} instead of {ref.digest}",
                hint="the object on the DVC remote was altered: nbci models verify",
            )


def _files_of(manifest: Manifest) -> tuple[FileRef, ...]:
    """The model's files, the sample that they have to answer, what answers, and the profile."""
    refs = [*manifest.files]
    if manifest.sample is not None:
        refs.append(manifest.sample)
    if manifest.served_by is not None:
        refs += manifest.served_by.files
    if manifest.profile is not None:
        refs.append(manifest.profile)
    # A file of the model may be one of the others, too.
    return tuple({ref.path: ref for ref in reversed(refs)}.values())


def _move_files(manifest: Manifest, folder: Path, target: Path, *, force: bool) -> list[Path]:
    check_files(manifest, folder)
    is_single = len(manifest.files) == 1
    places = []
    for ref in manifest.files:
        place = target
        if not is_single:
            place = target / ref.path
        elif target.is_dir():
            # like `cp`: a single file goes into a folder that is there under its name
            place = target / Path(ref.path).name
        if place.exists() and not force:
            raise UsageError(
                "there is something already", where=Location(str(place)), hint="--force replaces it"
            )
        places.append(place)
    # all places were checked before the first is replaced, so a refusal leaves nothing half done
    for ref, place in zip(manifest.files, places, strict=True):
        place.parent.mkdir(parents=True, exist_ok=True)
        # shutil.move would put the new one into a folder that exists
        if place.is_dir():
            shutil.rmtree(place)
        shutil.move(folder / ref.path, place)
    return places
