"""Finds code that asks a class for its `__subclasses__()`, and so uses classes it does not name."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from nbci.dataflow.definition_effects import has_class
from nbci.dataflow.outside import SUBCLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.dataflow.code import ParsedCell
    from nbci.dataflow.names import Names


def with_subclasses(names: Sequence[Names]) -> list[frozenset[str]]:
    """What each step reads; where it asks for subclasses, all classes that steps define, too."""
    defined = frozenset().union(*map(defined_classes, names))
    reads = []
    for found in names:
        read = found.needs | found.assumes
        if SUBCLASSES in found.needs:
            read |= defined
        reads.append(read)
    return reads


def defined_classes(names: Names) -> frozenset[str]:
    """The names of the classes that the code defines."""
    classes = []
    for name, bodies in names.definitions.items():
        if has_class(bodies):
            classes.append(name)
    return frozenset(classes)


def makes_unnamed_classes(cells: Iterable[ParsedCell]) -> bool:
    """Whether functions of the code, or calls of `type`, make classes.

    No name may lead to such classes.
    """
    for cell in cells:
        for node in ast.walk(cell.tree):
            if _calls_type(node):
                return True
            if isinstance(node, ast.FunctionDef) and _has_class(node):
                return True
    return False


def _has_class(function: ast.FunctionDef) -> bool:
    return any(isinstance(part, ast.ClassDef) for part in ast.walk(function))


def _calls_type(node: ast.AST) -> bool:
    match node:
        # With three arguments `type` makes a class; with one it only gives an object's type.
        case ast.Call(func=ast.Name(id="type"), args=[_, _, _]):
            return True
        case ast.Call(func=ast.Attribute(attr="new_class")):
            return True
    return False
