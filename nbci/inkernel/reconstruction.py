"""Checks that objects whose classes say how they are made again can be: before they are saved."""

from __future__ import annotations

import copyreg
import inspect
import types
from typing import Any

from .forms import Refused

RECONSTRUCTION = ("__new__", "__reduce__", "__reduce_ex__", "__getattr__")
"""Methods that, written in Python, may not go together with how a pickle is read."""


def checked_form(obj: Any) -> Any:
    """As the object says itself, once it is sure that this can be read.

    Else the next step would fail, not this one. Nothing of the user's is called but what says how
    the object is reduced: its constructor may count or register.
    """
    kind = type(obj)
    if not any(is_pythons(getattr(kind, name, None)) for name in RECONSTRUCTION):
        return None
    reduced = obj.__reduce_ex__(5)
    if isinstance(reduced, tuple) and len(reduced) > 1 and isinstance(reduced[1], tuple):
        check_arguments(*reduced[:2])
        if len(reduced) > 2 and reduced[2] is not None:
            check_attributes(kind, reduced[0])
    return reduced


def check_arguments(maker: Any, arguments: tuple[Any, ...]) -> None:
    """Refuse what is made again with other arguments than its maker takes."""
    named: dict[str, Any] = {}
    remedy = "let `__reduce__` return the arguments that it takes"
    if getattr(maker, "__name__", "") in ("__newobj__", "__newobj_ex__") and arguments:
        if maker.__name__ == "__newobj_ex__":
            kind, arguments, named = arguments
            arguments = (kind, *arguments)
        maker = arguments[0].__new__
        remedy = "let `__getnewargs__` return the arguments that it takes"
        if not is_pythons(maker):
            return
    elif isinstance(maker, type) and type(maker) is not type:  # its metaclass makes it as it likes
        return
    try:
        signature = inspect.signature(maker)
    except (TypeError, ValueError):  # written in C, and says nothing
        return
    try:
        signature.bind(*arguments, **named)
    except TypeError as error:
        label = getattr(maker, "__qualname__", type(maker).__name__)
        raise Refused(
            "it could not be loaded again: `%s`: %s; %s" % (label, error, remedy)
        ) from None


def check_attributes(kind: Any, maker: Any) -> None:
    """Refuse a `__getattr__` that fails on an object without attributes: pickle calls it there."""
    makes_bare: Any = vars(copyreg)["__newobj__"]  # what protocols from 2 on call; not in typeshed
    is_bare = maker is makes_bare and kind.__new__ is object.__new__
    if not is_bare or hasattr(kind, "__setstate__"):
        return
    if not is_pythons(getattr(kind, "__getattr__", None)):
        return
    try:
        getattr(kind.__new__(kind), "__setstate__", None)
    except Exception as error:  # noqa: BLE001  # user code can raise anything
        raise Refused(
            "it could not be loaded again: `%s.__getattr__` raises %s on an object that has no "
            "attributes yet; let it raise AttributeError for names that begin with two underscores"
            % (kind.__qualname__, type(error).__name__)
        ) from None


def is_pythons(method: Any) -> bool:
    """Whether the method is written in Python."""
    return isinstance(method, (types.FunctionType, staticmethod))
