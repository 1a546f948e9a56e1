"""The kinds of things that a step is seen to use, and how each is compared before reuse.

This is the one list: a kernel notes what a step uses (`inkernel/traces.py`), `record` makes parts
of it, each with the state that its kind tells here, and before reuse the same functions tell the
state again. The table of docs/reuse.md is made from it, too.
"""

from __future__ import annotations

import os
import stat
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeVar

from msgspec import Struct

from nbci.dot_nbci import NBCI_FOLDER
from nbci.engine.observed.process_inputs import text_digest, umask_now, variable_state
from nbci.store.environments import environment_key, lock_files
from nbci.store.file_index import SETTLED_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from functools import _lru_cache_wrapper
    from pathlib import Path

    from nbci.plan.model import PlannedStep
    from nbci.records.run_record import Part, StepRecord
    from nbci.store.file_index import FileIndex

VERSION = 3
"""The version of what is noted.

A result for which less was noted may depend on more than its record says, and is not reused.
"""

GONE = "gone"
WRITTEN = "written"
"""The kind of files that reuse does not bring back."""
CHANGED = "changed"
"""The kind of what was not, at a step's end, what the step had read."""
RUN_ID = "run id"
"""The kind of what every run has its own."""
STEP_NAME = "step name"
OF_TOOLS = frozenset((".git", NBCI_FOLDER, ".dvc", ".ipynb_checkpoints", "__pycache__"))
"""Folders that tools keep beside a project's files; whether they are there tells a step nothing."""


class Surroundings(Struct, frozen=True, kw_only=True):
    """What observations are compared with.

    `parts` are all that were made at the step, `own` the paths it gives, `step` is its name.
    """

    root: Path
    index: FileIndex
    environ: Mapping[str, str]
    own: tuple[str, ...] = ()
    step: str = ""
    parts: tuple[Part, ...] = ()

    def place(self, label: str) -> str:
        """The path of a file from its label.

        Labels are relative to the project for its own files, and absolute for others.
        """
        return os.path.join(self.root, label)


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
        own=(*step.outs, *step.metrics),
        step=step.name,
        parts=parts,
    )


def _stamp(surroundings: Surroundings, part: Part) -> str:
    try:
        found = os.stat(surroundings.place(part.label))
    except OSError:
        return GONE
    return f"{found.st_size}-{found.st_mtime_ns}"


def _never_same(_: Surroundings, part: Part) -> str:
    """For what nothing can be compared with."""
    return f"not {part.digest}"


def _as_noted(_: Surroundings, part: Part) -> str:
    """For what cannot be compared, or is compared by others."""
    return part.digest


def _locked(surroundings: Surroundings, part: Part) -> str:
    try:
        return environment_key(surroundings.root, part.label)
    except OSError:
        return GONE


def _version(surroundings: Surroundings, part: Part) -> str:
    wanted = _plain(part.label)
    # In the order of the path: an import takes the first folder that has it.
    for other in surroundings.parts:
        if other.kind != "site":
            continue
        version = _distributions(other.label).get(wanted)
        if version is not None:
            return version
    return GONE


def _content(surroundings: Surroundings, part: Part) -> str:
    place = surroundings.place(part.label)
    try:
        # Only regular files: to read from a pipe or a device could block, and changes its state.
        if not stat.S_ISREG(os.stat(place).st_mode):
            return GONE
        return surroundings.index.digest(place)[0]
    except OSError:
        return GONE


def _presence(surroundings: Surroundings, part: Part) -> str:
    # A link that leads nowhere is there, too: code that makes a file at its place follows it.
    if os.path.lexists(surroundings.place(part.label)):
        return "there"
    return GONE


def _listing(surroundings: Surroundings, part: Part) -> str:
    """The names in a folder, as far as they count.

    Left out are those of tools, and of what the step itself gives, which is put back.

    Before a `|` stand the suffixes of those that count, where not all do.
    """
    suffixes, bar, _ = part.digest.rpartition("|")
    folder = surroundings.place(part.label)
    own = _first_names(os.path.relpath(folder, surroundings.root), surroundings.own)
    counted = suffixes.split("|")
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name in OF_TOOLS or name in own:
                    continue
                if bar and os.path.splitext(name)[1] not in counted:
                    continue
                # Code that walks a tree goes into folders, so that what is one counts.
                if entry.is_dir():
                    name += "/"
                names.append(name)
    except OSError:
        return GONE
    return f"{suffixes}{bar}{text_digest(chr(0).join(sorted(names)))}"


def _first_names(folder: str, paths: Iterable[str]) -> set[str]:
    """The names in the folder that lead to these paths."""
    prefix = f"{folder}/"
    if folder == ".":
        prefix = ""
    return {path[len(prefix) :].partition("/")[0] for path in paths if path.startswith(prefix)}


def facets_of(path: str, facets: Iterable[str]) -> str:
    """What the file system says of a path: these of `type`, `size`, `time`, `mode` and `links`."""
    try:
        found = os.stat(path)
    except OSError:
        return GONE
    kind = "file"
    if stat.S_ISDIR(found.st_mode):
        kind = "folder"
    known = {
        "type": kind,
        "size": str(found.st_size),
        "time": str(found.st_mtime_ns),
        "mode": f"{found.st_mode:o}",
        "links": str(found.st_nlink),
    }
    # Sorted, so that the order in which code asked does not count.
    return " ".join(f"{facet}={known[facet]}" for facet in sorted(facets))


