"""Files of an earlier run put back where they were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.data.sharing import shared_cache
from nbci.engine.caching.reuse import KnownOuts
from nbci.engine.steps.declared_files import Files, restore_artifacts, stands
from nbci.errors import IntegrityError, Location, UsageError, nearest
from nbci.pipeline.paths import is_in, overlap
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nbci.config import Project
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.artifacts import Artifacts
    from nbci.store.cache import Cache


_NAMES_SHOWN = 5


class CheckedOut(Struct, frozen=True, kw_only=True):
    """What stands in the workspace now, what was put there, and what was moved aside.

    The latter is kept below `aside`.
    """

    refs: tuple[FileRef, ...]
    changed: frozenset[str]
    displaced: tuple[str, ...]
    aside: Path


def check_out(
    project: Project,
    folder: RunFolder,
    paths: Sequence[str],
    environ: Mapping[str, str],
    *,
    to: Path | None = None,
) -> CheckedOut:
    """Put the run's outs back, or the `paths` among what it made and read.

    `to` is a folder to put them below instead of their places.

    Content that is kept nowhere is moved aside first. IntegrityError when an object is gone; then
    nothing is touched.
    """
    root = project.root
    if to is not None:
        root = Path(to).absolute()
    record = folder.read()
    refs = _refs_to_restore(record, paths)
    cache = shared_cache(project, environ)
    artifacts = _all_places(cache, record)
    index = project_index(project)
    changed = frozenset(ref.path for ref in refs if not stands(root, ref, index))
    aside = project.displaced_folder
    # Before anything is moved, so that an error leaves the workspace as it was.
    _refuse_unkept(record, refs, changed, artifacts)
    displaced = restore_artifacts(root, refs, KnownOuts(project), aside, Files(artifacts, index))
    index.save()
    return CheckedOut(refs=refs, changed=changed, displaced=tuple(displaced), aside=aside)


def _all_places(cache: Cache, record: RunRecord) -> Artifacts:
    """Where the run's files are kept: here, and in the other checkouts whose results it reused."""
    others = dict.fromkeys(cache.artifacts.others)
    for step in record.steps:
        others.update(dict.fromkeys(cache.artifacts_of(step).others))
    return replace(cache.artifacts, others=tuple(others))


def _refuse_unkept(
    record: RunRecord, refs: Sequence[FileRef], changed: Collection[str], artifacts: Artifacts
) -> None:
    """IntegrityError for a file that was only read, and that nbci thus never kept."""
    made = record.outs
    for ref in refs:
        if ref.path in changed and ref.path not in made and artifacts.missing_objects(ref.digest):
            raise IntegrityError(
                "the run only read it, and nothing here has kept what it was then",
                where=Location(ref.path),
                hint="git or `dvc checkout` bring it back if it was committed",
            )


def _refs_to_restore(record: RunRecord, paths: Sequence[str]) -> tuple[FileRef, ...]:
    made = record.outs
    if not paths:
        return tuple(made.values())
    every: dict[str, FileRef] = {}
    for step in record.steps:
        for ref in step.deps:
            every[ref.path] = ref
    # A file that one step made and another read is what the run gave, not what it found.
    every |= made

    chosen: dict[str, FileRef] = {}
    for path in paths:
        found = {name: ref for name, ref in every.items() if path == "." or is_in(name, [path])}
        if not found:
            raise _unknown(record, path, every)
        chosen |= found
    return tuple(chosen.values())


def _unknown(record: RunRecord, path: str, every: Mapping[str, FileRef]) -> UsageError:
    for name in every:
        if overlap(name, path):
            return UsageError(
                f"{path} is part of {name}, which is kept as a whole", hint=f"check out {name}"
            )
    close = nearest(path, every)
    hint = f"did you mean {close}?"
    if not close:
        names = ", ".join(sorted(every)[:_NAMES_SHOWN])
        hint = f"it has {names or 'no files at all'}"
    return UsageError(f"run {record.run} neither made nor declares {path}", hint=hint)
