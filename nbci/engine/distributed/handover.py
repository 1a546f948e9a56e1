"""What the parts of a run leave for each other.

A part leaves only what it has made itself, so that little has to be transferred.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from nbci.engine.caching.look_ahead import DECIDED
from nbci.runs.file_names import RECORD_FILE
from nbci.store.files import disk_errors, link_or_copy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import FileRef, StepRecord
    from nbci.runs.folder import RunFolder
    from nbci.store.cache import Cache


def hand_over(store: RunFolder, cache: Cache, steps: Sequence[PlannedStep], folder: Path) -> None:
    """Make the folder hold the results of these steps and nothing else.

    The folder is then brought to other stores.

    Objects that lie on a remote are left out: other parts take them from there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with disk_errors(folder):
        folder.mkdir(parents=True)
    hand_over_more(store, cache, steps, folder)


def hand_over_more(
    store: RunFolder, cache: Cache, steps: Sequence[PlannedStep], folder: Path
) -> None:
    """Add the results of these steps to the folder."""
    root = store.path.parent
    with disk_errors(folder):
        for step in steps:
            # The record first: the disk may have no room for the rest.
            for path in sorted(store.step(step.name).rglob("*"), key=_record_first):
                if path.is_file():
                    _copy(path, folder / path.relative_to(root))
            record = store.read_step(step.name)
            if record is not None:
                _hand_over_files(_files_in_cache(cache, record), folder, root)


def hand_over_results(
    store: RunFolder, cache: Cache, records: Iterable[StepRecord], folder: Path
) -> None:
    """Add what steps gave in runs beside the store's own to the folder."""
    with disk_errors(folder):
        for record in records:
            _hand_over_files(_files_in_cache(cache, record), folder, store.path.parent)


def hand_over_outs(store: RunFolder, cache: Cache, outs: Sequence[FileRef], folder: Path) -> None:
    """Add what a step made in a run beside the store's own to the folder."""
    with disk_errors(folder):
        _hand_over_files(_objects_of(cache, outs), folder, store.path.parent)


def _hand_over_files(files: Iterable[Path], folder: Path, root: Path) -> None:
    for path in files:
        if path.is_file():
            link_or_copy(path, folder / path.relative_to(root))


def _record_first(path: Path) -> tuple[bool, Path]:
    return path.name != RECORD_FILE, path


def take_handovers(folder: Path, store: RunFolder) -> None:
    """Move what other parts handed over into the store; each has its folder below this one."""
    root = store.path.parent
    if not folder.is_dir():
        return
    with disk_errors(root):
        for part in sorted(folder.iterdir()):
            for path in sorted(part.rglob("*")):
                if path.is_file() and path != part / DECIDED:
                    target = root / path.relative_to(part)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    # Moved, not copied: values may be large.
                    os.replace(path, target)
            shutil.rmtree(part)


def _files_in_cache(cache: Cache, record: StepRecord) -> Iterator[Path]:
    """The files of the cache that belong to a record."""
    notebook = cache.notebook_digest(record)
    if record.key is not None:
        yield cache.entry(record)
        yield cache.entry(record).with_suffix(".kept")
    # After trouble, the remote may lack some objects, so that all of them travel.
    if cache.elsewhere is not None and cache.elsewhere.trouble is None:
        return
    digests = {ref.object for ref in record.gives}
    if notebook:
        digests.add(notebook)
    yield from map(cache.value_path, digests)
    yield from _objects_of(cache, record.outs)


def _objects_of(cache: Cache, outs: Sequence[FileRef]) -> Iterator[Path]:
    for ref in outs:
        yield cache.own.path(ref.digest)
        # Of a folder, the files that its listing names.
        listing = cache.artifacts.listing(ref.digest) or {}
        yield from map(cache.own.path, listing.values())


def _copy(source: Path, target: Path) -> None:
    """A copy, because the original may still be written to."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copy2(source, target)
    except OSError:
        # Half a file is worse than none.
        target.unlink(missing_ok=True)
        raise