def _facets(surroundings: Surroundings, part: Part) -> str:
    return facets_of(surroundings.place(part.label), _names_in_state(part.digest))


def _names_in_state(state: str) -> list[str]:
    """The names of a state that is written as `name=value name=value`."""
    return [word.partition("=")[0] for word in state.split()]


def _link(surroundings: Surroundings, part: Part) -> str:
    try:
        return os.readlink(surroundings.place(part.label))
    except OSError:
        return GONE


_SUFFIXES = {"": "folder", "py": "source", "pyc": "bytecode", "so": "extension", "pyd": "extension"}


def forms_of(folder: str, names: Iterable[str]) -> str:
    """What an import of each of the names would find in a folder."""
    found = _of_state(folder, _listed_modules)
    states = []
    for name in sorted(names):
        form = _form(folder, name, found.get(name, frozenset()))
        states.append(f"{name}={form}")
    return " ".join(states)


def _form(folder: str, name: str, forms: frozenset[str]) -> str:
    """What an import takes of the files there are, in the order in which it looks.

    The order is that of importlib's FileFinder.
    """
    is_folder = "folder" in forms and os.path.isdir(os.path.join(folder, name))
    if is_folder:
        for init in ("__init__.py", "__init__.pyc"):
            if os.path.exists(os.path.join(folder, name, init)):
                return "package"
    # A package without `__init__` comes last: FileFinder takes a module of that name before it.
    for form in ("extension", "source", "bytecode"):
        if form in forms:
            return form
    if is_folder:
        return "namespace"
    return ""


def _forms(surroundings: Surroundings, part: Part) -> str:
    return forms_of(surroundings.place(part.label), _names_in_state(part.digest))


def _variable(surroundings: Surroundings, part: Part) -> str:
    return variable_state(part.label, surroundings.environ)


def _step_name(surroundings: Surroundings, _: Part) -> str:
    return surroundings.step


def _own_folder(surroundings: Surroundings, part: Part) -> str:
    if str(surroundings.root) == part.label:
        return ""
    return "elsewhere"


def _umask(_: Surroundings, part: Part) -> str:
    return umask_now()


def _itself(surroundings: Surroundings, part: Part) -> Iterator[str]:
    yield surroundings.place(part.label)


def _program(_: Surroundings, part: Part) -> str:
    # Imported late: a run whose steps all have an environment of their own needs no such search.
    from nbci.kernels.specs import program_of

    return program_of(part.label) or GONE


def _specifications(_: Surroundings, part: Part) -> Iterator[str]:
    from nbci.kernels.specs import specification_places

    yield from specification_places(part.label)


def _locks(surroundings: Surroundings, part: Part) -> Iterator[str]:
    yield from map(str, lock_files(surroundings.root, part.label))


def _module_places(surroundings: Surroundings, part: Part) -> Iterator[str]:
    """A folder on the path, and those in it that are packages or would become some."""
    folder = surroundings.place(part.label)
    yield folder
    for word in part.digest.split():
        name, _, form = word.partition("=")
        if form in ("package", "namespace"):
            yield os.path.join(folder, name)


