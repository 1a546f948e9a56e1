"""The pickler of values: it knows the notebook, and gives arrays the form in which they can be mapped."""

from __future__ import annotations

import functools
import io
import os
import sys
import tempfile
import types
from typing import Any

from . import forms

CELL_FILES = (os.path.join(tempfile.gettempdir(), "ipykernel_"), "<ipython-input-")
"""How the names of cells' code begin; they hold the process id or a count, and digests must repeat."""

CachedFunction = type(functools.lru_cache(maxsize=0)(len))
"""What `functools.cache` and `lru_cache` make of a function: pickled by its name, like a function."""

state: dict[str, Any] = {"by_reference": frozenset(), "step": ""}
"""The step that runs, and the names of the classes and functions that every step of the notebook can define."""


class Refused(Exception):
    """A value that must not be saved, though it could be."""


def main() -> dict[str, Any]:
    space: dict[str, Any] = sys.modules["__main__"].__dict__
    return space


def main_globals() -> dict[str, Any]:
    """What functions that step cells defined have as their globals after loading: the notebook's own."""
    return main()


class MainGlobals:
    """Stands for the notebook's namespace in a pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (main_globals, ())


def set_function(function: Any, parts: tuple[Any, ...]) -> None:
    """Fill in a function as cloudpickle does, but leave names alone that the notebook has already."""
    from cloudpickle.cloudpickle import _function_setstate  # type: ignore[import-untyped]  # it has no types

    plain, slots = parts
    slots = dict(slots)
    for name, value in slots.get("__globals__", {}).items():
        if name != "__builtins__":
            function.__globals__.setdefault(name, value)
    slots["__globals__"] = {}
    _function_setstate(function, (plain, slots))


def pickler(file: Any, buffers: Any, shared: Any = (), picture: Any = None) -> Any:
    """A cloudpickle pickler that knows the notebook; a function, since cloudpickle may arrive after this module.

    `shared` are ids of numpy base arrays whose views keep sharing; `picture` takes note of the large arrays instead of
    writing them, in a form that reading a table does not change. Afterwards `refs` has the definitions that are named,
    `copied` the bytes of arrays that had to be copied, `seen` the ids of what pandas tables share among themselves.
    """
    if "cloudpickle" not in sys.modules and "_nbci.facts" in sys.modules:
        sys.modules["_nbci.facts"].baseline.add("cloudpickle")
    import cloudpickle  # type: ignore[import-untyped]  # it has no types

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, (type, types.FunctionType, CachedFunction)):
                return self.reduce_definition(obj)
            if isinstance(obj, types.CodeType) and obj.co_filename.startswith(CELL_FILES):
                obj = obj.replace(co_filename="<step " + state["step"] + ">")
                return cloudpickle.Pickler.dispatch_table[types.CodeType](obj)
            if isinstance(obj, io.IOBase) and not isinstance(obj, (io.StringIO, io.BytesIO)):
                raise Refused("an open file belongs to the process that opened it")
            special = forms.form_of(self, obj)
            return special if special is not None else cloudpickle.Pickler.reducer_override(self, obj)

        def reduce_definition(self, obj: Any) -> Any:
            if obj.__module__ == "__main__":
                first = obj.__qualname__.partition(".")[0]
                if first in state["by_reference"] and found(obj):
                    self.refs.add(first)
                    return NotImplemented
                if isinstance(obj, type):
                    repeatable_id(obj)
            reduced = cloudpickle.Pickler.reducer_override(self, obj)
            if isinstance(obj, types.FunctionType) and obj.__globals__ is main() and len(reduced) == 6:
                arguments = (reduced[1][0], MainGlobals(), *reduced[1][2:])
                return (reduced[0], arguments, *reduced[2:5], set_function)
            return reduced

    made = Pickler(file, protocol=5, buffer_callback=buffers)
    made.refs, made.copied, made.seen = set(), 0, set()
    made.shared, made.picture = shared, picture
    return made


def found(obj: Any) -> bool:
    """Whether the notebook's namespace has this very class or function under its name."""
    here = main().get(obj.__qualname__.partition(".")[0])
    for part in obj.__qualname__.split(".")[1:]:
        here = getattr(here, part, None)
    return here is obj


def repeatable_id(obj: type) -> None:
    """Give a class its identity for cloudpickle from where it was defined, not at random, so that digests repeat."""
    from cloudpickle import cloudpickle as inner

    try:
        by_class, by_id = inner._DYNAMIC_CLASS_TRACKER_BY_CLASS, inner._DYNAMIC_CLASS_TRACKER_BY_ID
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
