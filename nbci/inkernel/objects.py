"""Forms of plain Python objects whose own pickles lose something, or cannot be read again.

The functions that make objects again (`cached`, `exception`, `view_of`, `fill_...`) stand in stored
values by their names: a new name needs the old one beside it.
"""

from __future__ import annotations

import functools
import gc
import types
from typing import Any

from .reconstruction import is_pythons
from .walks import CACHED, contents_of, is_importable


def form_of(obj: Any) -> Any:
    """How the object is reduced, or None: as it says itself."""
    if type(obj) is CACHED:
        if is_importable(obj):
            return None
        return cached_form(obj)
    if isinstance(obj, BaseException):
        return exception_form(obj)
    if type(obj) is memoryview:
        return view_form(obj)
    return None


def form_of_definition(obj: Any) -> Any:
    """How a function or a class is reduced that Python itself made from a user's, or None."""
    if not isinstance(obj, types.FunctionType):
        return None
    # what `functools.singledispatch` returns is a function of its module, with this attribute
    if obj.__globals__ is vars(functools) and "registry" in vars(obj):
        return dispatch_form(obj)
    return None


# closures


def empty_cell() -> Any:
    """The variable that closures share, before one of them fills it."""
    return types.CellType()


def content_of(cell: Any) -> tuple[Any, ...]:
    """What is in the cell, as a tuple of one or none."""
    return tuple(contents_of(cell))


# functions with a cache


