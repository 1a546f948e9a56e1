"""Loads values before a step's own cells, and saves them after: what was not changed is handed on
as it is.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING, Any

from . import definitions
from .forms import Refused
from .pickling import main, state
from .sharing import Groups, Parts, Probe
from .untouched import Kept, MappedFile, Picture
from .value_files import Files, Mapped, has_file

if TYPE_CHECKING:
    from collections.abc import Iterator

loaded: dict[tuple[str, ...], Kept] = {}
"""What loading leaves for saving: the values that the step both takes and gives, by the names that
came together.
"""

called_before: dict[str, definitions.Walk] = {}
"""Functions with a cache that only calls had changed when they came, and all that they lead to."""


@contextlib.contextmanager
def no_collecting() -> Iterator[None]:
    """Millions of objects are made here, and none is garbage: looking for it takes longer than all
    the rest.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@no_collecting()
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
    seen = frozenset(verified)
    state["step"] = step
    definitions.remember(main(), by_reference if takes or gives else ())
    arrived: dict[str, Any] = {}
    loaded.clear()
    for digest, names in in_order(takes):
        try:
            mapped = Mapped(folder, digest, digest in seen)
            group = mapped.load()
            definitions.take_places(group)
            arrived.update({name: group[name] for name in names})
        except Refused as error:
            return {"integrity": str(error), "names": names}
        except Exception as error:  # noqa: BLE001  # user code can raise anything
            return {"unloadable": type(error).__name__ + ": " + str(error), "names": names}
        keep(mapped, {name: group[name] for name in sorted(names) if name in set(gives)})
    main().update(arrived)
    called_before.clear()
    called_before.update({take[0]: definitions.Walk(arrived[take[0]]) for take in takes if take[2]})
    for walk in definitions.made.values():
        walk.let_go()
    return {}


def in_order(takes: list[Any]) -> Iterator[tuple[str, list[str]]]:
    """The digests and their names: what others refer to comes before them."""
    names: dict[str, list[str]] = {}
    refers: dict[str, set[str]] = {}
    for name, digest, _, refs in sorted(takes):
        names.setdefault(digest, []).append(name)
        refers.setdefault(digest, set()).update(refs)
    pending = sorted(names)
    while pending:
        here = {name: digest for digest in pending for name in names[digest]}
        ready = [one for one in pending if {here.get(name, one) for name in refers[one]} <= {one}]
        chosen = ready or pending[:1]
        yield from ((digest, names[digest]) for digest in chosen)
        pending = [digest for digest in pending if digest not in chosen]


def keep(mapped: Mapped, values: dict[str, Any]) -> None:
    """Remember values of one file as they are now, so that saving can tell whether they were
    changed.
    """
    if values:
        files = (
            [MappedFile(mapped.path, mapped.data)]
            if mapped.count and "numpy" in sys.modules
            else []
        )
        loaded[tuple(values)] = Kept(Picture(values), files)


@no_collecting()
def save(  # noqa: PLR0917  # called with a JSON document, by name
    folder: str,
    takes: list[Any],
    gives: list[str],
    optional: list[str],
    secrets: list[str],
    step: str,
    blake3: list[str],
) -> dict[str, Any]:
    """Save the values of `gives`; `takes` are the references that were loaded, returned for what
    did not change.

    `optional` may be missing; and what the cells before the step's own made is not saved as long as
    it is what it was. `undigested` in the answer names files that are still to be named by their
    digests; see `Files`. `warnings` tells of changes that cannot be handed on.
    """
    state["step"] = step
    files = Files(folder, blake3)
    answer: dict[str, Any] = {}
    try:
        answer = saved(files, takes, gives, optional, secrets)
    finally:
        if "gives" not in answer:
            files.discard()
    return answer


