"""Metrics cells: which numbers they name, and which step each of them ends."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from nbci.dataflow.prelude import split_cell
from nbci.plan.model import PlannedCell, Probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbci.dataflow.prelude import Statement
    from nbci.notebook.cells import Notebook

_CONVERSIONS = ("float", "int")
_ROUNDING = "round"


class MetricsPart(Struct, frozen=True, kw_only=True):
    """A metrics cell, or some statements of it, with the step that it ends and its numbers."""

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
        statements = split_cell(number, cell.source, where=notebook.where(cell))
        wanted = _wanted_names(statements, given)
        step = _last_mentioning(wanted, steps)
        # The last step that mentions any of them has all, if they lie on one path.
        if wanted <= reachable[step] or len(statements) < 2:
            parts.append(_part(step, number, cell.source, statements))
            continue

        # Branches that never join: no step has the metrics of both.
        for statement in statements:
            step = _last_mentioning(_wanted_names([statement], given), steps)
            parts.append(_part(step, number, statement.text, [statement]))
    return tuple(parts)


def _wanted_names(statements: Sequence[Statement], given: frozenset[str]) -> frozenset[str]:
    made: set[str] = set()
    wanted: set[str] = set()
    for statement in statements:
        # What the cell itself has made, such as a difference of two scores, no step has.
        wanted |= statement.names.needs - made - given
        made |= statement.names.binds
    return frozenset(wanted)


def _last_mentioning(wanted: frozenset[str], steps: Sequence[tuple[str, frozenset[str]]]) -> str:
    for name, mentions in reversed(steps):
        if wanted & mentions:
            return name
    # A cell that names nothing of the steps, such as `1 + 1`, runs at the end.
    return steps[-1][0]


def _part(step: str, number: int, source: str, statements: Sequence[Statement]) -> MetricsPart:
    probes: list[Probe] = []
    for statement in statements:
        probes += _probes(statement, number)
    cell = PlannedCell(role="metrics", number=number, source=source)
    return MetricsPart(step=step, cell=cell, probes=tuple(probes))


def _probes(statement: Statement, cell: int) -> Iterator[Probe]:
    for node in _python_nodes(statement.text):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=arguments)):
                yield from _printed_probes(arguments, cell)
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


def _python_nodes(text: str) -> list[ast.stmt]:
    """The statements of the text; none where it is a magic of IPython."""
    try:
        return ast.parse(text).body
    except SyntaxError:
        return []


def _printed_probes(arguments: list[ast.expr], cell: int) -> Iterator[Probe]:
    """`print(name)`, `print("label:", value)` and `print(f"label: {value}")`."""
    # A text with two values in it names no single number.
    match arguments:
        case [
            ast.JoinedStr(
                values=[ast.Constant(value=str(label)), ast.FormattedValue(value=value), *rest]
            )
        ] if not _has_values(rest):
            pass
        case [ast.JoinedStr(values=[ast.FormattedValue(value=value), *rest])] if not _has_values(
            rest
        ):
            label = ""
        case [ast.Constant(value=str(label)), value]:
            pass
        case [value]:
            label = ""
        case _:
            return
    number = _number(value)
    if number is not None:
        name = "_".join(label.strip().rstrip(":=").split()) or number.value
        yield Probe(name=name, expression=number.expression, cell=cell)


def _has_values(parts: Iterable[ast.expr]) -> bool:
    return any(isinstance(part, ast.FormattedValue) for part in parts)


class _Number(NamedTuple):
    """A plain value that is printed, and the expression of its metric."""

    value: str
    expression: str


def _number(node: ast.expr) -> _Number | None:
    """The metric: unrounded, but as the number that it is made to be; None where it is none.

    Gates compare metrics, and a rounded one could pass a bound that the value itself misses.
    """
    match node:
        case ast.Call(func=ast.Name(id=function), args=[inner, *_]) if function == _ROUNDING:
            return _number(inner)
        case ast.Call(func=ast.Name(id=function), args=[inner], keywords=[]) if (
            function in _CONVERSIONS
        ):
            number = _number(inner)
            if number is None:
                return None
            return _Number(number.value, f"{function}({number.expression})")
    if not _can_be_read_again(node):
        return None
    value = ast.unparse(node)
    return _Number(value, value)


def _can_be_read_again(node: ast.expr) -> bool:
    """Whether the expression may be read once more without doing anything twice."""
    # A call could print, count or draw random numbers once more.
    match node:
        case ast.Name():
            return True
        case ast.Attribute(value=inner) | ast.Subscript(value=inner, slice=ast.Constant()):
            return _can_be_read_again(inner)
    return False
