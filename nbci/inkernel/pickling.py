"""The pickler of values: it knows the notebook, and gives arrays a form that can be mapped."""

from __future__ import annotations

import builtins
import io
import os
import sys
import tempfile
import types
from typing import TYPE_CHECKING, Any

from . import definitions, forms, learning, objects
from .forms import Refused
from .reconstruction import checked_form
from .walks import CELL, is_importable

if TYPE_CHECKING:
    from collections.abc import Iterable

CELL_FILES = (os.path.join(tempfile.gettempdir(), "ipykernel_"), "<ipython-input-")
"""How the names of cells' code begin: with the process id or a count, and digests must repeat."""

state: dict[str, Any] = {"step": ""}
"""The step that runs: set by `values` before anything is dumped or loaded."""


def main() -> dict[str, Any]:
    space: dict[str, Any] = sys.modules["__main__"].__dict__
    return space


def main_globals() -> dict[str, Any]:
    """The globals of functions of the notebook after loading; stored values name this function."""
    return main()


class MainGlobals:
    """Stands for the notebook's namespace in a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (main_globals, ())


def set_function(function: Any, parts: tuple[Any, ...]) -> None:
    """Fill in a function as cloudpickle does, but keep names that the notebook has already.

    `parts` are attributes, what cloudpickle sets besides, and contents of cells. Values of earlier
    versions have no third part.
    """
    from cloudpickle.cloudpickle import _function_setstate  # type: ignore[import-untyped]  # untyped

    plain, slots = parts[:2]
    slots = dict(slots)
    contents: tuple[Any, ...] = ()
    if len(parts) > 2:
        contents = parts[2]
    # An empty cell stays empty: its name was not bound yet.
    for cell, held in zip(function.__closure__ or (), contents):
        if held:
            cell.cell_contents = held[0]
    if function.__globals__ is main():
        for name, value in slots.get("__globals__", {}).items():
            if name != "__builtins__":
                function.__globals__.setdefault(name, value)
        slots["__globals__"] = {}
    _function_setstate(function, (plain, slots))


class Reductions:
    """What a pickler that knows the notebook does otherwise than cloudpickle's, its other base.

    `refs` are the names of what the notebook's cells made that is only named; `reads` the names
    that functions in the value look up when they are called; `copied` the bytes of arrays that had
    to be copied; `seen` the ids of what is not part of the value, such as what pandas tables share
    among themselves; `held` those of the classes and functions that it holds.
    """

    dispatch_table: Any
    reduce_as_cloudpickle: Any

    def __init__(self, file: Any, buffers: Any, shared: Any, picture: Any) -> None:
        # Protocol 5 is the first with buffers apart (PEP 574), so that arrays need not be copied.
        options = {"protocol": 5, "buffer_callback": buffers}
        super().__init__(file, **options)  # type: ignore[call-arg]  # of cloudpickle's pickler
        self.shared = shared
        self.picture = picture
        self.refs: set[str] = set()
        self.reads: set[str] = set()
        self.copied = 0
        self.seen: set[int] = set()
        self.held: set[int] = set()
        self.checked: set[type] = set()

    def reducer_override(self, obj: Any) -> Any:
        address = definitions.addresses.get(id(obj))
        if address is not None:
            return definitions.find, self.note_address(address, obj)
        if isinstance(obj, (type, types.FunctionType)):
            return self.reduce_definition(obj)
        if isinstance(obj, CELL):
            return objects.empty_cell, ()
        if isinstance(obj, types.CodeType) and obj.co_filename.startswith(CELL_FILES):
            obj = obj.replace(co_filename="<step " + state["step"] + ">")
            return self.dispatch_table[types.CodeType](obj)
        # pickle says "cannot pickle '_io.TextIOWrapper' object", which helps nobody.
        if isinstance(obj, io.IOBase) and not isinstance(obj, (io.StringIO, io.BytesIO)):
            raise Refused("an open file belongs to the process that opened it")
        special = special_form(self, obj)
        if special is not None:
            return special
        return self.reduce_as_cloudpickle(obj)

    def note_address(self, address: tuple[str, int], obj: Any) -> tuple[str, int]:
        """Note that the object is only named; its address."""
        if address[0] not in self.refs:
            self.refs.add(address[0])
            self.reads |= names_behind({address[0]})
        self.seen.add(id(obj))
        return address

    def reduce_definition(self, obj: Any) -> Any:
        from cloudpickle import cloudpickle as inner  # type: ignore[import-untyped]  # has no types

        special = objects.form_of_definition(obj)
        if special is not None:
            self.held.add(id(obj))
            return special
        if isinstance(obj, type) and obj.__module__ == "__main__":
            repeatable_id(obj)
        reduced = self.reduce_as_cloudpickle(obj)
        if not isinstance(reduced, tuple) or len(reduced) != 6:
            return reduced
        self.held.add(id(obj))
        if isinstance(obj, types.FunctionType):
            return self.reduce_function(obj, reduced)
        if reduced[0] is inner._make_skeleton_class:
            attributes, slots = reduced[2]
            own = {**objects.own_attributes(obj), **attributes}
            return (objects.class_without_effects, reduced[1], (own, slots), *reduced[3:])
        return reduced

    def reduce_function(self, function: Any, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        code, space, *settings, _ = reduced[1]
        plain, slots = reduced[2]
        slots = {**slots, "__closure__": None}
        if function.__globals__ is main():
            space = MainGlobals()
            slots["__globals__"] = self.imported_globals(function, slots["__globals__"])
        contents = tuple(map(objects.content_of, function.__closure__ or ()))
        arguments = (code, space, *settings, function.__closure__)
        return (reduced[0], arguments, (plain, slots, contents), None, None, set_function)

    def imported_globals(self, function: Any, found: dict[str, Any]) -> dict[str, Any]:
        """The globals that come with the function; others are values, or made in every step."""
        names = names_read_by(function)
        known = names & main().keys()
        unknown = names - known - vars(builtins).keys()
        imported = {name for name in known if is_imported(main()[name])}
        self.reads |= unknown | (known - imported)
        self.refs |= names & definitions.made.keys()
        self.reads |= names_behind(names)
        return {name: value for name, value in found.items() if name in imported}


def pickler(
    file: Any, buffers: Any, shared: Any = (), picture: Any = None, named: bool = False
) -> Any:
    """A cloudpickle pickler that knows the notebook; what it has afterwards says `Reductions`.

    Its class is made here, since cloudpickle may arrive after this module. `shared` are ids of
    numpy base arrays whose views keep sharing. `picture` takes note of the large arrays instead of
    writing them, in a form that reading a table does not change. `named`: plain lists and the like
    that the notebook's cells made are named, too.
    """
    # nbci imports it, not the step, so it is none of what the step was seen to use.
    if "cloudpickle" not in sys.modules and "_nbci.facts" in sys.modules:
        sys.modules["_nbci.facts"].baseline.add("cloudpickle")
    import cloudpickle

    class Pickler(Reductions, cloudpickle.Pickler):  # type: ignore[misc]  # untyped
        # a name of its own: `super()` costs more, and a value may have millions of objects
        reduce_as_cloudpickle = cloudpickle.Pickler.reducer_override

    # Only then: with this method, pickle calls into Python for each object of the value.
    if named:

        def persistent_id(self: Any, obj: Any) -> Any:
            if id(obj) in definitions.containers:
                return self.note_address(definitions.addresses[id(obj)], obj)
            return None

        Pickler.persistent_id = persistent_id
    return Pickler(file, buffers, shared, picture)


def special_form(pickler: Any, obj: Any) -> Any:
    """How the object is reduced by one of our forms; None: as it says itself.

    That it can be read again is checked once for each type.
    """
    special = forms.form_of(pickler, obj)
    if special is None:
        special = learning.form_of(obj)
    if special is None:
        special = objects.form_of(obj)
    # A picture is taken at each cell, and nothing is read from it again.
    if special is None and pickler.picture is None and type(obj) not in pickler.checked:
        pickler.checked.add(type(obj))
        if type(obj) not in pickler.dispatch_table:
            special = checked_form(obj)
    return special


def names_behind(names: Iterable[str]) -> set[str]:
    """The names that functions read when called, behind names of the notebook's cells."""
    found: set[str] = set()
    pending, seen = list(names), set()
    while pending:
        name = pending.pop()
        # Functions may call each other in a circle.
        if name in seen or name not in definitions.made:
            continue
        seen.add(name)
        for obj in definitions.made[name].objects:
            if isinstance(obj, types.FunctionType) and obj.__globals__ is main():
                reads = names_read_by(obj)
                for one in reads & main().keys():
                    if not is_imported(main()[one]):
                        found.add(one)
                pending += reads
    return found


