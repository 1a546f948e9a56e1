"""The kinds of things that a step is seen to use, and how each is compared before reuse.

This is the one list: a kernel notes what a step uses (`inkernel/traces.py`), `record` makes parts
of it, each with the state that its kind tells here, and before reuse the same functions tell the
state again. The table of docs/reuse.md is made from it, too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nbci.engine.observed import states
from nbci.engine.observed.states import Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import Part, StepRecord
    from nbci.store.file_index import FileIndex

VERSION = 3
"""The version of what is noted.

A result for which less was noted may depend on more than its record says, and is not reused.
"""

WRITTEN = "written"
"""The kind of files that reuse does not bring back."""
CHANGED = "changed"
"""The kind of what was not, at a step's end, what the step had read."""
RUN_ID = "run id"
"""The kind of what every run has its own."""
STEP_NAME = "step name"


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of observation; `noted` and `same` are the columns of the table in docs/reuse.md.

    `state` tells how it stands now; `change` says, for people, that it no longer stands as it did.
    `files` are those whose entries in the file system are all unchanged only if the state is. A
    result with such an observation is `kept` in any case, only where the step says by `deps` what
    it uses, only where the step asks for it, or never.
    """

    name: str
    noted: str
    same: str
    state: Callable[[Surroundings, Part], str]
    change: str = "{kind} {label} has changed"
    files: Callable[[Surroundings, Part], Iterable[str]] | None = None
    kept: Literal["always", "with deps", "if asked", "never"] = "always"


def first_change(
    root: Path,
    step: PlannedStep,
    record: StepRecord,
    index: FileIndex,
    environ: Mapping[str, str] | None = None,
) -> str | None:
    """What says that an observation no longer stands as it did; None when all do."""
    # What an older nbci did not note may have changed without a trace in the record.
    if record.observed_version != VERSION:
        return "the nbci that made its result did not note all that it used"
    surroundings = surroundings_of(root, step, record.observed, index, environ)
    for part in record.observed:
        kind = BY_NAME.get(part.kind)
        # Checkouts with different versions of nbci can share a cache.
        if kind is None:
            return f"another nbci noted that it used {part.kind} {part.label}"
        if kind.state(surroundings, part) != part.digest:
            return kind.change.format(kind=part.kind, label=part.label)
    return None


def surroundings_of(
    root: Path,
    step: PlannedStep,
    parts: tuple[Part, ...],
    index: FileIndex,
    environ: Mapping[str, str] | None = None,
) -> Surroundings:
    """What the observations at a step are compared with.

    `environ` is that of this process where none is given.
    """
    if environ is None:
        environ = os.environ
    return Surroundings(
        root=root,
        index=index,
        environ=environ,
        own=step.writes,
        step=step.name,
        parts=parts,
    )


KINDS = (
    Kind(
        name="environment",
        noted="the lock file of the step's `environment`",
        same="its content; it stands for interpreter and packages",
        state=states.locked_digest,
        files=states.lock_paths,
    ),
    Kind(
        name="kernel",
        noted="the kernel's specification",
        same="the program that it starts: another environment with a kernel of that name "
        "is another one",
        state=states.program,
        change="the kernel {label} is another program now",
        files=states.specifications,
    ),
    Kind(
        name="interpreter",
        noted="the interpreter",
        same="its file",
        state=states.stamp,
        files=states.itself,
    ),
    Kind(
        name="site",
        noted="folders of installed packages",
        same="see packages",
        state=states.as_noted,
        files=states.itself,
    ),
    Kind(
        name="package",
        noted="installed packages that were imported",
        same="their versions",
        state=states.package_version,
    ),
    Kind(
        name="module",
        noted="your own modules that were imported, `.so` and `.pyc` too",
        same="their content",
        state=states.content,
        files=states.itself,
    ),
    Kind(
        name="import",
        noted="what imports looked for, found or not",
        same="which file an import finds: a new module that would be found first counts",
        state=states.import_forms,
        change="an import would find something else in {label}",
        files=states.module_places,
    ),
    Kind(
        name="file",
        noted="files that were read and are not in `deps`, of the project and elsewhere; "
        "in the project also by libraries below Python and by child processes",
        same="their content",
        state=states.content,
        files=states.itself,
    ),
    Kind(
        name="absent",
        noted="paths that were looked for and not there",
        same="that nothing is there",
        state=states.presence,
        change="{label}, which was not there, is there now",
        files=states.itself,
    ),
    Kind(
        name="folder",
        noted="folders that were listed (`glob`, `listdir`, `scandir`, `walk`)",
        same="the names in them",
        state=states.listing,
        change="the files in folder {label} are others",
        files=states.itself,
    ),
    Kind(
        name="stat",
        noted="paths that were asked about (`exists`, `getsize`, `stat`)",
        same="what was asked: the type, also size, time, mode and links "
        "where your code asked for them",
        state=states.facets,
        change="what the file system says of {label} has changed",
        files=states.itself,
    ),
    Kind(
        name="link",
        noted="links that were read",
        same="where they lead to",
        state=states.link_target,
        files=states.itself,
    ),
    Kind(
        name=WRITTEN,
        noted="files of the project that were written and are not in `outs`",
        same="that they are there; a warning names them",
        state=states.presence,
        change="{label}, which it wrote, is gone",
        files=states.itself,
    ),
    Kind(
        name=CHANGED,
        noted="files that the step read, and that changed while it ran, "
        "by its own hand or another's",
        same="such a result is never kept; a warning names them",
        state=states.never_same,
        change="{label} changed while it ran",
        kept="never",
    ),
    Kind(
        name="variable",
        noted="environment variables that cells and modules of yours read, `TZ`, "
        "and those that bear the name of a package that reads them (`TQDM_DISABLE`)",
        same="their values, but for those of secrets",
        state=states.variable,
        change="the environment variable {label} has changed",
    ),
    Kind(
        name="place",
        noted="the project's own folder, where the step asked for it or used files beside it",
        same="its path",
        state=states.project_folder,
        change="it used paths that hold only in {label}",
    ),
    Kind(
        name="random",
        noted="the global random generators that were drawn from or seeded",
        same="the state that earlier steps left them in",
        state=states.as_noted,
        change="the {label}, which it draws from, has changed",
    ),
    Kind(
        name="umask",
        noted="the umask, where it was asked for",
        same="its value",
        state=states.umask,
    ),
    Kind(
        name=STEP_NAME,
        noted="the step's own name, where cells and modules of yours read `NBCI_STEP`",
        same="the name",
        state=states.step_name,
        change="it read its step's name in {label}, which was another",
    ),
    Kind(
        name=RUN_ID,
        noted="the run's id, where cells and modules of yours read `NBCI_RUN`",
        same="such a result is not kept, unless the step says `cache: enabled`; a warning says so",
        state=states.as_noted,
        kept="if asked",
    ),
    Kind(
        name="network",
        noted="hosts that were connected to or sent datagrams, this machine too; servers that "
        "were reached by the path of their socket (`/run/docker.sock`), but for the system's log",
        same="such a result is not kept, unless the step says `cache: enabled`",
        state=states.as_noted,
        kept="if asked",
    ),
    Kind(
        name="program",
        noted="other programs that were started (`!command`, `%%bash`, `subprocess`)",
        same="what they read in the project; since they may read more, such a result is not kept, "
        "unless the step has `deps` or says `cache: enabled`",
        state=states.as_noted,
        kept="with deps",
    ),
    Kind(
        name="unwatched",
        noted="libraries that read files below Python, where the system does not tell what is "
        "opened (it is not Linux, or has no more inotify watches)",
        same="such a result is not kept, unless the step has `deps` or says `cache: enabled`",
        state=states.as_noted,
        kept="with deps",
    ),
    Kind(
        name="secret path",
        noted="files at paths that hold a secret, as the address of a database may",
        same="such a result is not kept, unless the step says `cache: enabled`: "
        "the path is not written down",
        state=states.as_noted,
        kept="if asked",
    ),
)

BY_NAME = {kind.name: kind for kind in KINDS}


def files_of(surroundings: Surroundings) -> Iterator[str]:
    """The files whose unchanged entries in the file system show that the observations stand.

    They are in no order.
    """
    for part in dict.fromkeys(surroundings.parts):
        kind = BY_NAME.get(part.kind)
        # A newer nbci may have noted kinds that this one does not know.
        if kind is not None and kind.files is not None:
            yield from kind.files(surroundings, part)
