"""All objects that a value leads to, and what each looks like, so that changes are seen."""

from __future__ import annotations

import collections
import functools
import sys
import types
import weakref
from typing import Any

ATOMS = frozenset(
    (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis), type(NotImplemented))
)
"""Types whose instances are told apart by their value, not by their identity."""
LEAVES = (
    types.CodeType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.ModuleType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.MethodWrapperType,
    types.CoroutineType,
    types.FrameType,
    types.TracebackType,
    weakref.ref,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    weakref.WeakSet,
)
LEAF_HOMES = frozenset(
    """
    _nbci _thread datetime decimal fractions logging pathlib re threading typing uuid zoneinfo
    """.split(),
)
"""Modules whose objects do not change, or belong to their process."""
MOST_OBJECTS = 100_000
"""So many objects of one name are compared; what lies behind them is not."""

CELL = types.CellType
CACHED = type(functools.lru_cache(maxsize=None)(len))


class Walk:
    """All objects that a value leads to, in an order that repeats, and what each looks like.

    `unordered` are those behind a set: their order, and so their number, does not repeat. `calls`
    are how often cached functions were called, which is no change as long as they have no effect.
    """

    def __init__(self, value: Any) -> None:
        self.root = mark(value)
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.looks: list[Any] = []
        self.calls: list[Any] = []
        self.unordered: set[int] = set()
        self.keep: list[Any] = []
        # not by recursion: lists that hold each other may be deeper than Python's stack
        pending = [(value, True)]
        while pending and len(self.objects) < MOST_OBJECTS:
            obj, ordered = pending.pop()
            if id(obj) in self.numbers:
                continue
            # a leaf gets no number: it has no address, since each process has its own
            if is_leaf(obj):
                self.keep.append(obj)  # alive, so that no other object gets its id
                continue
            self.numbers[id(obj)] = len(self.objects)
            self.objects.append(obj)
            if not ordered:
                self.unordered.add(id(obj))
            try:
                look, parts = look_of(obj, self.calls)
            # user code can raise anything, also when it is only looked at
            except Exception:  # noqa: BLE001
                look, parts = None, []
            self.looks.append((id(type(obj)), look))
            ordered = ordered and not isinstance(obj, (set, frozenset))
            # this loop decides what a step without changes costs: no function call for each part
            pending.extend((part, ordered) for part in reversed(parts) if type(part) not in ATOMS)

    def is_like(self, other: Walk) -> bool:
        """Whether both are of the same objects, which look the same."""
        if self.root != other.root:
            return False
        return self.numbers == other.numbers and self.looks == other.looks

    def is_like_now(self, value: Any) -> bool:
        """Whether the value still looks like this."""
        return self.is_like(Walk(value))

    def release_arrays(self) -> None:
        """Hold no arrays: numpy resizes in place only what nothing else refers to."""
        for number, obj in enumerate(self.objects):
            if type(obj).__name__ == "ndarray":
                self.objects[number] = None


def mark(obj: Any) -> Any:
    """What tells an object from another: its value where that cannot change, else its id."""
    if type(obj) in ATOMS:
        return (type(obj), obj)
    return id(obj)


def is_leaf(obj: Any) -> bool:
    """Whether the object has no state that a step could change, or none that can be seen."""
    if type(obj) in ATOMS or isinstance(obj, LEAVES):
        return True
    # `[].append` holds its list, `len` its module
    if isinstance(obj, types.BuiltinFunctionType):
        return obj.__self__ is None or isinstance(obj.__self__, (type, types.ModuleType))
    if isinstance(obj, (type, types.FunctionType)):
        return is_importable(obj)
    return (type(obj).__module__ or "").partition(".")[0] in LEAF_HOMES


def is_importable(obj: Any) -> bool:
    """Whether a module has the class or function under its name, so that every step has it."""
    # by looking it up, as pickle does: a decorator or a cell may have put another one there
    module = obj.__module__
    if module == "__main__" or not isinstance(module, str):
        return False
    here: Any = sys.modules.get(module)
    for part in obj.__qualname__.split("."):
        here = getattr(here, part, None)
    return here is obj


def look_of(obj: Any, calls: list[Any]) -> tuple[Any, list[Any]]:
    """What the object holds, in a form that can be compared, and the objects that it leads to."""
    if isinstance(obj, type):
        return look_of_class(obj)
    if isinstance(obj, types.FunctionType):
        return look_of_function(obj)
    if type(obj) is CELL:
        held = contents_of(obj)
        return marks(held), held
    if isinstance(obj, types.GeneratorType):
        # how far it has run; what its variables hold cannot be pickled anyway
        return obj.gi_frame and obj.gi_frame.f_lasti, []
    if type(obj) is CACHED:
        calls.append(obj.cache_info())
        parts = [obj.__wrapped__, *vars(obj).values()]
        return marks(parts), parts
    if has_own_pickle(obj) and type(obj).__module__ != "__main__":
        return opaque_state(obj), []
    parts = parts_of(obj)
    look: Any = marks(parts)
    if isinstance(obj, (set, frozenset)):
        # the order of a set depends on hashes and on what was in it before
        look = frozenset(map(mark, obj))
    return (look, opaque_state(obj)), [*parts, type(obj)]


