"""What parameters, imports and functions cells made: whether it is what it was, and where it is.

Every step runs these cells, so a value names what they made instead of holding it, as long as
nobody changed it. What was changed is a value like any other.

The function `find` stands in stored values by its name.
"""

from __future__ import annotations

import types
from typing import Any

from .walks import Walk

CONTAINERS = (list, dict, set, frozenset, bytearray)
"""Pickle does not ask how exact instances of these are written: a persistent id names them."""

made: dict[str, Walk] = {}
"""What each name of those cells led to when they had run.

This and the next ones are the kernel's own, filled by `remember` and `changed_names`.
"""
addresses: dict[int, tuple[str, int]] = {}
"""Where each object is found again, by its id: a name, and the number in its walk.

Only what is as it was.
"""
moved: dict[str, dict[int, Any]] = {}
"""Of names that arrived as values, the objects in the place of those that this kernel's cells made.

By number in the name's walk.
"""
bound_before: set[str] = set()
"""All names that the cells before the step's own bound."""
containers: set[int] = set()
"""Those of the addresses that only a persistent id can name."""


def remember(space: dict[str, Any], names: Any) -> None:
    """Take note of what these names lead to now that all cells before the step's own have run."""
    made.clear()
    moved.clear()
    addresses.clear()
    bound_before.clear()
    bound_before.update(space)
    for name in sorted(names):
        if name in space:
            made[name] = Walk(space[name])
    note_addresses(made)


def changed_names(space: dict[str, Any]) -> tuple[set[str], set[str]]:
    """The names that lead to something else than they did; those for which only calls were counted.

    The second are part of the first. A name that was deleted is only in the first.
    """
    different: set[str] = set()
    called: set[str] = set()
    unchanged: dict[str, Walk] = {}
    addresses.clear()
    for name, before in made.items():
        if name not in space:
            different.add(name)
            continue
        now = Walk(space[name])
        if not before.is_like(now):
            different.add(name)
        elif before.calls != now.calls:
            called.add(name)
        else:
            unchanged[name] = before
    note_addresses(unchanged)
    return different | called, called


def names_sharing_objects(
    space: dict[str, Any], requested: set[str], different: set[str]
) -> set[str]:
    """Those of the `different` names that share objects with the `requested` ones.

    One's own object is among those that the other leads to: of `log = REGISTRY`, both.
    """
    if not requested:
        return set()
    walks: dict[str, Walk] = {}
    for name in different:
        # classes and functions are named by where they were defined, and share by that
        if name in space and not isinstance(space[name], (type, types.FunctionType)):
            walks[name] = Walk(space[name])

    found: set[str] = set()
    pending = list(requested & walks.keys())
    while pending:
        one = walks[pending.pop()]
        for name, other in walks.items():
            shares = other.root in one.numbers or one.root in other.numbers
            if shares and name not in found:
                found.add(name)
                pending.append(name)
    return found - requested


def note_addresses(walks: dict[str, Walk]) -> None:
    """Note where objects are found again, rather by their own name than through another."""
    addresses.clear()
    containers.clear()
    found: list[Any] = []
    for name, walk in walks.items():
        for key, number in walk.numbers.items():
            if key not in walk.unordered:
                obj = walk.objects[number]
                found.append((detour(name, number, obj), name, number, key, type(obj)))

    found.sort(key=lambda entry: entry[:3])
    for _, name, number, key, kind in found:
        if kind is tuple or kind is frozenset:
            continue  # equal ones are interchangeable, and Python may share them
        addresses.setdefault(key, (name, number))
        if kind in CONTAINERS:
            containers.add(key)


def detour(name: str, number: int, obj: Any) -> int:
    """How far an object is from a name: 0 its own, 1 another name of a definition, 2 behind it."""
    if number:
        return 2
    is_definition = isinstance(obj, (type, types.FunctionType))
    if is_definition and obj.__name__ != name:
        return 1
    return 0


def find(name: str, number: int) -> Any:
    """The object at that address."""
    # the name came as a value: what it held here when the first cells had run is another object
    if number in moved.get(name, ()):
        return moved[name][number]
    walk = made.get(name)
    if walk is None or number >= len(walk.objects):
        raise LookupError("what the notebook's cells made as `" + name + "` is not there")
    return walk.objects[number]


STANDING_FOR = "what stands for "
"""How the entries of a group begin that say where objects went; no variable has such a name."""


def replacements(values: dict[str, Any], ids_of_objects: Any) -> dict[str, Any]:
    """For each changed value, what it still holds of the objects that others name by addresses.

    `ids_of_objects` gives the ids of all objects in the values; it is asked if something changed.
    """
    different = []
    for name, value in values.items():
        if name in made and id(value) not in addresses:
            different.append(name)
    if not different:
        return {}
    ids = ids_of_objects()
    found: dict[str, Any] = {}
    for name in different:
        objects = dict(enumerate(made[name].objects))
        objects.update(moved.get(name, {}))
        # a tuple has no address: equal ones are interchangeable
        kept = {
            number: one
            for number, one in objects.items()
            if id(one) in ids and not isinstance(one, tuple)
        }
        if kept:
            found[STANDING_FOR + name] = kept
    return found


def take_replacements(group: dict[str, Any]) -> None:
    """Note where the objects of the group's names are now."""
    for key, objects in group.items():
        if key.startswith(STANDING_FOR):
            moved[key[len(STANDING_FOR) :]] = objects
