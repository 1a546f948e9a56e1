"""Names that parameters, imports and functions cells bind to objects that a step may change."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow.definition_effects import NONE_KNOWN
from nbci.dataflow.syntax import consists_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.definition_effects import Definitions
    from nbci.dataflow.prelude import Statement

# Of these Python makes numbers, texts and tuples of them, which nobody can change.
_CONSTANT_PARTS = (
    ast.Constant,
    ast.Tuple,
    ast.UnaryOp,
    ast.BinOp,
    ast.JoinedStr,
    ast.FormattedValue,
    ast.expr_context,
    ast.operator,
    ast.unaryop,
)


def mutable_names(
    params: frozenset[str], prelude: Sequence[Statement], definitions: Definitions = NONE_KNOWN
) -> Mapping[str, frozenset[str]]:
    """Each of the names, with all that may share objects with it, itself included.

    A statement ties the names that it binds to those that it uses at once: `log = REGISTRY`, `def
    f(x=DEFAULT)`, `class B(A)`; `register(f)` ties `f` to what `register` uses by its definition.
    """
    changeable = set(params)
    for statement in prelude:
        changeable |= _changeable(statement)
    groups = _Groups(changeable)
    for statement in prelude:
        tied = set(statement.binds | statement.names.needs)
        for function in _keepers(statement):
            for body in definitions.get(function, ()):
                tied |= body.reads
        groups.tie(tied & changeable)
    return groups.by_name()


class _Groups:
    """Names in disjoint groups, each name in one of its own at first."""

    def __init__(self, names: Iterable[str]) -> None:
        self._group_of: dict[str, set[str]] = {name: {name} for name in names}

    def tie(self, names: Iterable[str]) -> None:
        """Make one group of all the groups that these names are in."""
        # All names of a group have the same set object, so its identity tells groups apart.
        found: dict[int, set[str]] = {}
        for name in names:
            group = self._group_of[name]
            found[id(group)] = group
        if len(found) < 2:
            return
        together = set().union(*found.values())
        self._group_of.update(dict.fromkeys(together, together))

    def by_name(self) -> dict[str, frozenset[str]]:
        """Each name with its group."""
        # One frozen set a group, not one a name: a group may have thousands.
        frozen: dict[int, frozenset[str]] = {}
        groups: dict[str, frozenset[str]] = {}
        for name, group in self._group_of.items():
            if id(group) not in frozen:
                frozen[id(group)] = frozenset(group)
            groups[name] = frozen[id(group)]
        return groups


def _keepers(statement: Statement) -> Iterator[str]:
    """The functions that may keep what they get.

    The statement calls them without a use of their result, or decorates with them.
    """
    for node in statement.code.tree.body:
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
                yield name
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                for decorator in node.decorator_list:
                    match decorator:
                        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
                            yield name


def _changeable(statement: Statement) -> frozenset[str]:
    if statement.kind == "import":
        return frozenset()
    for node in statement.code.tree.body:
        match node:
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                if consists_of(value, _CONSTANT_PARTS):
                    return frozenset()
    return statement.binds
