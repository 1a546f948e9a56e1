"""Python's scopes: which names a block of code binds for itself, and where a name leads."""

from __future__ import annotations

import ast
from itertools import repeat
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from nbci.dataflow.syntax import defaults_of, parameters_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
"""What has names of its own; comprehensions, which share `:=` with the code around, stand apart."""
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Scope(Struct, kw_only=True):
    """A block inside the module.

    `bound` are the names that a class body has surely bound so far.
    """

    kind: Literal["function", "class", "comprehension"]
    local: frozenset[str]
    module: frozenset[str] = frozenset()
    bound: set[str] = field(default_factory=set)
    depth: int = 0


def leads_to_module(name: str, scopes: Sequence[Scope]) -> bool:
    """Whether the name, read in the innermost of the scopes, is (or may be) the module's."""
    innermost = len(scopes) - 1
    for index in range(innermost, -1, -1):
        scope = scopes[index]
        # Functions and comprehensions in a class body do not see the names of the class.
        if scope.kind == "class" and index != innermost:
            continue
        if name in scope.module:
            return True
        if name in scope.local and (scope.kind != "class" or name in scope.bound):
            return False
    return True


def binding_scope(name: str, scopes: Sequence[Scope], *, walrus: bool = False) -> Scope | None:
    """The scope that an assignment to the name binds it in; None is the module."""
    for scope in reversed(scopes):
        # PEP 572: `:=` in a comprehension binds the name around it.
        if walrus and scope.kind == "comprehension":
            continue
        if name in scope.module:
            return None
        # The name is `nonlocal`: every other name that a function assigns is its own.
        if scope.kind == "function" and name not in scope.local:
            continue
        return scope
    return None


def function_scope(node: FunctionNode, type_params: Iterable[str] = ()) -> Scope:
    """The scope of a function's body."""
    names = {*argument_names(node.args), *type_params}
    if isinstance(node, ast.Lambda):
        return _block_scope("function", [node.body], names)
    return _block_scope("function", node.body, names)


def class_scope(node: ast.ClassDef, depth: int) -> Scope:
    """The scope of a class body, which runs at once."""
    scope = _block_scope("class", node.body, ())
    scope.depth = depth
    return scope


def argument_names(args: ast.arguments) -> Iterator[str]:
    """The parameters of a function."""
    for parameter in parameters_of(args):
        yield parameter.arg


def type_parameter_names(node: ast.AST) -> frozenset[str]:
    """The names in `def f[T]`, `class C[T]`, `type X[T]`: none before Python 3.12."""
    return frozenset(parameter.name for parameter in getattr(node, "type_params", ()))


def target_names(target: ast.AST) -> Iterator[str]:
    """The names that an assignment target binds."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def imported_names(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The names that an import binds; a star import's are unknown."""
    for alias in node.names:
        if alias.name != "*":
            name = alias.name
            # `import a.b` binds `a`.
            if isinstance(node, ast.Import):
                name = name.partition(".")[0]
            yield alias.asname or name


def _block_scope(
    kind: Literal["function", "class"], body: Sequence[ast.AST], names: Iterable[str]
) -> Scope:
    bound, module, outer = set(names), set(), set()
    for node in _own_nodes(body):
        if isinstance(node, ast.Global):
            module.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            outer.update(node.names)
        else:
            bound.update(_bound_by(node))
    return Scope(kind=kind, local=frozenset(bound - module - outer), module=frozenset(module))


def _bound_by(node: ast.AST) -> Iterable[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.Import() | ast.ImportFrom():
            return imported_names(node)
        case (
            ast.ExceptHandler(name=str(name))
            | ast.MatchAs(name=str(name))
            | ast.MatchStar(name=str(name))
        ):
            return (name,)
        case ast.MatchMapping(rest=str(name)):
            return (name,)
    return ()


def _own_nodes(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of a block without those of the scopes inside it.

    The target of a `:=` in a comprehension belongs to the block.
    """
    pending: list[tuple[ast.AST, bool]] = [*zip(body, repeat(False))]
    while pending:
        node, in_comprehension = pending.pop()
        if isinstance(node, ast.NamedExpr):
            yield node.target
            pending.append((node.value, in_comprehension))
            continue
        if isinstance(node, ast.Name) and in_comprehension:
            continue
        yield node
        inside = in_comprehension or isinstance(node, _COMPREHENSIONS)
        pending.extend(zip(_children(node), repeat(inside)))


def _children(node: ast.AST) -> Iterable[ast.AST]:
    if not isinstance(node, SCOPES):
        return ast.iter_child_nodes(node)
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    if isinstance(node, ast.Lambda):
        return defaults_of(node.args)
    return [*node.decorator_list, *defaults_of(node.args)]
