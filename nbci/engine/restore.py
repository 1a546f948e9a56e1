"""Files of an earlier run put back where they were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.data.repository import project_cache
from nbci.data.sharing import share
from nbci.engine.caching.reuse import KnownOuts
from nbci.engine.steps.declared_files import Files, restore_artifacts, stands
from nbci.errors import IntegrityError, Location, UsageError, nearest
from nbci.pipeline.paths import overlap
from nbci.store.file_index import project_index

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nbci.config import Project
    from nbci.records.run_record import FileRef, RunRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.artifacts import Artifacts
    from nbci.store.cache import Cache


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
    root = Path(to).absolute() if to is not None else project.root
    record = folder.read()
    refs = _wanted(record, paths)
    cache = project_cache(project, environ)
    share(project, cache, environ)
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
    others = [objects for step in record.steps for objects in cache.artifacts_of(step).others]
    return replace(cache.artifacts, others=tuple(dict.fromkeys((*cache.artifacts.others, *others))))


def _refuse_unkept(
    record: RunRecord, refs: Sequence[FileRef], changed: Collection[str], artifacts: Artifacts
) -> None:
    """IntegrityError for a file that was only read, and that nbci thus never kept."""
    made = {ref.path for step in record.steps for ref in step.outs}
    for ref in refs:
        if ref.path in changed and ref.path not in made and artifacts.lacking(ref.digest):
            raise IntegrityError(
                "the run only read it, and nothing here has kept what it was then",
                where=Location(ref.path),
                hint="git or `dvc checkout` bring it back if it was committed",
            )


def _wanted(record: RunRecord, paths: Sequence[str]) -> tuple[FileRef, ...]:
    made = {ref.path: ref for step in record.steps for ref in step.outs}
    if not paths:
        return tuple(made.values())
    every = {ref.path: ref for step in record.steps for ref in step.deps} | made
    chosen: dict[str, FileRef] = {}
    for path in paths:
        found = {
            name: ref
            for name, ref in every.items()
            if path in (".", name) or name.startswith(f"{path}/")
        }
        if not found:
            raise _unknown(record, path, every)
        chosen |= found
    return tuple(chosen.values())


def _unknown(record: RunRecord, path: str, every: Mapping[str, FileRef]) -> UsageError:
    around = next((name for name in every if overlap(name, path)), None)
    if around is not None:
        return UsageError(
            f"{path} is part of {around}, which is kept as a whole", hint=f"check out {around}"
        )
    close = nearest(path, every)
    names = (
        f"did you mean {close}?"
        if close
        else f"it has {', '.join(sorted(every)[:5]) or 'no files at all'}"
    )
    return UsageError(f"run {record.run} neither made nor declares {path}", hint=names)