KINDS = (
    Kind(
        name="environment",
        noted="the lock file of the step's `environment`",
        same="its content; it stands for interpreter and packages",
        state=_locked,
        files=_locks,
    ),
    Kind(
        name="kernel",
        noted="the kernel's specification",
        same="the program that it starts: another environment with a kernel of that name "
        "is another one",
        state=_program,
        change="the kernel {label} is another program now",
        files=_specifications,
    ),
    Kind(name="interpreter", noted="the interpreter", same="its file", state=_stamp, files=_itself),
    Kind(
        name="site",
        noted="folders of installed packages",
        same="see packages",
        state=_as_noted,
        files=_itself,
    ),
    Kind(
        name="package",
        noted="installed packages that were imported",
        same="their versions",
        state=_version,
    ),
    Kind(
        name="module",
        noted="your own modules that were imported, `.so` and `.pyc` too",
        same="their content",
        state=_content,
        files=_itself,
    ),
    Kind(
        name="import",
        noted="what imports looked for, found or not",
        same="which file an import finds: a new module that would be found first counts",
        state=_forms,
        change="an import would find something else in {label}",
        files=_module_places,
    ),
    Kind(
        name="file",
        noted="files that were read and are not in `deps`, of the project and elsewhere; "
        "in the project also by libraries below Python and by child processes",
        same="their content",
        state=_content,
        files=_itself,
    ),
    Kind(
        name="absent",
        noted="paths that were looked for and not there",
        same="that nothing is there",
        state=_presence,
        change="{label}, which was not there, is there now",
        files=_itself,
    ),
    Kind(
        name="folder",
        noted="folders that were listed (`glob`, `listdir`, `scandir`, `walk`)",
        same="the names in them",
        state=_listing,
        change="the files in folder {label} are others",
        files=_itself,
    ),
    Kind(
        name="stat",
        noted="paths that were asked about (`exists`, `getsize`, `stat`)",
        same="what was asked: the type, also size, time, mode and links "
        "where your code asked for them",
        state=_facets,
        change="what the file system says of {label} has changed",
        files=_itself,
    ),
    Kind(
        name="link",
        noted="links that were read",
        same="where they lead to",
        state=_link,
        files=_itself,
    ),
    Kind(
        name=WRITTEN,
        noted="files of the project that were written and are not in `outs`",
        same="that they are there; a warning names them",
        state=_presence,
        change="{label}, which it wrote, is gone",
        files=_itself,
    ),
    Kind(
        name=CHANGED,
        noted="files that the step read, and that changed while it ran, "
        "by its own hand or another's",
        same="such a result is never kept; a warning names them",
        state=_never_same,
        change="{label} changed while it ran",
        kept="never",
    ),
    Kind(
        name="variable",
        noted="environment variables that cells and modules of yours read, `TZ`, "
        "and those that bear the name of a package that reads them (`TQDM_DISABLE`)",
        same="their values, but for those of secrets",
        state=_variable,
        change="the environment variable {label} has changed",
    ),
    Kind(
        name="place",
        noted="the project's own folder, where the step asked for it or used files beside it",
        same="its path",
        state=_own_folder,
        change="it used paths that hold only in {label}",
    ),
    Kind(
        name="random",
        noted="the global random generators that were drawn from or seeded",
        same="the state that earlier steps left them in",
        state=_as_noted,
        change="the {label}, which it draws from, has changed",
    ),
    Kind(name="umask", noted="the umask, where it was asked for", same="its value", state=_umask),
    Kind(
        name=STEP_NAME,
        noted="the step's own name, where cells and modules of yours read `NBCI_STEP`",
        same="the name",
        state=_step_name,
        change="it read its step's name in {label}, which was another",
    ),
    Kind(
        name=RUN_ID,
        noted="the run's id, where cells and modules of yours read `NBCI_RUN`",
        same="such a result is not kept, unless the step says `cache: enabled`; a warning says so",
        state=_as_noted,
        kept="if asked",
    ),
    Kind(
        name="network",
        noted="hosts that were connected to or sent datagrams, this machine too; servers that "
        "were reached by the path of their socket (`/run/docker.sock`), but for the system's log",
        same="such a result is not kept, unless the step says `cache: enabled`",
        state=_as_noted,
        kept="if asked",
    ),
    Kind(
        name="program",
        noted="other programs that were started (`!command`, `%%bash`, `subprocess`)",
        same="what they read in the project; since they may read more, such a result is not kept, "
        "unless the step has `deps` or says `cache: enabled`",
        state=_as_noted,
        kept="with deps",
    ),
    Kind(
        name="unwatched",
        noted="libraries that read files below Python, where the system does not tell what is "
        "opened (it is not Linux, or has no more inotify watches)",
        same="such a result is not kept, unless the step has `deps` or says `cache: enabled`",
        state=_as_noted,
        kept="with deps",
    ),
    Kind(
        name="secret path",
        noted="files at paths that hold a secret, as the address of a database may",
        same="such a result is not kept, unless the step says `cache: enabled`: "
        "the path is not written down",
        state=_as_noted,
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


def _plain(name: str) -> str:
    # Compared as PyPI normalizes names, since the names of folders may be spelled otherwise.
    return name.lower().replace("-", "_").replace(".", "_")


def _distributions(folder: str) -> Mapping[str, str]:
    """The versions of the distributions in one folder.

    A thousand steps ask for them, so they are listed once for each state of the folder.
    """
    return _of_state(folder, _listed_distributions)


_Found = TypeVar("_Found")


def _of_state(
    folder: str, listed: _lru_cache_wrapper[Mapping[str, _Found]]
) -> Mapping[str, _Found]:
    try:
        changed_ns = os.stat(folder).st_mtime_ns
        # Not cached within a clock tick of a change: another one could leave the same time.
        if time.time_ns() - changed_ns <= SETTLED_NS:
            return listed.__wrapped__(folder, changed_ns)
        return listed(folder, changed_ns)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _listed_distributions(folder: str, _changed_ns: int) -> Mapping[str, str]:
    found = {}
    # By the names of folders alone: to open a file of each package takes many times as long.
    for name in os.listdir(folder):
        if name.endswith(".dist-info"):
            distribution, _, version = name.removesuffix(".dist-info").partition("-")
            found[_plain(distribution)] = version
    return found


@lru_cache(maxsize=256)
def _listed_modules(folder: str, _changed_ns: int) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for entry in os.listdir(folder):
        name, _, suffix = entry.partition(".")
        form = _SUFFIXES.get(suffix)
        # Extensions mostly name their ABI before the suffix: `name.cpython-311-x86_64.so`.
        if form is None and suffix.endswith((".so", ".pyd")):
            form = "extension"
        if form is not None:
            found.setdefault(name, set()).add(form)
    return {name: frozenset(forms) for name, forms in found.items()}
