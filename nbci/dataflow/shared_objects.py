"""Finds names that may come to share objects, as far as code shows it.

Code that uses one of them may change the objects of the others.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.alterations import READING_FUNCTIONS, READING_METHODS
from nbci.dataflow.scopes import target_names
from nbci.dataflow.syntax import arguments_of, defaults_of, names_in, root_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nbci.dataflow.code import ParsedCell

_GIVING_PARTS = frozenset(
    "dict enumerate filter frozenset getattr iter list map max memoryview min next reversed set "
    "sorted sum super tuple vars zip".split()
)
"""Functions of Python's own that give what they were given, or parts of it."""
_MAKING_NEW = READING_FUNCTIONS - _GIVING_PARTS
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def links(cell: ParsedCell, libraries: frozenset[str]) -> Iterator[frozenset[str]]:
    """Find groups of names that the code may make share objects.

    `libraries` are names that come from installed packages: what their functions give is taken
    for new.
    """
    finder = _Links(libraries)
    for node in ast.walk(cell.tree):
        group = frozenset(finder.linked_names(node)) - libraries
        if len(group) > 1:
            yield group


def loop_names(cell: ParsedCell) -> frozenset[str]:
    """The names that loops bind."""
    names: set[str] = set()
    for node in ast.walk(cell.tree):
        if isinstance(node, ast.For | ast.AsyncFor):
            names.update(target_names(node.target))
    return frozenset(names)


def looked_up_names(cell: ParsedCell) -> frozenset[str]:
    """The names in the bodies of functions: they are looked up whenever the function is called."""
    names: set[str] = set()
    for node in ast.walk(cell.tree):
        if isinstance(node, _FUNCTIONS):
            names |= names_in(node)
    return frozenset(names)


def library_names(cells: Iterable[ParsedCell]) -> frozenset[str]:
    """The names that imports from installed packages bind, and from modules of the project."""
    names: set[str] = set()
    for cell in cells:
        for node in ast.walk(cell.tree):
            names.update(_from_packages(node))
    return frozenset(names)


def _from_packages(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=aliases):
            for alias in aliases:
                if not _is_standard(alias.name):
                    yield alias.asname or alias.name.partition(".")[0]
        case ast.ImportFrom(names=aliases, module=module) if not _is_standard(module or "."):
            for alias in aliases:
                yield alias.asname or alias.name


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


class _Links:
    def __init__(self, libraries: frozenset[str]) -> None:
        self.libraries = libraries

    def linked_names(self, node: ast.AST) -> Iterator[str]:
        """The names that this part of the code links."""
        match node:
            case ast.Assign(targets=targets, value=value):
                yield from (*_changed_names(targets), *self.names_behind(value))
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
                | ast.AugAssign(target=target, value=value)
                | ast.For(target=target, iter=value)
                | ast.AsyncFor(target=target, iter=value)
                | ast.withitem(context_expr=value, optional_vars=ast.expr() as target)
            ):
                yield from (*_changed_names([target]), *self.names_behind(value))
            case ast.Call():
                yield from self._by_call(node)
            case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
                yield node.name
                # The function keeps its defaults; a decorator may keep the function.
                yield from self._names_behind_all([*defaults_of(arguments), *node.decorator_list])
            case ast.ClassDef():
                yield node.name
                yield from self._names_behind_all(_parts_of_class(node))

    def names_behind(self, value: ast.expr) -> Iterator[str]:
        """The names whose objects the value may be, or hold."""
        match value:
            case ast.Name(id=name):
                yield name
            case ast.Call(func=function):
                yield from self._names_behind_result(value, function)
            # It looks them up when it is called, and may give or change their objects.
            case ast.Lambda(body=body):
                yield from names_in(body)
            # These are taken to make a new object, such as a number, a text or a table.
            case (
                ast.Compare()
                | ast.BinOp(left=ast.Constant())
                | ast.BinOp(right=ast.Constant())
                | ast.JoinedStr()
            ):
                return
            case ast.Attribute(value=inner) | ast.Subscript(value=inner):
                yield from self.names_behind(inner)
            case _:
                yield from self._names_behind_all(ast.iter_child_nodes(value))

    def _names_behind_all(self, parts: Iterable[ast.AST]) -> Iterator[str]:
        # Other parts of the syntax tree, such as operators, are no values.
        for part in parts:
            if isinstance(part, ast.comprehension):
                yield from self.names_behind(part.iter)
            elif isinstance(part, ast.expr):
                yield from self.names_behind(part)

    def _names_behind_result(self, call: ast.Call, function: ast.expr) -> Iterator[str]:
        """The names that what the call gives may hold: what it was given, and who was called."""
        if isinstance(function, ast.Name) and function.id in _MAKING_NEW:
            return
        called = [*self.names_behind(function)]
        yield from called
        if self.libraries.isdisjoint(called):
            yield from self._names_behind_all(arguments_of(call))

    def _by_call(self, call: ast.Call) -> Iterator[str]:
        """What is called may keep what it is given."""
        match call.func:
            case ast.Name(id=name) if name in READING_FUNCTIONS:
                return
            case ast.Attribute(attr=method) if method in READING_METHODS:
                return
        yield from self._names_behind_all([call.func, *arguments_of(call)])


def _parts_of_class(node: ast.ClassDef) -> Iterator[ast.expr]:
    """What the class may keep or hand on where it is defined."""
    yield from node.bases
    for keyword in node.keywords:
        yield keyword.value
    yield from node.decorator_list
    for statement in node.body:
        if isinstance(statement, ast.Assign):
            yield statement.value


def _changed_names(targets: Iterable[ast.expr]) -> Iterator[str]:
    """The names that an assignment binds, and those in whose objects it puts the value."""
    for target in targets:
        for part in ast.walk(target):
            match part:
                case ast.Name(ctx=ast.Store() | ast.Del(), id=name):
                    yield name
                case ast.Attribute(value=held) | ast.Subscript(value=held):
                    yield from root_name(held)


class _Group(Struct, eq=False):
    names: set[str]
    last: set[int]


class Sharing:
    """The names that share objects so far, and for each group the last steps that used it."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def join(self, names: Iterable[str]) -> None:
        """From here on these share objects."""
        # A dictionary keeps their order. Groups that were joined before are one object.
        distinct = dict.fromkeys(map(self._group, names))
        # The largest takes in the others, so that few names change their group.
        groups = sorted(distinct, key=lambda group: len(group.names), reverse=True)
        for other in groups[1:]:
            groups[0].names |= other.names
            groups[0].last |= other.last
            self._groups.update(dict.fromkeys(other.names, groups[0]))

    def leave(self, name: str) -> None:
        """The name stands for something else from here on."""
        group = self._groups.pop(name, None)
        if group is not None:
            group.names.discard(name)

    def users(self, name: str) -> frozenset[int]:
        """The last steps that used an object which the name leads to."""
        if name not in self._groups:
            return frozenset()
        return frozenset(self._groups[name].last)

    def use(self, name: str, step: int) -> None:
        """The step uses the objects that the name leads to, and may change them."""
        if name in self._groups:
            self._groups[name].last = {step}

    def _group(self, name: str) -> _Group:
        return self._groups.setdefault(name, _Group({name}, set()))
