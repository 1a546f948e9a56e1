"""The project's files as a run used them: by its records, and their content where it is kept."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nbci.blame.rebuilt_notebook import rebuild
from nbci.data.tracked import SUFFIX as TRACKING
from nbci.digests import bytes_digest
from nbci.engine.observed.kinds import WRITTEN
from nbci.engine.observed.states import GONE
from nbci.engine.steps.declared_files import stands
from nbci.git.process import Git, GitFailed
from nbci.notebook.read import SUFFIXES
from nbci.pipeline.paths import is_in
from nbci.project.sources import source_digest
from nbci.records.run_record import FileRef
from nbci.store.artifacts import Artifacts, is_folder
from nbci.store.file_index import listing_bytes, listing_digest, project_index
from nbci.workspaces.commit_files import has_commit

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

    from nbci.app.reruns.earlier_run import EarlierRun
    from nbci.blame.factors import Content
    from nbci.store.cache import Cache

FileKind = Literal["source", "module", "file", "data", "packages"]
"""A notebook or pipeline file; what was seen to be used; a dep; the lock file of an environment."""

_SEEN: dict[str, FileKind] = {"module": "module", "file": "file"}
KEPT_AS_OBJECTS: tuple[FileKind, ...] = ("data", "packages")
_AS_BYTES = (".py", TRACKING)


class RecordedFile(Struct, frozen=True, kw_only=True):
    """A file as a run used it; each kind has a digest of its own."""

    path: str
    kind: FileKind
    digest: str


def recorded_files(run: EarlierRun, steps: Container[str]) -> dict[str, RecordedFile]:
    """The project's files that these steps of the run used and it did not make itself, by path."""
    made = list(_made(run))
    files = {}
    for kind, path, digest in _named(run, steps):
        # A path may be named in several ways: as a source it is known best.
        if path in files or digest == GONE or path.startswith("/") or is_in(path, made):
            continue
        files[path] = RecordedFile(path=path, kind=kind, digest=digest)
    return files


def _made(run: EarlierRun) -> Iterator[str]:
    yield from run.plan.writes
    for record in run.record.steps:
        for part in record.observed:
            if part.kind == WRITTEN:
                yield part.label


def _named(run: EarlierRun, steps: Container[str]) -> Iterator[tuple[FileKind, str, str]]:
    """Kind, path and digest of all that the records name."""
    for path, digest in (run.plan.sources or {}).items():
        yield "source", path, digest
    locks = {step.environment for step in run.plan.steps}
    for record in run.record.steps:
        if record.name not in steps:
            continue
        for part in record.parts:
            if part.kind == "file" and part.label in locks:
                yield "packages", part.label, part.digest
        for part in record.observed:
            if part.kind in _SEEN:
                yield _SEEN[part.kind], part.label, part.digest
        for ref in record.deps:
            yield "data", ref.path, ref.digest


class RunContents:
    """Finds the content of a run's files: in git, among the kept objects, or in the checkout."""

    def __init__(self, run: EarlierRun, cache: Cache) -> None:
        self._root = run.project.root
        self._plan = run.plan
        self._artifacts = cache.artifacts
        # Copies: where DVC links its cache into checkouts, a file of the user would become a link.
        self._own = Artifacts(cache.own, cache.seen)
        self._index = project_index(run.project)
        self._git = Git(run.project.root)
        self._commit: str | None = None
        # One with changes, too: most files are as it has them.
        git = run.record.git
        if git is not None and git.commit is not None and has_commit(self._root, git.commit):
            self._commit = git.commit

    def find(self, file: RecordedFile) -> Content:
        """The content; None where it is gone."""
        # As bytes, a module among the deps gets a time of its own when it is placed, and a `.dvc`
        # file no object.
        data = None
        if file.kind not in KEPT_AS_OBJECTS or file.path.endswith(_AS_BYTES):
            data = self._find_bytes(file)
        if data is not None or file.kind not in KEPT_AS_OBJECTS:
            return data
        ref = FileRef(path=file.path, digest=file.digest, bytes=0)
        if not self._is_kept(ref):
            return None
        if file.path.endswith(_AS_BYTES):
            return self._artifacts.objects.path(ref.digest).read_bytes()
        return ref

    def _find_bytes(self, file: RecordedFile) -> bytes | None:
        others = []
        for data in (self._in_commit(file.path), self._in_checkout(file.path)):
            if data is not None and digest_as(file.kind, data) == file.digest:
                return data
            if data is not None:
                others.append(data)
        if file.kind == "source" and others and PurePosixPath(file.path).suffix in SUFFIXES:
            # The checkout is nearer to a run with changes that are in no commit.
            return rebuild(file.path, others[-1], self._plan)
        return None

    def _in_checkout(self, path: str) -> bytes | None:
        place = self._root / path
        if not place.is_file():
            return None
        return _read(place)

    def _in_commit(self, path: str) -> bytes | None:
        if self._commit is None:
            return None
        try:
            return self._git.bytes(
                "cat-file", "blob", operands=[f"{self._commit}:{self._git.prefix}{path}"]
            )
        except GitFailed:
            return None

    def _is_kept(self, ref: FileRef) -> bool:
        """Whether the objects of the artifact are here, or were found and are kept now."""
        if not self._artifacts.missing_objects(ref.digest):
            return True
        if stands(self._root, ref, self._index):
            self._own.keep(self._root, ref.path, self._index)
        elif is_folder(ref):
            self._keep_folder(ref)
        else:
            self._keep_file(ref)
        return not self._artifacts.missing_objects(ref.digest)

    def _keep_file(self, ref: FileRef) -> None:
        """Keep a file as the commit has it, if that is the same."""
        data = self._in_commit(ref.path)
        if data is not None and _md5(data) == ref.digest:
            self._own.objects.add_bytes(ref.digest, data)

    def _keep_folder(self, ref: FileRef) -> None:
        """Keep a folder as the commit has it, if that is the same."""
        if self._commit is None:
            return
        folder = f"{self._git.prefix}{ref.path}/"
        listed = self._git.bytes(
            *("ls-tree", "-r", "-z", "--name-only", "--full-tree"),
            operands=[self._commit],
            paths=[folder],
        )
        files = {}
        for name in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
            data = self._git.bytes("cat-file", "blob", operands=[f"{self._commit}:{name}"])
            files[name.removeprefix(folder)] = data
        digests = {name: _md5(data) for name, data in files.items()}
        if listing_digest(digests) == ref.digest:
            for name, data in files.items():
                self._own.objects.add_bytes(digests[name], data)
            self._own.objects.add_bytes(ref.digest, listing_bytes(digests))


def digest_as(kind: FileKind, data: bytes) -> str:
    """The digest by which files of this kind are known."""
    match kind:
        case "source":
            return source_digest(data)
        case "module" | "file":
            return bytes_digest(data)
        case _:
            return _md5(data)


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _read(place: Path) -> bytes | None:
    try:
        return place.read_bytes()
    except OSError:
        return None
