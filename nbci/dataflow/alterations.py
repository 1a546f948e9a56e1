"""Finds the names whose objects code may change, as far as the code shows it.

The order of steps by data flow (`order: dataflow`) is made from them.
"""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

from nbci.dataflow.outside import may_call

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
_CHANGING_BUILTINS = frozenset({"delattr", "exec", "eval", "next", "setattr", "vars"})
# What these give shares no part with their arguments: to change it changes no argument.
_GIVING_NO_PARTS = frozenset(
    "abs all any ascii bin bool bytes callable chr complex dir divmod float format hasattr hash "
    "help hex id input int isinstance issubclass len oct open ord pow print range repr round "
    "str type".split()
)
READING_FUNCTIONS = frozenset(dir(builtins)) - _CHANGING_BUILTINS


def altered_names(cell: ParsedCell, flat: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names whose objects the code may change, or which it hands to something that may.

    Names of the module and a function's own names are not kept apart. Parts of `flat` names cannot
    change.
    """
    return frozenset(_altered(cell.tree, flat))


def is_flat(cell: ParsedCell) -> bool:
    """Whether the code assigns a list, set or dictionary of constants."""
    values = [node.value for node in cell.tree.body if isinstance(node, ast.Assign)]
    return len(values) == len(cell.tree.body) and all(map(_holds_constants, values))


def _holds_constants(value: ast.expr) -> bool:
    match value:
        case ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(values=parts):
            return all(isinstance(part, ast.Constant) for part in parts)
    return False


def _altered(tree: ast.AST, flat: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case (
                ast.Attribute(ctx=ast.Store() | ast.Del())
                | ast.Subscript(ctx=ast.Store() | ast.Del())
            ):
                yield from _roots(node)
            case ast.Call():
                yield from _by_call(node, flat)
            case (
                ast.Assign(value=value)
                | ast.AnnAssign(value=ast.expr() as value)
                | ast.NamedExpr(value=value)
            ):
                yield from _handed_on(value, flat)
            # The loop binds the parts to its own names, by which its body may change them.
            case ast.For(iter=value) | ast.AsyncFor(iter=value):
                yield from _parts_of(value, flat)
            case ast.withitem(context_expr=value):
                yield from _handed_on(value, flat)
            case ast.Return(value=ast.expr() as value):
                yield from _handed_on(value, flat)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _by_definition(node)
            case ast.ClassDef(name=name):
                if (
                    any(map(may_call, node.decorator_list))
                    or node.keywords
                    or _changes_itself(node)
                ):
                    yield name


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


def instantiated(cell: ParsedCell, classes: frozenset[str]) -> list[str]:
    """Those of the classes that the code uses: it may call methods of their objects."""
    used = {node.id for node in ast.walk(cell.tree) if isinstance(node, ast.Name)}
    return sorted(used & classes)


def _by_call(call: ast.Call, flat: frozenset[str]) -> Iterator[str]:
    function = call.func
    if isinstance(function, ast.Attribute) and function.attr not in READING_METHODS:
        yield from _roots(function.value)
        yield from _handed_on(function.value, flat)
    if isinstance(function, ast.Name) and function.id in READING_FUNCTIONS:
        return
    for argument in call.args:
        yield from _handed_on(argument, flat)
    for keyword in call.keywords:
        yield from _handed_on(keyword.value, flat)


def _handed_on(value: ast.expr, flat: frozenset[str]) -> Iterator[str]:
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
                yield from _handed_on(part, flat)
        case ast.Starred(value=inner) | ast.NamedExpr(value=inner) | ast.Await(value=inner):
            yield from _handed_on(inner, flat)
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_handed_on(body, flat), *_handed_on(orelse, flat))


def _parts_of(value: ast.expr, flat: frozenset[str]) -> Iterator[str]:
    """The names whose parts the value gives, by iteration or through a call that only reads."""
    match value:
        case ast.Call(func=ast.Attribute(value=held)):
            yield from _parts_of(held, flat)
        case ast.Call(func=ast.Name(id=name), args=arguments) if (
            name in READING_FUNCTIONS - _GIVING_NO_PARTS
        ):
            for argument in arguments:
                yield from _parts_of(argument, flat)
        case ast.Attribute(value=held) | ast.Subscript(value=held):
            yield from _parts_of(held, flat)
        case ast.Name(id=name) if name not in flat:
            yield name


def _roots(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _by_definition(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The function's name, if calls may change the function itself.

    They may where it has a default that can change, or a decorator that may keep something.
    """
    # Python makes defaults once, when the function is defined: all calls share them.
    defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    constants = [default for default in defaults if isinstance(default, ast.Constant)]
    if len(constants) < len(defaults) or any(map(may_call, node.decorator_list)):
        yield node.name


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
