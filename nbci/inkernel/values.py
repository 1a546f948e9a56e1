"""Loads values before a step's own cells, and saves them after.

What was not changed is handed on as it is: by its reference, without being written again.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import sys
from typing import TYPE_CHECKING, Any

from . import definitions
from .forms import Refused
from .pickling import main, state
from .sharing import Groups, Parts, Probe
from .untouched import LoadedGroup, MappedFile, Picture
from .value_files import Files, Mapped, has_file
from .walks import Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

loaded: dict[tuple[str, ...], LoadedGroup] = {}
"""The values that the step both takes and gives, as they were loaded, by the names of each file.

`load` fills it for `save`: both are called in the same kernel, with the step's cells between them.
"""

called_before: dict[str, Walk] = {}
"""Functions with a cache that only calls had changed when they came, and all that they lead to."""


@contextlib.contextmanager
def collection_paused() -> Iterator[None]:
    """Switch the garbage collector off for a while.

    Millions of objects are made here, and none is garbage: looking for it takes longer than all the
    rest.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


# ---------------------------------------------------------------------------------------------
# load


@collection_paused()
def load(  # noqa: PLR0917  # called with a JSON document, by name
    folder: str,
    takes: list[Any],
    gives: list[Any],
    by_reference: list[Any],
    step: str,
    verified: list[str],
) -> dict[str, Any]:
    """Put the named values into the user's namespace; `verified` are the digests that hold.

    `takes` are names, digests, whether only cached functions were called, and names that the bytes
    refer to. `by_reference` are the names that the cells before the step's own bind.
    """
    whole = frozenset(verified)
    wanted_back = frozenset(gives)
    state["step"] = step
    # A step without values needs no walk over what its first cells made.
    definitions.remember(main(), by_reference if takes or gives else ())
    arrived: dict[str, Any] = {}
    loaded.clear()
    for digest, names in loading_order(takes):
        try:
            mapped = Mapped(folder, digest, digest in whole)
            group = mapped.load()
            definitions.take_replacements(group)
            arrived.update(pick(group, names))
        except Refused as error:
            return {"integrity": str(error), "names": names}
        except Exception as error:  # noqa: BLE001  # user code can raise anything
            return {"unloadable": type(error).__name__ + ": " + str(error), "names": names}
        remember_loaded(mapped, pick(group, sorted(wanted_back.intersection(names))))

    # all at once, when all are read: a step that cannot begin has none of them
    main().update(arrived)
    remember_called(takes, arrived)
    for walk in definitions.made.values():
        walk.release_arrays()
    return {}


def remember_called(takes: list[Any], arrived: dict[str, Any]) -> None:
    """Remember the functions that only calls have changed: `save` looks what else did."""
    called_before.clear()
    for name, _, only_called, _ in takes:
        if only_called:
            called_before[name] = Walk(arrived[name])


