"""Export a run to DVC's files in the project.

These are dvc.yaml, dvc.lock, params.yaml and .gitignore.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.config import dvc_folder
from nbci.data.dvc_files import (
    PARAMS_FILE,
    Exported,
    dvc_stages,
    needed_steps,
    note_paths,
    notes_of,
)
from nbci.data.dvc_merge import merged_documents, own_stages, owned_outs
from nbci.data.dvc_params import merged_params, params_by_step
from nbci.data.repository import project_cache
from nbci.dot_nbci import NBCI_FOLDER
from nbci.errors import InfrastructureError, Location, StepError, UsageError
from nbci.project.sources import read_target
from nbci.records.run_record import FileRef
from nbci.runs.project_runs import all_runs
from nbci.store.file_index import project_index
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder

# each way of writing the line that ignores nbci's folder
_OURS = {NBCI_FOLDER, f"/{NBCI_FOLDER}", f"{NBCI_FOLDER}/", f"/{NBCI_FOLDER}/"}
_SPECIAL = re.compile(r"([\\*?\[\]])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file of the project: its text now (None: it is not there), and as it is to be."""

    path: str
    before: str | None
    text: str

    def diff(self) -> str:
        """What changes, as `diff -u` shows it."""
        old = (self.before or "").splitlines(keepends=True)
        new = self.text.splitlines(keepends=True)
        name = f"a/{self.path}"
        if self.before is None:
            name = "/dev/null"
        return "".join(difflib.unified_diff(old, new, name, f"b/{self.path}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is to be written for a run.

    `notes` are the texts of files for DVC alone; `altered` are outs that differ from what the run
    made.
    """

    run: str
    stages: tuple[str, ...]
    documents: tuple[Document, ...]
    notes: Mapping[str, str]
    outs: tuple[FileRef, ...]
    altered: tuple[str, ...]


def newest_whole(project: Project) -> RunFolder:
    """The newest run that passed and left no step out."""
    for folder in all_runs(project):
        if folder.read_header().result == "passed" and not folder.read_plan().leaves_out:
            return folder
    raise UsageError(
        "there is no run to export: none passed with all its steps", hint="nbci run TARGET"
    )


def prepare_export(project: Project, folder: RunFolder) -> Export:
    """Compute what DVC's files must hold so that `dvc status` finds the state of the run.

    Nothing is written.
    """
    place = dvc_folder(project.root)
    if place is None:
        raise UsageError(
            "this is no DVC repository",
            hint="dvc init, where .git is, makes it one; then export again",
        )
    record, plan = folder.read(), folder.read_plan()
    # dvc.lock would lack the stages of steps without a result, and `dvc status` would call them
    # changed
    why = None
    if record.result != "passed":
        why = "did not pass"
    elif plan.leaves_out:
        why = "leaves steps out"
    if why is not None:
        raise UsageError(
            f"run {record.run} {why}, and DVC wants whole pipelines", hint=f"nbci run {plan.target}"
        )
    return _Exporting(project, plan, record).export()


def write_export(project: Project, export: Export, environ: Mapping[str, str]) -> None:
    """Write it all; InfrastructureError while DVC itself is at work here."""
    artifacts = project_cache(project, environ).artifacts
    index = project_index(project)
    # without the lock, a `dvc repro` at the same time could overwrite dvc.lock
    with _dvc_locked(project):
        write_notes(project, export.notes)
        notes = [index.fingerprint(project.root, path) for path in export.notes]
        for ref in (*notes, *export.outs):
            # StepError: not in the workspace any more; what the run kept of it counts
            with contextlib.suppress(StepError):
                if artifacts.lacking(ref.digest):
                    artifacts.keep(project.root, ref.path, index)
        for document in export.documents:
            if document.text != document.before:
                write_atomic(project.root / document.path, document.text)
    index.save()


def write_notes(project: Project, notes: Mapping[str, str]) -> None:
    """Write what DVC has to know of steps besides their files."""
    for path, text in notes.items():
        place = project.root / path
        if place.is_symlink() or place.exists():
            place.unlink()  # it may be a link into DVC's cache
        write_atomic(place, text)


class _Exporting:
    """The steps from a record to DVC's files."""

    def __init__(self, project: Project, plan: Plan, record: RunRecord) -> None:
        self.project, self.plan, self.record = project, plan, record
        self.index = project_index(project)
        self.target = read_target(str(project.root / plan.target))
        self.steps = [step for step in record.steps if step.ended_well]

    def export(self) -> Export:
        """Everything that is to be written."""
        from dvc.utils.serialize import dumps_yaml

        own, lock, params = map(self._read, ("dvc.yaml", "dvc.lock", PARAMS_FILE))
        notes = self._notes()
        made: dict[str, FileRef] = {}
        for step in self.steps:
            for ref in step.outs:
                made[ref.path] = ref
        others = own_stages(own, self.plan.target)
        self._refuse_other_makers(owned_outs(others, lock, made, self._read))
        scm = _scm(self.project)
        exported = Exported(
            params=params_by_step(self.target.pipeline, self.plan, self.record),
            notes=self._kinds(notes),
            committed=frozenset(self._committed_outs(scm, made)),
        )
        files = {ref.path: ref for ref in (*self._sources(), *map(_note_ref, notes.items()))}
        stages = dvc_stages(
            self.plan,
            self.record,
            files=files,
            taken=others,
            # a stage that DVC runs takes its parameters from params.yaml
            params="--dvc",
            exported=exported,
        )
        document, locked = merged_documents(
            stages, target=self.plan.target, own=own, own_lock=lock, artifacts={}
        )
        documents = [
            self._document("dvc.yaml", self._updated_text("dvc.yaml", document)),
            # dvc.lock is written by programs only, and has no comments to keep
            self._document("dvc.lock", dumps_yaml(locked)),
        ]
        if self.record.params:
            values = merged_params(params, self.plan, self.record)
            documents.append(self._document(PARAMS_FILE, self._updated_text(PARAMS_FILE, values)))
        kept = [ref for path, ref in made.items() if path not in exported.committed]
        return Export(
            run=self.record.run,
            stages=tuple(stages.stages),
            documents=(*documents, *self._gitignores(scm, kept)),
            notes=notes,
            outs=tuple(kept),
            altered=tuple(self._altered_outs(made.values())),
        )

    def _document(self, path: str, text: str) -> Document:
        return Document(path=path, before=self._text(path), text=text)

    def _committed_outs(self, scm: Any, paths: Iterable[str]) -> Iterator[str]:
        """Yield the paths that git tracks; none where DVC was set up without git."""
        if scm is None:
            return
        for path in paths:
            if scm.is_tracked(self._place(path)):
                yield path

    def _notes(self) -> dict[str, str]:
        """Return the notes that hold something.

        These are values for steps that come after, and metrics where there are any.
        """
        needed: set[str] = set()
        for planned in self.plan.steps:
            needed.update(needed_steps(planned))

        notes: dict[str, str] = {}
        for step in self.steps:
            values, metrics = note_paths(self.plan, step.name)
            texts = notes_of(self.plan, step)
            if step.name in needed:
                notes[values] = texts[values]
            if texts[metrics] != "{}\n":
                notes[metrics] = texts[metrics]
        return notes

    def _kinds(self, notes: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """The kind that each of the notes has for DVC, by step and path."""
        kinds: dict[str, dict[str, str]] = {}
        for step in self.steps:
            values, metrics = note_paths(self.plan, step.name)
            of_step = kinds.setdefault(step.name, {})
            if values in notes:
                of_step[values] = "outs"
            if metrics in notes:
                of_step[metrics] = "metrics"
        return kinds

    def _sources(self) -> Iterator[FileRef]:
        """Yield the notebooks, modules and undeclared files that the run used.

        UsageError when one has changed since.
        """
        root, sources = self.project.root, self.record.sources or {}
        # the files are named in dvc.lock with their present digests, which must be those of the run
        for path, digest in self.target.sources.items():
            if sources.get(path) != digest:
                raise self._changed(path)
        for path in {step.notebook for step in self.plan.steps}:
            yield self.index.fingerprint(root, path)

        used = {}
        for step in self.steps:
            for part in step.observed:
                # an absolute path is outside the project, and would hold on this machine only
                if part.kind in ("module", "file") and not os.path.isabs(part.label):
                    used[part.label] = part.digest
        for path, digest in used.items():
            if not (root / path).is_file() or self.index.digest(root / path)[0] != digest:
                raise self._changed(path)
            yield self.index.fingerprint(root, path)

    def _changed(self, path: str) -> UsageError:
        return UsageError(
            f"the file has changed since run {self.record.run}",
            where=Location(path),
            hint=f"nbci run {self.plan.target}, and export that",
        )

    def _refuse_other_makers(self, owned: Mapping[str, Any]) -> None:
        for step in self.steps:
            for ref in step.outs:
                if ref.path in owned:
                    raise UsageError(
                        f"step {step.name} makes {ref.path}, and so does {owned[ref.path].by}",
                        where=Location(ref.path),
                        hint="take it out of one of them: dvc remove does that for DVC's",
                    )

    def _altered_outs(self, outs: Iterable[FileRef]) -> Iterator[str]:
        """Yield the outs that are not in the workspace as the run made them."""
        for ref in outs:
            try:
                present = self.index.fingerprint(self.project.root, ref.path).digest
            except StepError:
                # it is not there
                present = None
            if present != ref.digest:
                yield ref.path

    def _gitignores(self, scm: Any, outs: Iterable[FileRef]) -> Iterator[Document]:
        """The .gitignore files that take up what DVC keeps, as `dvc add` would write them."""
        entries: dict[str, list[str]] = {}
        if scm is not None and _OURS.isdisjoint((self._text(".gitignore") or "").splitlines()):
            # in a clone, DVC writes notes into .nbci before nbci has run there and ignored the
            # folder
            entries[".gitignore"] = [f"/{NBCI_FOLDER}"]
        for ref in outs:
            if scm is not None and not scm.is_ignored(self._place(ref.path)):
                folder, name = posixpath.split(ref.path)
                # a file name with `*` or `[` would otherwise ignore other files as well
                escaped = _SPECIAL.sub(r"\\\1", name)
                entries.setdefault(posixpath.join(folder, ".gitignore"), []).append(f"/{escaped}")
        for path, names in sorted(entries.items()):
            before = self._text(path)
            text = before or ""
            # the last line of a file may have no end
            if text and not text.endswith("\n"):
                text += "\n"
            for name in names:
                text += f"{name}\n"
            yield Document(path=path, before=before, text=text)

    def _place(self, path: str) -> str:
        return os.fspath(self.project.root / path)

    def _text(self, path: str) -> str | None:
        try:
            return (self.project.root / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot be read: {error}", where=Location(path)) from error

    def _read(self, path: str) -> dict[str, Any] | None:
        from dvc.utils.serialize import ParseError, parse_yaml

        text = self._text(path)
        if text is None:
            return None
        try:
            document = parse_yaml(text, path)
        except ParseError as error:
            raise UsageError(
                f"this is no YAML: {error.__cause__ or error}", where=Location(path)
            ) from error
        if not isinstance(document, dict):
            raise UsageError("this is no mapping, as DVC has it", where=Location(path))
        return document

    def _updated_text(self, path: str, wanted: Mapping[str, Any]) -> str:
        """The file's text with another content; comments and order of what stays are kept."""
        from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

        text = self._text(path)
        document: Any = {}
        if text is not None:
            document = parse_yaml_for_update(text, path)
        _update_mapping(document, wanted)
        return str(dumps_yaml(document))


def _update_mapping(document: Any, wanted: Mapping[str, Any]) -> None:
    """Make a mapping hold just this, with as few changes as possible."""
    for key in set(document).difference(wanted):
        del document[key]
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _update_mapping(document[key], value)
        elif key not in document or document[key] != value:
            document[key] = value


def _note_ref(note: tuple[str, str]) -> FileRef:
    path, text = note
    data = text.encode()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return FileRef(path=path, digest=digest, bytes=len(data))


def _scm(project: Project) -> Any:
    """Git as DVC has it; None where DVC was set up without."""
    from dvc.scm import NoSCM

    with _open_repo(project) as repo:
        if isinstance(repo.scm, NoSCM):
            return None
        return repo.scm


def _open_repo(project: Project) -> Any:
    from dvc.repo import Repo

    folder = dvc_folder(project.root)
    top = project.root
    if folder is not None:
        # a project in a subfolder shares the repository of DVC above it
        top = folder.parent
    return Repo(str(top))


@contextlib.contextmanager
def _dvc_locked(project: Project) -> Iterator[None]:
    from dvc.lock import LockError

    with _open_repo(project) as repo:
        try:
            repo.lock.lock()
        except LockError as error:
            raise InfrastructureError(
                "DVC is at work in this repository", hint="try again when it has ended"
            ) from error
        try:
            yield
        finally:
            repo.lock.unlock()