def saved(
    files: Files, takes: list[Any], gives: list[str], optional: list[str], secrets: list[str]
) -> dict[str, Any]:
    missing = [name for name in gives if name not in main()]
    if missing:
        return {"missing": missing}
    taken = {ref["name"]: ref for ref in takes}
    different, called = definitions.changed(main())
    as_made = set(definitions.made) - different
    asked = different.intersection((*gives, *optional))
    optional = sorted({*optional, *definitions.sharing(main(), asked, different)} - {*gives})
    wanted = [*gives, *(name for name in optional if name in taken or name not in as_made)]
    found = Collected(wanted, as_made, files.folder, taken)
    values, same, probes = found.values, found.same, found.probes
    anyway = different | (definitions.there - taken.keys())
    lost = [one for one in found.problems if one["name"] in anyway and one["name"] in set(optional)]
    if len(lost) < len(found.problems):
        return {"unsaveable": [one for one in found.problems if one not in lost]}
    groups = Groups({**probes, **same})
    refs: list[Any] = []
    for names in groups.names:
        if all(name in same for name in names) and len({id(same[name]) for name in names}) == 1:
            refs.extend(taken[name] for name in names)
            continue
        stream = groups.dumped(names, values)
        if stream.holds(secrets):
            return {"secret": culprits(names, values, secrets)}
        try:
            digest, size = files.write(stream)
        except OSError as error:
            return {
                "unwritten": described(names, values),
                "folder": files.folder,
                "why": error.strerror or str(error),
            }
        common = {
            "object": digest,
            "bytes": size,
            "group": names,
            "refs": stream.refs,
            "reads": stream.reads,
        }
        refs.extend({"name": name, "type": qualified(values[name]), **common} for name in names)
    called |= {
        name
        for name, walk in called_before.items()
        if name in values and walk.is_like_now(values[name])
    }
    for ref in refs:
        if ref["name"] in called:
            ref["called"] = True
    deleted = sorted(taken.keys() - main().keys())
    return {"gives": refs, "undigested": files.undigested, "lost": lost, "deleted": deleted}


class Collected:
    """The values of the wanted names, and of those that functions in them look up when they are
    called.

    Those of `same` are what they were when they came; `problems` are the names that cannot be
    dumped.
    """

    def __init__(
        self, wanted: list[str], as_made: set[str], folder: str, taken: dict[str, Any]
    ) -> None:
        self.values: dict[str, Any] = {}
        self.same: dict[str, Parts] = {}
        self.probes: dict[str, Any] = {}
        self.problems: list[Any] = []
        while wanted:
            found = {name: main()[name] for name in wanted if name in main()}
            same = unchanged(found)
            same = {
                name: parts
                for name, parts in same.items()
                if has_file(folder, taken[name]["object"])
            }
            probes, problems = probed(
                {name: value for name, value in found.items() if name not in same}
            )
            self.values.update(found)
            self.same.update(same)
            self.probes.update(probes)
            self.problems += problems
            reads = {name for parts in (*same.values(), *probes.values()) for name in parts.reads}
            wanted = sorted((reads - self.values.keys() - as_made) & main().keys())


def probed(values: dict[str, Any]) -> tuple[dict[str, Probe], list[Any]]:
    """What a trial dump shows of each value; and the names that cannot be dumped, with type and
    reason.
    """
    probes, problems = {}, []
    for name, value in sorted(values.items()):
        try:
            probes[name] = Probe(name, value)
        except Exception as error:  # noqa: BLE001  # user code can raise anything
            why = (
                str(error)
                if isinstance(error, Refused)
                else type(error).__name__ + ": " + str(error)
            )
            problems.append({"name": name, "type": qualified(value), "why": why})
    return probes, problems


def unchanged(values: dict[str, Any]) -> dict[str, Parts]:
    """The names whose values are what they were when they came, and what the values that came
    together are made of.
    """
    same = {}
    for names, kept in loaded.items():
        if all(name in values for name in names):
            with contextlib.suppress(
                Exception
            ):  # what cannot be dumped any more was changed; its probe says how
                picture = Picture({name: values[name] for name in names})
                same.update(dict.fromkeys(names, picture.parts()) if kept.equals(picture) else {})
    return same


def culprits(names: tuple[str, ...], values: dict[str, Any], secrets: list[Any]) -> list[Any]:
    """The names of a refused group whose own bytes hold a secret."""
    holders = []
    for name in names:
        stream = Probe(name, values[name]).dumped
        if stream is None or stream.holds(secrets):
            holders.append(name)
    return described(holders or names, values)


def described(names: Any, values: dict[str, Any]) -> list[Any]:
    return [{"name": name, "type": qualified(values[name])} for name in names]


def qualified(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "."
    return module + kind.__qualname__