def pick(values: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The values of these names, which are all there."""
    return {name: values[name] for name in names}


def loading_order(takes: list[Any]) -> Iterator[tuple[str, list[str]]]:
    """The digests and their names: what others refer to comes before them."""
    names: dict[str, list[str]] = {}
    refers: dict[str, set[str]] = {}
    for name, digest, _, refs in sorted(takes):
        names.setdefault(digest, []).append(name)
        refers.setdefault(digest, set()).update(refs)

    pending = sorted(names)
    while pending:
        ready = digests_without_pending_refs(pending, names, refers)
        # files that refer to each other have no order: one of them begins
        chosen = ready or pending[:1]
        for digest in chosen:
            yield digest, names[digest]
        pending = [digest for digest in pending if digest not in chosen]


def digests_without_pending_refs(
    pending: list[str], names: dict[str, list[str]], refers: dict[str, set[str]]
) -> list[str]:
    """The pending files that refer to no other pending one."""
    file_of: dict[str, str] = {}
    for digest in pending:
        file_of.update(dict.fromkeys(names[digest], digest))
    ready = []
    for digest in pending:
        targets = set(map(file_of.get, refers[digest]))
        # None: what it refers to is loaded already, or was made by the notebook's cells
        if targets <= {digest, None}:
            ready.append(digest)
    return ready


def remember_loaded(mapped: Mapped, values: dict[str, Any]) -> None:
    """Remember values of one file as they are now, so that `save` can tell whether they changed."""
    if not values:
        return
    files = []
    if mapped.count and "numpy" in sys.modules:
        files.append(MappedFile(mapped.path, mapped.data))
    loaded[tuple(values)] = LoadedGroup(Picture(values), files)


# ---------------------------------------------------------------------------------------------
# save


@collection_paused()
def save(  # noqa: PLR0917  # called with a JSON document, by name
    folder: str,
    takes: list[Any],
    gives: list[str],
    optional: list[str],
    secrets: list[str],
    step: str,
    blake3: list[str],
) -> dict[str, Any]:
    """Save the values of `gives`; references that were loaded and did not change are returned.

    `takes` are these references. `optional` may be missing; and what the cells before the step's
    own made is not saved as long as it is what it was. `undigested` in the answer names files that
    are still to be named by their digests; see `Files`. `lost` are changes that are not handed on.
    """
    state["step"] = step
    files = Files(folder, blake3)
    answer: dict[str, Any] = {}
    try:
        answer = save_to(files, takes, gives, optional, secrets)
    finally:
        # files without a digest have no name by which anything could find them
        if "gives" not in answer:
            files.discard()
    return answer


def save_to(
    files: Files, takes: list[Any], gives: list[str], optional: list[str], secrets: list[str]
) -> dict[str, Any]:
    missing = list(itertools.filterfalse(main().__contains__, gives))
    if missing:
        return {"missing": missing}
    taken = {ref["name"]: ref for ref in takes}
    different, called = definitions.changed_names(main())
    as_made = set(definitions.made) - different

    # a changed name that shares objects with a wanted one is given, too: else the next step would
    # have the object twice
    requested = different.intersection((*gives, *optional))
    sharing = definitions.names_sharing_objects(main(), requested, different)
    optional = sorted({*optional, *sharing} - {*gives})
    wanted = list(gives)
    for name in optional:
        if name in taken or name not in as_made:
            wanted.append(name)
    found = Collected(wanted, as_made, files.folder, taken)

    made_by_every_step = different | (definitions.bound_before - taken.keys())
    lost, unsaveable = split_problems(found.problems, made_by_every_step.intersection(optional))
    if unsaveable:
        return {"unsaveable": unsaveable}

    refs, failure = write_groups(files, found, taken, secrets)
    if failure is not None:
        return failure
    called |= names_only_called(found.values)
    for ref in refs:
        if ref["name"] in called:
            ref["called"] = True
    deleted = sorted(taken.keys() - main().keys())
    return {"gives": refs, "undigested": files.undigested, "lost": lost, "deleted": deleted}


def split_problems(problems: list[Any], tolerable: set[str]) -> tuple[list[Any], list[Any]]:
    """The problems with names that a step can do without, and the others."""
    lost, unsaveable = [], []
    for problem in problems:
        if problem["name"] in tolerable:
            lost.append(problem)
        else:
            unsaveable.append(problem)
    return lost, unsaveable


def write_groups(
    files: Files, found: Collected, taken: dict[str, Any], secrets: list[str]
) -> tuple[list[Any], dict[str, Any] | None]:
    """Write what changed; the references of all values, and the answer that says what failed."""
    values, same = found.values, found.same
    groups = Groups({**found.probes, **same})
    refs: list[Any] = []
    for names in groups.names:
        if is_one_unchanged_file(names, same):
            refs.extend(pick(taken, names).values())
            continue
        stream = groups.stream_of(names, values)
        # before anything is written: a file in the cache would outlive the refusal
        if stream.holds(secrets):
            return refs, {"secret": names_with_secrets(names, values, secrets)}
        try:
            digest, size = files.write(stream)
        except OSError as error:
            why = error.strerror or str(error)
            failed = names_and_types(names, values)
            return refs, {"unwritten": failed, "folder": files.folder, "why": why}
        common = {
            "object": digest,
            "bytes": size,
            "group": names,
            "refs": stream.refs,
            "reads": stream.reads,
        }
        for entry in names_and_types(names, values):
            refs.append({**entry, **common})
    return refs, None


def is_one_unchanged_file(names: tuple[str, ...], same: dict[str, Parts]) -> bool:
    """Whether all names came in one file, and none of them was changed.

    `unchanged_values` gives the names of one file the very same `Parts`.
    """
    if not same.keys() >= set(names):
        return False
    return len(set(map(id, map(same.__getitem__, names)))) == 1


def names_only_called(values: dict[str, Any]) -> set[str]:
    """The values that came as "only called", and of which that is still so."""
    found = set()
    for name, walk in called_before.items():
        if name in values and walk.is_like_now(values[name]):
            found.add(name)
    return found


class Collected:
    """The values of the wanted names, and of those that functions in them read when called.

    Those of `same` are what they were when they came; `probes` are trial dumps of the others;
    `problems` are the names that cannot be dumped.
    """

    def __init__(
        self, wanted: list[str], as_made: set[str], folder: str, taken: dict[str, Any]
    ) -> None:
        self.values: dict[str, Any] = {}
        self.same: dict[str, Parts] = {}
        self.probes: dict[str, Any] = {}
        self.problems: list[Any] = []
        while wanted:
            found = pick(main(), filter(main().__contains__, wanted))
            # The cache may have lost a file that is still mapped here: then it is written again.
            same = unchanged_values(found)
            for name in list(same):
                if not has_file(folder, taken[name]["object"]):
                    del same[name]
            probes, problems = probes_of(pick(found, found.keys() - same.keys()))

            self.values.update(found)
            self.same.update(same)
            self.probes.update(probes)
            self.problems += problems
            reads: set[str] = set()
            for parts in (*same.values(), *probes.values()):
                reads |= parts.reads
            # what the first cells made and nobody changed is there in every step
            wanted = sorted((reads - self.values.keys() - as_made) & main().keys())


def probes_of(values: dict[str, Any]) -> tuple[dict[str, Probe], list[Any]]:
    """A trial dump of each value; and the names that cannot be dumped, with type and reason."""
    probes, problems = {}, []
    for name, value in sorted(values.items()):
        try:
            probes[name] = Probe(name, value)
        except Refused as error:
            problems.append({"name": name, "type": type_name(value), "why": str(error)})
        except Exception as error:  # noqa: BLE001  # user code can raise anything
            why = type(error).__name__ + ": " + str(error)
            problems.append({"name": name, "type": type_name(value), "why": why})
    return probes, problems


def unchanged_values(values: dict[str, Any]) -> dict[str, Parts]:
    """The names whose values are what they were when they came, and what these are made of.

    All names that came in one file have the same `Parts`.
    """
    same: dict[str, Parts] = {}
    for names, group in loaded.items():
        if not values.keys() >= set(names):
            continue
        # what cannot be dumped any more was changed; its probe says how
        with contextlib.suppress(Exception):
            picture = Picture(pick(values, names))
            if group.equals(picture):
                same.update(dict.fromkeys(names, picture.parts()))
    return same


def names_with_secrets(
    names: tuple[str, ...], values: dict[str, Any], secrets: list[Any]
) -> list[Any]:
    """The names of a refused group whose own bytes hold a secret."""
    holders = []
    for name in names:
        # too large for a probe to keep it: then the name is among those that may hold it
        stream = Probe(name, values[name]).stream
        if stream is None or stream.holds(secrets):
            holders.append(name)
    return names_and_types(holders or names, values)


def names_and_types(names: Any, values: dict[str, Any]) -> list[Any]:
    return [{"name": name, "type": type_name(values[name])} for name in names]


def type_name(value: Any) -> str:
    """The type as people write it: without the module of builtins and of cells."""
    kind = type(value)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return kind.__module__ + "." + kind.__qualname__