def attributes_without(function: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The attributes of a function, but for those that Python itself sets."""
    attributes = dict(vars(function))
    for name in names:
        attributes.pop(name, None)
    return attributes


def cached_form(function: Any) -> tuple[Any, ...]:
    """The function with what is in its cache, and how often that was asked.

    So a result is not computed again in a later step.
    """
    info = function.cache_info()
    attributes = attributes_without(function, ("__wrapped__",))
    filled = (attributes, entries_of(function, info), info.hits, info.misses)
    arguments = (function.__wrapped__, info.maxsize, is_typed(function))
    return (cached, arguments, filled, None, None, fill_cache)


def is_typed(function: Any) -> bool:
    """Whether the cache tells 1 from 1.0; Python 3.8 does not say, and has it mostly off."""
    settings: Any = getattr(function, "cache_parameters", dict)()
    return bool(settings.get("typed", False))


def cached(function: Any, maxsize: Any, typed: bool) -> Any:
    """The function with an empty cache."""
    return functools.lru_cache(maxsize=maxsize, typed=typed)(function)


def entries_of(function: Any, info: Any) -> list[tuple[Any, ...]]:
    """Arguments and results in the cache, the one used longest ago first.

    None where they cannot be told: then the next step computes them again. The cache is C's own
    (Modules/_functoolsmodule.c, lru_cache_tp_traverse): the garbage collector sees into it.
    """
    if not info.currsize or type(function.__wrapped__) is not types.FunctionType:
        return []
    held = gc.get_referents(function)
    table = table_of_cache(function, held, info.currsize)
    if table is None:
        return []
    pairs = list(table.items())
    if info.maxsize is not None:
        pairs = linked_pairs(held, table)
    if len(pairs) != info.currsize or any(key not in table for key, _ in pairs):
        return []

    # `kwd_mark`, the object between positional and named arguments, is held by the cache, too
    mark = next((one for one in held if type(one) is object), None)
    typed = is_typed(function)
    entries = []
    for key, result in pairs:
        if typed:
            key = without_types(key, mark)  # noqa: PLW2901  # the same key, as of another cache
        entries.append((*arguments_of(key, mark), result))
    return entries


def table_of_cache(function: Any, held: list[Any], size: int) -> dict[Any, Any] | None:
    """The dict of the cache, among what the function holds; None if it cannot be told."""
    own = vars(function)
    tables = []
    for one in held:
        if type(one) is dict and one is not own and len(one) == size:
            tables.append(one)
    if len(tables) != 1:
        return None
    return tables[0]


def linked_pairs(held: list[Any], table: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """Keys and results in the order of use: a bounded cache keeps its entries in a linked list.

    The list is traversed before the table: link, key, result, link, ...
    """
    linked: list[Any] = []
    for one in held:
        if one is table:
            break
        if getattr(one, "__name__", "") != "_lru_list_elem" and one is not CACHED:
            linked.append(one)
    return list(zip(linked[::2], linked[1::2]))


def without_types(key: Any, mark: Any) -> Any:
    """A key of a cache that tells types apart, as one that does not.

    The types of all arguments stand at its end: `functools._make_key`.
    """
    parts = list(key)
    positional = next((at for at, part in enumerate(parts) if part is mark), len(parts) // 2)
    named = max(0, len(parts) - 1 - 2 * positional) // 3
    types_count = positional + named
    return tuple(parts[: len(parts) - types_count])


def arguments_of(key: Any, mark: Any) -> tuple[Any, ...]:
    """The arguments that a key was made of: `functools._make_key`, the other way round."""
    if type(key) in (int, str):
        return (key,), {}
    positional = []
    parts = iter(key)
    for part in parts:
        if part is mark:
            break
        positional.append(part)
    named = list(parts)
    return tuple(positional), dict(zip(named[::2], named[1::2]))


results: list[Any] = []
"""What a function whose cache is being filled gives, the next one last."""


def fill_cache(function: Any, filled: tuple[Any, ...]) -> None:
    """Put results into the cache by calling the function while its code only hands them out."""
    attributes, entries, hits, misses = filled
    vars(function).update(attributes)
    if not entries:
        return
    wrapped = function.__wrapped__
    code = wrapped.__code__
    # misses beyond the entries were evicted: calls with arguments that nobody else has, so that the
    # counts of `cache_info()` are the same
    evicted = 0
    if len(entries) == function.cache_info().maxsize:
        evicted = misses - len(entries)
    calls: list[tuple[Any, ...]] = []
    for number in range(evicted):
        calls.append(((fill_cache, number), {}, None))
    calls += entries
    try:
        wrapped.__code__ = handing_out(len(code.co_freevars))
        for _, _, result in reversed(calls):
            results.append(result)
        for positional, named, _ in calls + entries[-1:] * hits:
            function(*positional, **named)
    finally:
        wrapped.__code__ = code
        results.clear()


def handing_out(free: int) -> types.CodeType:
    """Code that gives the next of the results.

    `__code__` can be set only to code with as many free variables as the function's own has.
    """
    names = list(map("v{}".format, range(free)))
    lines = ["def outer():"]
    lines += map("    {} = None".format, names)
    lines += ["    def inner(*positional, **named):"]
    lines += map("        {}".format, names)
    lines += ["        return __import__('sys').modules[" + repr(__name__) + "].results.pop()"]
    lines += ["    return inner"]
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    code: types.CodeType = space["outer"]().__code__
    return code


# functions that choose by the type of their argument


def dispatch_form(function: Any) -> tuple[Any, ...]:
    """`functools.singledispatch`: the functions by type; what it remembers of calls is left out."""
    registry = dict(function.registry)
    noted = ("register", "dispatch", "registry", "_clear_cache", "__wrapped__")
    attributes = attributes_without(function, noted)
    filled = (attributes, list(registry.items()))
    return (functools.singledispatch, (function.__wrapped__,), filled, None, None, fill_registry)


def fill_registry(function: Any, filled: tuple[Any, ...]) -> None:
    attributes, registered = filled
    vars(function).update(attributes)
    for kind, one in registered:
        function.register(kind, one)


# exceptions


def exception_form(error: BaseException) -> Any:
    """The exception with cause and context, made again without its constructor.

    The constructor may want other arguments than it passed on to `BaseException`, whose own pickle
    calls it with these.
    """
    kind: Any = type(error)
    if kind.__reduce__ is not BaseException.__reduce__:
        return None
    if kind.__reduce_ex__ is not object.__reduce_ex__:
        return None
    chain = (error.__cause__, error.__context__, error.__suppress_context__)
    return (exception, (kind, error.args), (dict(vars(error)), chain), None, None, fill_exception)


def exception(kind: Any, arguments: tuple[Any, ...]) -> Any:
    """The exception as its first base in C makes it."""
    base = first_base_in_c(kind, "__init__")
    maker = first_base_in_c(kind, "__new__")
    error = maker.__new__(kind, *arguments)
    base.__init__(error, *arguments)
    return error


def first_base_in_c(kind: Any, method: str) -> Any:
    """The first class of the bases that has its own method, not written in Python."""
    for base in kind.__mro__:
        if method in vars(base) and not is_pythons(vars(base)[method]):
            return base
    return object


def fill_exception(error: BaseException, filled: tuple[Any, ...]) -> None:
    attributes, (cause, context, suppressed) = filled
    vars(error).update(attributes)
    error.__cause__, error.__context__ = cause, context
    error.__suppress_context__ = suppressed


# classes


def own_attributes(kind: Any) -> dict[str, Any]:
    """Attributes that cloudpickle takes for inherited ones: a base has the very same object.

    The base may get another one later (`_extract_class_dict` in cloudpickle.py).
    """
    found = {}
    for name, value in sorted(vars(kind).items()):
        if name.startswith("__"):
            continue
        if is_inherited(kind, name, value):
            # A copy of the name: pickle writes the same object once, and whether a name is the
            # same object as another depends on interning.
            found["".join(name)] = value
    return found


def is_inherited(kind: Any, name: str, value: Any) -> bool:
    """Whether a base class has the very same object under this name."""
    for base in kind.__mro__[1:]:
        attributes = vars(base)
        if name in attributes and attributes[name] is value:
            return True
    return False


def class_without_effects(  # noqa: PLR0917  # called as cloudpickle's own function is
    kind: Any, name: str, bases: Any, settings: Any, identity: Any, extra: Any
) -> Any:
    """The class as cloudpickle begins it, without calling its metaclass and bases again.

    Their hooks (`__init_subclass__`, a metaclass's `__new__`) ran when the class was defined.
    """
    from cloudpickle import cloudpickle as inner  # type: ignore[import-untyped]  # it has no types

    known = inner._DYNAMIC_CLASS_TRACKER_BY_ID.get(identity)
    if known is not None:
        return known
    kind_of_library = kind
    if kind is not type and kind.__module__ == "__main__":
        kind_of_library = next(one for one in kind.__mro__ if one.__module__ != "__main__")
    with Silenced(bases):
        if kind_of_library is kind:
            return inner._make_skeleton_class(kind, name, bases, settings, identity, extra)
        made = kind_of_library.__new__(kind, name, types.resolve_bases(bases), dict(settings))
    return inner._lookup_class_or_track(identity, made)


class Silenced:
    """For a while the hooks of the notebook's own base classes do nothing."""

    def __init__(self, bases: Any) -> None:
        self.hooks: dict[Any, Any] = {}
        for base in bases:
            for one in getattr(base, "__mro__", ()):
                if one.__module__ == "__main__" and "__init_subclass__" in vars(one):
                    self.hooks[one] = vars(one)["__init_subclass__"]

    def __enter__(self) -> None:
        for kind in self.hooks:
            type.__setattr__(kind, "__init_subclass__", classmethod(does_nothing))

    def __exit__(self, *error: Any) -> None:
        for kind, hook in self.hooks.items():
            type.__setattr__(kind, "__init_subclass__", hook)


def does_nothing(kind: Any, /, **settings: Any) -> None:
    """Stands for `__init_subclass__`."""


# views


def view_form(view: memoryview) -> tuple[Any, ...]:
    """A view of the same object, which goes with it; place and size are in bytes."""
    if not view.contiguous or view.ndim != 1:
        raise TypeError("a memoryview of several dimensions or with gaps cannot be saved")
    whole = memoryview(view.obj).cast("B")
    start = address_of(view) - address_of(whole)
    return (view_of, (view.obj, start, view.nbytes, view.format, view.readonly))


def view_of(held: Any, start: int, size: int, form: Any, readonly: bool) -> Any:
    """The view of so many bytes."""
    view = memoryview(held).cast("B")[start : start + size].cast(form)
    if readonly:
        return view.toreadonly()
    return view


def address_of(view: memoryview) -> int:
    """Where in memory the view begins, by the C API: a view itself does not say."""
    import ctypes

    class Buffer(ctypes.Structure):
        """The head of `Py_buffer`, as in Include/cpython/pybuffer.h."""

        _fields_ = (("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t))

    get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
    room = ctypes.create_string_buffer(256)
    get.argtypes = (ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
    release.argtypes = (ctypes.c_void_p,)
    get(view, room, 0x11C)  # PyBUF_FULL_RO
    try:
        return int(Buffer.from_buffer(room).buf or 0)
    finally:
        release(room)