def names_read_by(function: Any) -> set[str]:
    """The names that the function's code looks up among globals and builtins."""
    from cloudpickle import cloudpickle as inner

    return set(inner._extract_code_globals(function.__code__))


def is_imported(value: Any) -> bool:
    """Whether the value is a module, or what every step can import from one."""
    if isinstance(value, (type, types.FunctionType)):
        return is_importable(value)
    return isinstance(value, (types.ModuleType, types.BuiltinFunctionType))


def repeatable_id(obj: type) -> None:
    """Give a class its identity for cloudpickle from where it was defined, so that digests repeat.

    cloudpickle takes a random one (`_get_or_create_tracker_id` in cloudpickle.py).
    """
    from cloudpickle import cloudpickle as inner

    try:
        by_class, by_id = inner._DYNAMIC_CLASS_TRACKER_BY_CLASS, inner._DYNAMIC_CLASS_TRACKER_BY_ID
    # A later cloudpickle may keep them elsewhere: then digests differ, and steps run again.
    except AttributeError:
        return
    if obj in by_class:
        return
    number = 0
    while "%s/%s#%d" % (state["step"], obj.__qualname__, number) in by_id:
        number += 1
    name = "%s/%s#%d" % (state["step"], obj.__qualname__, number)
    by_class[obj] = name
    by_id[name] = obj
