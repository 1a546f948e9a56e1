"""Conditions of `when:`: a small part of Python's expressions, read with its parser and never run by it."""

from __future__ import annotations

import ast
import operator
import re
import warnings
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.pipeline.expressions import as_text, references, substitute, substitute_matrix, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_LENGTH = 1000

_QUOTED_OR_REFERENCE = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|(?<!\$)\$\{\s*([\w.]+)\s*\}")
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_ALLOWED = "compare names, matrix.key, numbers, text and lists with == != < <= > >= in, and, or, not, + - * / %"

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def check_condition(text: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> None:
    """UsageError when the condition is malformed or names something unknown; values do not matter."""
    tree = _parsed(text)
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            _matrix_value(node, matrix)
        elif isinstance(node, ast.Name) and id(node) not in bases:
            _named(node.id, parameters, matrix)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for reference in references(node.value):
                if reference.step:
                    raise UsageError(f"a condition cannot wait for the metric {reference.text}")
                if reference.matrix_key and reference.matrix_key not in matrix:
                    raise unknown("matrix key", reference.matrix_key, matrix)
                if reference.parameter and reference.parameter not in parameters:
                    raise unknown("parameter", reference.parameter, parameters)


def holds(text: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> bool:
    """Whether the condition is true for these values. A bare name is a key of the matrix before it is a parameter."""
    try:
        return bool(_value(_parsed(text), parameters, matrix))
    except (TypeError, ArithmeticError, ValueError, RecursionError) as error:
        raise UsageError(f"the condition {text!r} cannot be decided: {error}") from error


def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise UsageError(f"this condition is longer than {MAX_LENGTH} characters")
    plain = _QUOTED_OR_REFERENCE.sub(lambda match: match[1] or match[0], text).strip()
    try:
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes in texts
            tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{text!r} is no condition", hint=_ALLOWED) from error
    for node in _nodes(tree):
        if not _is_allowed(node):
            raise UsageError(f"{ast.unparse(node)!r} is not allowed in the condition {text!r}", hint=_ALLOWED)
    return tree


def _nodes(tree: ast.expr) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.expr))


def _is_allowed(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=value):
            return value is None or isinstance(value, bool | int | float | str)
        case ast.BinOp(op=op):
            return type(op) in _ARITHMETIC
        case ast.UnaryOp(op=op):
            return isinstance(op, ast.Not | ast.USub | ast.UAdd)
        case ast.Attribute(value=ast.Name(id="matrix")):
            return True
        case ast.Name(id="matrix"):
            return True
        case ast.BoolOp() | ast.Compare() | ast.Name() | ast.List() | ast.Tuple():
            return True
        case _:
            return False


def _value(node: ast.expr, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> Any:
    def value(inner: ast.expr) -> Any:
        return _value(inner, parameters, matrix)

    match node:
        case ast.Constant(value=str(text)):
            return as_text(substitute(substitute_matrix(text, matrix), parameters))
        case ast.Constant(value=constant):
            return constant
        case ast.Name(id=name):
            return _named(name, parameters, matrix)
        case ast.Attribute():
            return _matrix_value(node, matrix)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [value(item) for item in items]
        case ast.BoolOp(op=ast.And(), values=operands):
            return all(value(operand) for operand in operands)
        case ast.BoolOp(values=operands):
            return any(value(operand) for operand in operands)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not value(operand)
        case ast.UnaryOp(op=op, operand=operand):
            return -value(operand) if isinstance(op, ast.USub) else +value(operand)
        case ast.Compare():
            return _compared(node, value)
        case ast.BinOp(left=left, op=op, right=right):
            return _calculated(op, value(left), value(right))
    raise UsageError(f"{ast.unparse(node)!r} is not allowed in a condition", hint=_ALLOWED)


def _compared(node: ast.Compare, value: Callable[[ast.expr], Any]) -> bool:
    left = value(node.left)
    for comparison, operand in zip(node.ops, node.comparators, strict=True):
        right = value(operand)
        if not _COMPARISONS[type(comparison)](left, right):
            return False
        left = right
    return True


def _calculated(op: ast.operator, left: Any, right: Any) -> Any:
    """Arithmetic on numbers, `+` on texts; nothing that could fill the memory."""
    numbers = all(isinstance(side, int | float) for side in (left, right))
    if not numbers and not (isinstance(op, ast.Add) and isinstance(left, str) and isinstance(right, str)):
        raise TypeError("arithmetic is for numbers, `+` also joins texts")
    return _ARITHMETIC[type(op)](left, right)


def _named(name: str, parameters: Mapping[str, Any], matrix: Mapping[str, Any]) -> Any:
    for known in (matrix, parameters, _WORDS):
        if name in known:
            return known[name]
    raise unknown("name", name, {**matrix, **parameters})


def _matrix_value(node: ast.Attribute, matrix: Mapping[str, Any]) -> Any:
    if node.attr not in matrix:
        raise unknown("matrix key", node.attr, matrix)
    return matrix[node.attr]