def marks(parts: list[Any]) -> Any:
    kinds = tuple(map(type, parts))
    if ATOMS.issuperset(kinds):
        return kinds, tuple(parts)
    # `mark` without a call for each part: this is where a walk spends its time
    return kinds, tuple(part if kind in ATOMS else id(part) for kind, part in zip(kinds, parts))


def contents_of(cell: Any) -> list[Any]:
    """What the variable of a closure holds: nothing before it is set."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def look_of_function(function: Any) -> tuple[Any, list[Any]]:
    """Its globals are not part of it: it finds them by their names when it is called."""
    parts = [
        *(function.__defaults__ or ()),
        *(function.__kwdefaults__ or {}).values(),
        *function.__dict__.values(),
        *(function.__closure__ or ()),
    ]
    return (id(function.__code__), tuple(function.__dict__), marks(parts)), parts


def look_of_class(kind: Any) -> tuple[Any, list[Any]]:
    """Its attributes without what Python and libraries note there themselves."""
    attributes = {}
    for name, value in vars(kind).items():
        is_method = isinstance(value, (types.FunctionType, classmethod, staticmethod, property))
        is_special = name.startswith("__") and name.endswith("__")
        # caches of `abc` and `enum`
        is_noted = name.startswith("_abc_") or name == "_value2member_map_"
        if is_method or not (is_special or is_noted):
            attributes[name] = value
    registered = registered_classes(kind)
    parts = [*attributes.values(), *kind.__bases__, type(kind), *registered]
    return (tuple(attributes), marks(parts)), parts


def registered_classes(kind: Any) -> list[Any]:
    """The classes that were made virtual subclasses of an abstract one by `register`."""
    import abc

    if not isinstance(kind, abc.ABCMeta):
        return []
    try:
        references = abc._get_dump(kind)[0]  # type: ignore[attr-defined]  # as cloudpickle does
    except (AttributeError, TypeError):
        return []
    found = []
    for reference in references:
        registered = reference()
        # not by truth: a metaclass may make its classes false
        if registered is not None:
            found.append(registered)
    return sorted(found, key=lambda one: one.__qualname__)


def parts_of(obj: Any) -> list[Any]:
    """The objects that an instance holds."""
    parts: list[Any] = []
    # by `dict.values`: a subclass may compute its own
    if isinstance(obj, dict):
        parts += [*obj, *dict.values(obj)]
    elif isinstance(obj, (list, tuple, set, frozenset, collections.deque)):
        parts += obj
    elif isinstance(obj, types.MethodType):
        return [obj.__self__, obj.__func__]
    elif isinstance(obj, types.BuiltinFunctionType):
        return [obj.__self__]
    elif isinstance(obj, functools.partial):
        parts += [obj.func, *obj.args, *obj.keywords, *obj.keywords.values()]
    elif isinstance(obj, property):
        return [obj.fget, obj.fset, obj.fdel]
    elif isinstance(obj, (staticmethod, classmethod)):
        return [obj.__func__]
    if isinstance(obj, collections.defaultdict):
        parts.append(obj.default_factory)
    # a property named `__dict__`, or a mapping proxy, is not where attributes are kept
    own = getattr(obj, "__dict__", None)
    if type(own) is dict:
        parts += [*own, *own.values()]
    for kind in type(obj).__mro__:
        for name in slots_of(kind):
            parts.append(getattr(obj, name, None))
    return parts


def slots_of(kind: type) -> list[str]:
    slots = kind.__dict__.get("__slots__", ())
    if isinstance(slots, str):
        slots = [slots]
    own = kind.__dict__
    return [name for name in slots if isinstance(own.get(name), types.MemberDescriptorType)]


WALKED = (
    dict,
    list,
    tuple,
    set,
    frozenset,
    collections.deque,
    functools.partial,
    property,
    staticmethod,
    classmethod,
    types.MethodType,
    types.BuiltinFunctionType,
    types.SimpleNamespace,
)


def has_own_pickle(obj: Any) -> bool:
    """Whether its class says how it is pickled: what it holds besides is its own business."""
    kind = type(obj)
    if isinstance(obj, WALKED) or hasattr(kind, "_member_map_"):
        return False
    if getattr(kind, "__getstate__", None) is not getattr(object, "__getstate__", None):
        return True
    plain: Any = object
    return kind.__reduce_ex__ is not plain.__reduce_ex__ or kind.__reduce__ is not plain.__reduce__


def opaque_state(obj: Any) -> Any:
    """A digest of the object's own pickle; None where nothing but its parts can change."""
    if not has_own_pickle(obj):
        return None
    # here, since `untouched` needs this module
    from .untouched import Picture, content_digest

    try:
        picture = Picture({"": obj})
        return picture.digest, list(map(content_digest, picture.arrays))
    # what cannot be pickled stays in its process, and user code can raise anything
    except Exception:  # noqa: BLE001
        return None
