"""What changed while a step ran: its result came of what it read, and that stands there no more."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.engine.observed.kinds import CHANGED
from nbci.pipeline.paths import overlap
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.engine.observed.kinds import Surroundings
    from nbci.kernels.job import Seen
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import FileRef, StepRecord

_CONTENT = ("file", "module")
_WRITABLE = 0o222


class Change(Struct, frozen=True):
    """A file or folder of which nobody can say what it was for the step, and how that is said."""

    path: str
    said: str


def noted(record: StepRecord, changes: Iterable[Change]) -> StepRecord:
    """The record with these changes: its result is not kept, and says why, once for each file."""
    told = [part.label for part in record.observed if part.kind == CHANGED]
    for change in changes:
        if any(overlap(change.path, path) for path in told):
            continue
        told.append(change.path)
        part = Part(kind=CHANGED, label=change.path, digest="while it ran")
        warning = f"{change.said}: the step's result is not kept"
        record = replace(
            record, observed=(*record.observed, part), warnings=(*record.warnings, warning)
        )
    return record


def changed_meanwhile(
    step: PlannedStep, seen: Seen, surroundings: Surroundings, since_ns: int
) -> Iterator[Change]:
    """The files and folders that changed since the step first read them.

    The step began at `since_ns`.
    """
    root = str(surroundings.root)
    own = tuple(surroundings.place(path) for path in surroundings.own)
    makes = (*seen.written, *own)
    paths = {
        path
        for kind, path, _ in seen.sights
        if kind in ("file", "folder") and not _is_in(path, own)
    }
    found = {
        path for path in paths & seen.stamps.keys() if _differs(path, seen.stamps[path], makes)
    }
    # what was read below Python has no stamp: it is in doubt when it is younger than the step
    unseen = {
        surroundings.place(part.label) for part in surroundings.parts if part.kind in _CONTENT
    }
    unseen -= {*seen.stamps, *seen.written}
    found |= {path for path in unseen if _touched_since(path, since_ns)}
    for path in sorted(path for path in found if "/__pycache__/" not in path):
        label = os.path.relpath(path, root) if path.startswith(f"{root}/") else path
        yield Change(label, _said(step, label, by_itself=_is_in(path, seen.written)))


def changed_deps(
    step: PlannedStep, parts: Iterable[Part], deps: Iterable[FileRef]
) -> Iterator[Change]:
    """The declared inputs that changed since the step's key was made.

    `deps` are the inputs as they are now.
    """
    before = {part.label: part.digest for part in parts if part.kind == "file"}
    now = {ref.path: ref.digest for ref in deps}
    outs = (*step.outs, *step.metrics)
    for path, digest in before.items():
        if now.get(path) != digest and not any(overlap(path, out) for out in outs):
            yield Change(path, _said(step, path, by_itself=False))


def changed_outs(deps: Iterable[FileRef], earlier: Iterable[StepRecord]) -> Iterator[Change]:
    """The declared inputs that are outs of earlier steps, but not as those gave them."""
    gave: dict[str, dict[str, str]] = {}
    for record in earlier:
        for out in record.outs:
            gave.setdefault(out.path, {})[out.digest] = record.name
    for ref in deps:
        givers = gave.get(ref.path)
        if givers is not None and ref.digest not in givers:
            yield Change(
                ref.path, f"{ref.path} is not what step {next(iter(givers.values()))} gave"
            )


def _said(step: PlannedStep, label: str, *, by_itself: bool) -> str:
    if by_itself and any(overlap(label, dep) for dep in step.deps):
        return f"the step wrote {label}, which it declares as its input, so run again it may give something else"
    if by_itself:
        return f"the step wrote {label}, which it had read"
    return f"{label} changed while the step ran"


def _differs(path: str, stamp: tuple[int, int, int, int], makes: Iterable[str]) -> bool:
    """Whether a file, or the set of files in a folder, differs from what it was.

    `makes` are paths that the step itself made.
    """
    try:
        now = os.stat(path)
    except OSError:
        return True
    inode, size, written_ns, changed_ns = stamp
    # A folder's time changes when names in it come or go, also those that the step itself made.
    if stat.S_ISDIR(now.st_mode):
        return now.st_mtime_ns != written_ns and not any(
            other.startswith(f"{path}/") for other in makes
        )
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (inode, size, written_ns):
        return True
    # linking a file elsewhere, as nbci does with what nobody may write to, changes this time
    return bool(now.st_mode & _WRITABLE) and now.st_ctime_ns != changed_ns


def _touched_since(path: str, since_ns: int) -> bool:
    try:
        now = os.stat(path)
    except OSError:
        return True
    return max(now.st_mtime_ns, now.st_ctime_ns) > since_ns


def _is_in(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
