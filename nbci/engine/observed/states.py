"""How the things that a step was seen to use stand now, a function for each kind of them.

The functions tell the state at a step's end, and again before its result is reused. `kinds` has the
list of the kinds, each with its function.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dot_nbci import NBCI_FOLDER
from nbci.engine.observed.import_folders import distributions, forms_of, plain_name
from nbci.engine.observed.process_inputs import text_digest, umask_now, variable_state
from nbci.store.environments import environment_key, lock_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.records.run_record import Part
    from nbci.store.file_index import FileIndex

GONE = "gone"
OF_TOOLS = frozenset((".git", NBCI_FOLDER, ".dvc", ".ipynb_checkpoints", "__pycache__"))
"""Folders that tools keep beside a project's files; whether they are there tells a step nothing."""
_JUST_A_FOLDER = "type=folder"


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


def stamp(surroundings: Surroundings, part: Part) -> str:
    """Size and time of a file that is too large to be read for each step."""
    try:
        found = os.stat(surroundings.place(part.label))
    except OSError:
        return GONE
    return f"{found.st_size}-{found.st_mtime_ns}"


def never_same(_: Surroundings, part: Part) -> str:
    """For what nothing can be compared with."""
    return f"not {part.digest}"


def as_noted(_: Surroundings, part: Part) -> str:
    """For what cannot be compared, or is compared by others."""
    return part.digest


def locked_digest(surroundings: Surroundings, part: Part) -> str:
    try:
        return environment_key(surroundings.root, part.label)
    except OSError:
        return GONE


def package_version(surroundings: Surroundings, part: Part) -> str:
    wanted = plain_name(part.label)
    # In the order of the path: an import takes the first folder that has it.
    for other in surroundings.parts:
        if other.kind != "site":
            continue
        version = distributions(other.label).get(wanted)
        if version is not None:
            return version
    return GONE


def content(surroundings: Surroundings, part: Part) -> str:
    """The digest of a file's bytes."""
    place = surroundings.place(part.label)
    try:
        # Only regular files: to read from a pipe or a device could block, and changes its state.
        if not stat.S_ISREG(os.stat(place).st_mode):
            return GONE
        return surroundings.index.digest(place)[0]
    except OSError:
        return GONE


def presence(surroundings: Surroundings, part: Part) -> str:
    # A link that leads nowhere is there, too: code that makes a file at its place follows it.
    if os.path.lexists(surroundings.place(part.label)):
        return "there"
    return GONE


def listing(surroundings: Surroundings, part: Part) -> str:
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


def facets(surroundings: Surroundings, part: Part) -> str:
    state = facets_of(surroundings.place(part.label), _names_in_state(part.digest))
    # The folders that its outs lie in are made before the step begins, in a fresh checkout, too.
    holds_outs = any(path.startswith(f"{part.label}/") for path in surroundings.own)
    if state == GONE and part.digest == _JUST_A_FOLDER and holds_outs:
        return _JUST_A_FOLDER
    return state


def _names_in_state(state: str) -> list[str]:
    """The names of a state that is written as `name=value name=value`."""
    return [word.partition("=")[0] for word in state.split()]


def link_target(surroundings: Surroundings, part: Part) -> str:
    try:
        return os.readlink(surroundings.place(part.label))
    except OSError:
        return GONE


def import_forms(surroundings: Surroundings, part: Part) -> str:
    return forms_of(surroundings.place(part.label), _names_in_state(part.digest))


def variable(surroundings: Surroundings, part: Part) -> str:
    return variable_state(part.label, surroundings.environ)


def step_name(surroundings: Surroundings, _: Part) -> str:
    return surroundings.step


def project_folder(surroundings: Surroundings, part: Part) -> str:
    if str(surroundings.root) == part.label:
        return ""
    return "elsewhere"


def umask(_: Surroundings, part: Part) -> str:
    return umask_now()


def itself(surroundings: Surroundings, part: Part) -> Iterator[str]:
    """For what is a file or folder: its own entry in the file system shows a change."""
    yield surroundings.place(part.label)


def program(_: Surroundings, part: Part) -> str:
    # Imported late: a run whose steps all have an environment of their own needs no such search.
    from nbci.kernels.specs import program_of

    return program_of(part.label) or GONE


def specifications(_: Surroundings, part: Part) -> Iterator[str]:
    from nbci.kernels.specs import specification_places

    yield from specification_places(part.label)


def lock_paths(surroundings: Surroundings, part: Part) -> Iterator[str]:
    yield from map(str, lock_files(surroundings.root, part.label))


def module_places(surroundings: Surroundings, part: Part) -> Iterator[str]:
    """A folder on the path, and those in it that are packages or would become some."""
    folder = surroundings.place(part.label)
    yield folder
    for word in part.digest.split():
        name, _, form = word.partition("=")
        if form in ("package", "namespace"):
            yield os.path.join(folder, name)
