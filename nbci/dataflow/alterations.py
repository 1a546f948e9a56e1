"""Finds the names whose objects code may change, as far as the code shows it.

The order of steps by data flow (`order: dataflow`) is made from them.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from nbci.dataflow.outside import may_call
from nbci.dataflow.syntax import (
    are_constants,
    arguments_of,
    defaults_of,
    names_in,
    root_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbci.dataflow.code import ParsedCell

# Known by name alone: code does not show of which type an object is.
READING_METHODS = frozenset(
    "casefold copy count difference endswith format get index intersection isdisjoint issubset "
    "issuperset items join keys lower lstrip most_common replace rstrip split startswith strip "
    "title union upper values".split()
)
"""Methods of Python's own types that change nothing."""
# `next` moves an iterator on; `vars` gives the attributes themselves, which can be assigned to.
_CHANGING_BUILTINS = frozenset({"delattr", "exec", "eval", "next", "setattr", "vars"})
# What these give shares no part with their arguments: to change it changes no argument.
_GIVING_NO_PARTS = frozenset(
    "abs all any ascii bin bool bytes callable chr complex dir divmod float format hasattr hash "
    "help hex id input int isinstance issubclass len oct open ord pow print range repr round "
    "str type".split()
)
READING_FUNCTIONS = frozenset(dir(builtins)) - _CHANGING_BUILTINS
_GIVING_PARTS = READING_FUNCTIONS - _GIVING_NO_PARTS


def altered_names(cell: ParsedCell, flat: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names whose objects the code may change, or which it hands to something that may.

    Names of the module and a function's own names are not kept apart. Parts of `flat` names cannot
    change.
    """
    return frozenset(_alterations(cell.tree, flat))


def is_flat(cell: ParsedCell) -> bool:
    """Whether the code assigns a list, set or dictionary of constants."""
    for node in cell.tree.body:
        if not isinstance(node, ast.Assign) or not _is_constant_container(node.value):
            return False
    return True


def _is_constant_container(value: ast.expr) -> bool:
    match value:
        # The keys of a dictionary are hashable: only its values could be changed.
        case ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
            return are_constants(parts)
    return False


def _alterations(tree: ast.AST, flat: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case (
                ast.Attribute(ctx=ast.Store() | ast.Del())
                | ast.Subscript(ctx=ast.Store() | ast.Del())
            ):
                yield from root_name(node)
            case ast.Call():
                yield from _by_call(node, flat)
            case (
                ast.Assign(value=value)
                | ast.AnnAssign(value=ast.expr() as value)
                | ast.NamedExpr(value=value)
            ):
                yield from _passed_on(value, flat)
            # The loop binds the parts to its own names, by which its body may change them.
            case ast.For(iter=value) | ast.AsyncFor(iter=value):
                yield from _parts_of(value, flat)
            case ast.withitem(context_expr=value):
                yield from _passed_on(value, flat)
            case ast.Return(value=ast.expr() as value):
                yield from _passed_on(value, flat)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _by_definition(node)
            case ast.ClassDef():
                if _may_change_later(node):
                    yield node.name


def called_names(cell: ParsedCell) -> frozenset[str]:
    """The names that are called themselves.

    An object that is no plain function may change when it is called.
    """
    called: set[str] = set()
    for node in ast.walk(cell.tree):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                called.add(name)
    return frozenset(called)


def classes_used(cell: ParsedCell, classes: frozenset[str]) -> list[str]:
    """Those of the classes that the code uses: it may call methods of their objects."""
    return sorted(names_in(cell.tree) & classes)


def _by_call(call: ast.Call, flat: frozenset[str]) -> Iterator[str]:
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr not in READING_METHODS:
        yield from root_name(function.value)
        yield from _passed_on(function.value, flat)
    if isinstance(function, ast.Name) and function.id in READING_FUNCTIONS:
        return
    for argument in arguments_of(call):
        yield from _passed_on(argument, flat)


def _passed_on(value: ast.expr, flat: frozenset[str]) -> Iterator[str]:
    """The names whose objects, or parts of them, the value is made of."""
    match value:
        case ast.Name(id=name):
            yield name
        case ast.Attribute() | ast.Subscript() | ast.Call():
            yield from _parts_of(value, flat)
        case (
            ast.Tuple(elts=parts)
            | ast.List(elts=parts)
            | ast.Set(elts=parts)
            | ast.Dict(values=parts)
        ):
            for part in parts:
                yield from _passed_on(part, flat)
        case ast.Starred(value=inner) | ast.NamedExpr(value=inner) | ast.Await(value=inner):
            yield from _passed_on(inner, flat)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_passed_on(body, flat), *_passed_on(orelse, flat))


def _parts_of(value: ast.expr, flat: frozenset[str]) -> Iterator[str]:
    """The names whose parts the value gives, by iteration or through a call that only reads."""
    match value:
        case ast.Call(func=ast.Attribute(value=held)):
            yield from _parts_of(held, flat)
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _GIVING_PARTS:
            for argument in arguments:
                yield from _parts_of(argument, flat)
        case ast.Attribute(value=held) | ast.Subscript(value=held):
            yield from _parts_of(held, flat)
        case ast.Name(id=name) if name not in flat:
            yield name


def _by_definition(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The function's name, if calls may change the function itself.

    They may where it has a default that can change, or a decorator that may keep something.
    """
    # Python makes defaults once, when the function is defined: all calls share them.
    shares_default = not are_constants(defaults_of(node.args))
    if shares_default or any(map(may_call, node.decorator_list)):
        yield node.name


def _may_change_later(node: ast.ClassDef) -> bool:
    """Whether a use of the class may change the class itself."""
    # Keywords go to the metaclass or to `__init_subclass__`, which may keep the class.
    if node.keywords or any(map(may_call, node.decorator_list)):
        return True
    return _changes_itself(node)


def _changes_itself(node: ast.ClassDef) -> bool:
    """Whether its methods set attributes of the class.

    They reach it by `cls`, `type(self)` or `self.__class__`.
    """
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and not isinstance(part.ctx, ast.Load):
            match part.value:
                case (
                    ast.Name(id="cls")
                    | ast.Attribute(attr="__class__")
                    | ast.Call(func=ast.Name(id="type"))
                ):
                    return True
    return False
