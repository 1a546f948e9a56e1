"""Metrics cells: which numbers they name, and which step each of them ends."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.prelude import split
from nbci.plan.model import PlannedCell, Probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.dataflow.prelude import Statement
    from nbci.notebook.cells import Notebook

_CONVERSIONS = ("float", "int")
_ROUNDING = "round"


class MetricsPart(Struct, frozen=True, kw_only=True):
    """A metrics cell, or some statements of it, with the step that it ends and the numbers that it
    names.
    """

    step: str
    cell: PlannedCell
    probes: tuple[Probe, ...]


def assign(
    notebook: Notebook,
    numbers: Sequence[int],
    steps: Sequence[tuple[str, frozenset[str]]],
    reachable: Mapping[str, frozenset[str]],
    given: frozenset[str],
) -> tuple[MetricsPart, ...]:
    """Put each Python metrics cell at the end of the last step that mentions its names.

    `steps` are (name, names that it mentions) in order; `reachable` says for each step which names
    it or a step before it mentions; `given` names are everywhere (parameters, imports). A cell
    whose names no one step can see is taken apart, statement by statement.
    """
    parts: list[MetricsPart] = []
    for number in numbers:
        cell = notebook.cell(number)
        statements = split(number, cell.source, where=notebook.where(cell))
        wanted = _wanted(statements, given)
        step = _last_mentioning(wanted, steps)
        if wanted <= reachable[step] or len(statements) < 2:
            parts.append(_part(step, number, cell.source, statements))
            continue
        for statement in statements:
            wanted = _wanted([statement], given)
            parts.append(
                _part(_last_mentioning(wanted, steps), number, statement.text, [statement])
            )
    return tuple(parts)


def _wanted(statements: Sequence[Statement], given: frozenset[str]) -> frozenset[str]:
    made: set[str] = set()
    wanted: set[str] = set()
    for statement in statements:
        wanted |= statement.names.needs - made - given
        made |= statement.names.binds
    return frozenset(wanted)


def _last_mentioning(wanted: frozenset[str], steps: Sequence[tuple[str, frozenset[str]]]) -> str:
    return next((name for name, mentions in reversed(steps) if wanted & mentions), steps[-1][0])


def _part(step: str, number: int, source: str, statements: Sequence[Statement]) -> MetricsPart:
    probes = tuple(probe for statement in statements for probe in _probes(statement, number))
    return MetricsPart(
        step=step, cell=PlannedCell(role="metrics", number=number, source=source), probes=probes
    )


def _probes(statement: Statement, cell: int) -> Iterator[Probe]:
    for node in ast.parse(statement.text).body if _is_python(statement.text) else ():
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=arguments)):
                yield from _printed(arguments, cell)
            case ast.Expr(value=ast.Name(id=name)):
                yield Probe(name=name, expression=name, cell=cell)
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield Probe(name=target.id, expression=target.id, cell=cell)
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.expr())
                | ast.AugAssign(target=ast.Name(id=name))
            ):
                yield Probe(name=name, expression=name, cell=cell)


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _printed(arguments: list[ast.expr], cell: int) -> Iterator[Probe]:
    """`print(name)`, `print("label:", value)` and `print(f"label: {value}")`."""
    match arguments:
        case [
            ast.JoinedStr(
                values=[ast.Constant(value=str(label)), ast.FormattedValue(value=value), *rest]
            )
        ] if not any(isinstance(part, ast.FormattedValue) for part in rest):
            pass
        case [ast.JoinedStr(values=[ast.FormattedValue(value=value), *rest])] if not any(
            isinstance(part, ast.FormattedValue) for part in rest
        ):
            label = ""
        case [ast.Constant(value=str(label)), value]:
            pass
        case [value]:
            label = ""
        case _:
            return
    if (found := _number(value)) is not None:
        plain, expression = found
        name = "_".join(label.strip().rstrip(":=").split()) or plain
        yield Probe(name=name, expression=expression, cell=cell)


def _number(node: ast.expr) -> tuple[str, str] | None:
    """The plain value that is printed, and the metric: with all its places, but as the number that it is made to be."""
    match node:
        case ast.Call(func=ast.Name(id=function), args=[inner, *_]) if function == _ROUNDING:
            return _number(inner)
        case ast.Call(func=ast.Name(id=function), args=[inner], keywords=[]) if (
            function in _CONVERSIONS
        ):
            found = _number(inner)
            return (found[0], f"{function}({found[1]})") if found is not None else None
        case _:
            plain = _plain_value(node)
            return (plain, plain) if plain is not None else None


def _plain_value(node: ast.expr) -> str | None:
    """The source of an expression that may be read once more without doing anything twice; None for
    any other.
    """
    match node:
        case ast.Name():
            return ast.unparse(node)
        case ast.Attribute(value=inner) | ast.Subscript(value=inner, slice=ast.Constant()):
            return ast.unparse(node) if _plain_value(inner) is not None else None
        case _:
            return None
