"""What changed while a step ran.

Its result came of what it read, and the next run finds something else there.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from nbci.engine.observed.kinds import CHANGED
from nbci.file_state import is_touched
from nbci.pipeline.paths import is_in, overlaps_any
from nbci.records.run_record import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.engine.observed.states import Surroundings
    from nbci.kernels.job import Seen
    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import FileRef, StepRecord

_CONTENT = ("file", "module")
_WRITABLE = 0o222


class Change(Struct, frozen=True):
    """A file or folder whose content during the step is not known, with a sentence on it."""

    path: str
    sentence: str


def note_changes(record: StepRecord, changes: Iterable[Change]) -> StepRecord:
    """The record with these changes: its result is not kept, and says why, once for each file."""
    known = [part.label for part in record.observed if part.kind == CHANGED]
    for change in changes:
        # Of a folder and a file in it, the first says enough.
        if overlaps_any(change.path, known):
            continue
        known.append(change.path)
        part = Part(kind=CHANGED, label=change.path, digest="while it ran")
        warning = f"{change.sentence}: the step's result is not kept"
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
    own = tuple(map(surroundings.place, surroundings.own))
    found = {
        *_changed_since_stamped(seen, own),
        *_touched_without_stamp(seen, surroundings, since_ns),
    }
    root = str(surroundings.root)
    for path in sorted(found):
        # Python writes bytecode as it imports, in this step or in another.
        if "/__pycache__/" in path:
            continue
        label = path
        if path.startswith(f"{root}/"):
            label = os.path.relpath(path, root)
        yield Change(label, _sentence(step, label, by_itself=is_in(path, seen.written)))


def _changed_since_stamped(seen: Seen, own: tuple[str, ...]) -> Iterator[str]:
    """What is no longer as it was when the kernel first saw it; `own` are the step's outs."""
    makes = (*seen.written, *own)
    for kind, path, _ in seen.sights:
        if kind not in ("file", "folder") or path not in seen.stamps or is_in(path, own):
            continue
        if _differs(path, seen.stamps[path], makes):
            yield path


def _touched_without_stamp(seen: Seen, surroundings: Surroundings, since_ns: int) -> Iterator[str]:
    """What was read below Python and is younger than the step: its earlier state is not known."""
    written = set(seen.written)
    for part in surroundings.parts:
        if part.kind not in _CONTENT:
            continue
        path = surroundings.place(part.label)
        if path in seen.stamps or path in written:
            continue
        if is_touched(path, since_ns):
            yield path


def changed_deps(
    step: PlannedStep, parts: Iterable[Part], deps: Iterable[FileRef]
) -> Iterator[Change]:
    """The declared inputs that changed since the step's key was made.

    `deps` are the inputs as they are now.
    """
    now = {ref.path: ref.digest for ref in deps}
    for part in parts:
        if part.kind != "file" or now.get(part.label) == part.digest:
            continue
        # What the step itself writes again, as a file that it updates in place, is its own doing.
        if not overlaps_any(part.label, step.writes):
            yield Change(part.label, _sentence(step, part.label, by_itself=False))


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


def _sentence(step: PlannedStep, label: str, *, by_itself: bool) -> str:
    if by_itself and overlaps_any(label, step.deps):
        return (
            f"the step wrote {label}, which it declares as its input, "
            "so run again it may give something else"
        )
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
        if now.st_mtime_ns == written_ns:
            return False
        return not any(other.startswith(f"{path}/") for other in makes)
    if (now.st_ino, now.st_size, now.st_mtime_ns) != (inode, size, written_ns):
        return True
    # Linking a file elsewhere changes this time, and nbci links what is read-only.
    return bool(now.st_mode & _WRITABLE) and now.st_ctime_ns != changed_ns
