"""Export a run to DVC's files in the project.

These are dvc.yaml, dvc.lock, params.yaml and .gitignore.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbci.config import dvc_folder
from nbci.data.dvc_documents import Document, ProjectTexts
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
from nbci.data.dvc_scm import DvcScm, locked_repository
from nbci.data.repository import project_cache
from nbci.errors import Location, StepError, UsageError
from nbci.project.sources import read_target
from nbci.records.run_record import FileRef
from nbci.runs.project_runs import all_runs
from nbci.store.file_index import project_index
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.config import Project
    from nbci.data.dvc_files import DvcStages
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder


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
    return _Exporter(project, plan, record).export()


def write_export(project: Project, export: Export, environ: Mapping[str, str]) -> None:
    """Write it all; InfrastructureError while DVC itself is at work here."""
    artifacts = project_cache(project, environ).artifacts
    index = project_index(project)
    # without the lock, a `dvc repro` at the same time could overwrite dvc.lock
    with locked_repository(project):
        write_notes(project, export.notes)
        notes = [index.fingerprint(project.root, path) for path in export.notes]
        for ref in (*notes, *export.outs):
            # StepError: not in the workspace any more; what the run kept of it counts
            with contextlib.suppress(StepError):
                if artifacts.missing_objects(ref.digest):
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


class _Exporter:
    """The steps from a record to DVC's files."""

    def __init__(self, project: Project, plan: Plan, record: RunRecord) -> None:
        self.project, self.plan, self.record = project, plan, record
        self.index = project_index(project)
        self.texts = ProjectTexts(project.root)
        self.target = read_target(str(project.root / plan.target))
        self.steps = [step for step in record.steps if step.ended_well]

    def export(self) -> Export:
        """Everything that is to be written."""
        files = ("dvc.yaml", "dvc.lock", PARAMS_FILE)
        own, lock, params = map(self.texts.read_mapping, files)
        notes = self._notes()
        made = self.record.outs
        others = own_stages(own, self.plan.target)
        self._refuse_other_makers(owned_outs(others, lock, made, self.texts.read_mapping))

        scm = DvcScm(self.project)
        committed = scm.tracked(made)
        stages = self._stages(notes, committed, others)
        document, locked = merged_documents(
            stages, target=self.plan.target, own=own, own_lock=lock, artifacts={}
        )
        # git has the others already
        kept = {path: ref for path, ref in made.items() if path not in committed}
        return Export(
            run=self.record.run,
            stages=tuple(stages.stages),
            documents=(
                *self._documents(document, locked, params),
                *scm.gitignores(kept, self.texts),
            ),
            notes=notes,
            outs=tuple(kept.values()),
            altered=tuple(self._altered_outs(made.values())),
        )

    def _stages(
        self, notes: Mapping[str, str], committed: frozenset[str], others: Iterable[str]
    ) -> DvcStages:
        exported = Exported(
            params=params_by_step(self.target.pipeline, self.plan, self.record),
            notes=self._kinds(notes),
            committed=committed,
        )
        files = {ref.path: ref for ref in (*self._sources(), *map(_note_ref, notes.items()))}
        return dvc_stages(
            self.plan,
            self.record,
            files=files,
            taken=others,
            # a stage that DVC runs takes its parameters from params.yaml
            params="--dvc",
            exported=exported,
        )

    def _documents(
        self,
        document: Mapping[str, Any],
        locked: Mapping[str, Any],
        params: Mapping[str, Any] | None,
    ) -> Iterator[Document]:
        from dvc.utils.serialize import dumps_yaml

        yield self.texts.updated("dvc.yaml", document)
        # dvc.lock is written by programs only, and has no comments to keep
        yield self.texts.document("dvc.lock", dumps_yaml(locked))
        if self.record.params:
            values = merged_params(params, self.plan, self.record)
            yield self.texts.updated(PARAMS_FILE, values)

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
                raise self._change_error(path)
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
                raise self._change_error(path)
            yield self.index.fingerprint(root, path)

    def _change_error(self, path: str) -> UsageError:
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


def _note_ref(note: tuple[str, str]) -> FileRef:
    path, text = note
    data = text.encode()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return FileRef(path=path, digest=digest, bytes=len(data))
