"""Imports and functions cells: their statements, and which of them one step runs."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nbci.dataflow.code import ParsedCell, Stars, parse_cell
from nbci.dataflow.effects import PLAIN_BASES, may_have_effect, plain_bases
from nbci.dataflow.names import Names, names_of
from nbci.dataflow.syntax import is_star_import

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.errors import Location


class Statement(Struct, frozen=True, kw_only=True):
    """A top-level statement of an imports or functions cell.

    `text` has its decorators and the comments right above it, too. `line` is where `text` begins in
    the cell, from 1; `always` marks imports that every step runs: they bind names that nobody can
    list, or may have an effect. `plain_bases` are those of a definition that has no effect, if they
    have none; None for all other statements.
    """

    cell: int
    line: int
    text: str
    binds: frozenset[str]
    kind: Literal["import", "definition", "other"]
    always: bool = False
    plain_bases: tuple[str, ...] | None = None
    names: Names
    code: ParsedCell

    @property
    def mentions(self) -> frozenset[str]:
        """The names in it, also those in texts that are read as code."""
        return self.names.mentions | self.names.in_text


def codes_of(statements: Iterable[Statement]) -> list[ParsedCell]:
    """The code of each statement."""
    return [statement.code for statement in statements]


def split_cell(
    cell_number: int, source: str, *, where: Location | None = None, stars: Stars | None = None
) -> tuple[Statement, ...]:
    """The statements of a cell in order; CellSyntaxError if it is no valid Python.

    `stars` as for `parse_cell`.
    """
    cell = parse_cell(source, where=where, stars=stars)
    lines = cell.python.split("\n")
    # `from __future__ import annotations` holds for all that follows it in the cell.
    statements, future = [], False
    body = cell.tree.body
    for index, node in enumerate(body):
        above, below = 0, len(lines) + 1
        if index:
            above = body[index - 1].end_lineno or 0
        if index + 1 < len(body):
            below = body[index + 1].lineno
        text, line = _text(cell.python, lines, node, above, below)
        statement = _statement(cell_number, node, cell=cell, text=text, line=line, future=future)
        future = statement.names.future_annotations
        statements.append(statement)
    return tuple(statements)


def reach(
    statements: Sequence[Statement],
    wanted: frozenset[str],
    named_by_steps: frozenset[str],
    *,
    complete: bool = False,
) -> tuple[Statement, ...]:
    """The statements that a step runs which wants these names, in order.

    `named_by_steps` are the names that any step uses, through definitions too (`reached_names`
    finds them): an import or definition that binds none of them is there for its effect, and left
    out if it has none. `complete`: nothing is left out, as the step may come upon what it does not
    name.
    """
    binders = _binders(statements)
    kept: set[int] = set()
    unnamed: set[int] = set()
    for index, statement in enumerate(statements):
        if statement.kind == "other" or statement.always:
            kept.add(index)
        elif not statement.binds & named_by_steps:
            unnamed.add(index)
    # Idle is known only once all that is not named is known.
    for index in unnamed:
        if complete or not _is_idle(index, statements, binders, unnamed):
            kept.add(index)

    pending = [*wanted]
    for index in kept:
        pending.extend(statements[index].mentions)
    for name in _follow(pending, statements, binders):
        kept.update(binders.get(name, ()))
    return tuple(statements[index] for index in sorted(kept))


def names_bound_by(statements: Iterable[Statement]) -> frozenset[str]:
    """The names that the statements bind."""
    return frozenset().union(*(statement.binds for statement in statements))


def reached_names(statements: Sequence[Statement], mentions: Iterable[str]) -> frozenset[str]:
    """The names that steps with these mentions use.

    They use names through the imports and definitions that they reach, too.
    """
    return _follow(mentions, statements, _binders(statements))


def _follow(
    names: Iterable[str], statements: Sequence[Statement], binders: Mapping[str, Sequence[int]]
) -> frozenset[str]:
    """The names, and all that the statements mention which bind them, and so on."""
    pending = [*names]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            for index in binders.get(name, ()):
                pending.extend(statements[index].mentions)
    return frozenset(seen)


def _is_idle(
    index: int,
    statements: Sequence[Statement],
    binders: Mapping[str, Sequence[int]],
    unnamed: set[int],
) -> bool:
    """Whether a definition that no step names has no effect.

    A class has none only if its bases have none: a base may do something when it is derived from.
    """
    bases = statements[index].plain_bases
    if bases is None:
        return False
    for base in bases:
        found = binders.get(base, ())
        if not found and base in PLAIN_BASES:
            continue
        # A base that is bound again below would be another class.
        if not found or max(found) >= index or not unnamed.issuperset(found):
            return False
        for other in found:
            if not _is_idle(other, statements, binders, unnamed):
                return False
    return True


def _binders(statements: Sequence[Statement]) -> dict[str, list[int]]:
    binders: defaultdict[str, list[int]] = defaultdict(list)
    for index, statement in enumerate(statements):
        for name in statement.binds:
            binders[name].append(index)
    return binders


def _statement(
    number: int, node: ast.stmt, *, cell: ParsedCell, text: str, line: int, future: bool
) -> Statement:
    tree = ast.Module(body=[node], type_ignores=[])
    code = ParsedCell(source=text, python=text, tree=tree, effects=cell.effects)
    names = names_of([code], future_annotations=future)
    kind: Literal["import", "definition", "other"] = "other"
    always = False
    if isinstance(node, ast.Import | ast.ImportFrom):
        kind = "import"
        future_import = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        # What a star binds can be listed for modules of the project only.
        always = future_import or is_star_import(node) or may_have_effect(node)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        kind = "definition"
    return Statement(
        cell=number,
        line=line,
        text=text,
        binds=names.binds,
        kind=kind,
        always=always,
        plain_bases=plain_bases(node),
        names=names,
        code=code,
    )


def _text(
    python: str, lines: Sequence[str], node: ast.stmt, above: int, below: int
) -> tuple[str, int]:
    """The statement's exact text and its first line.

    `above` is the line where the statement before ends, `below` the one where the next begins.
    """
    # The syntax tree counts a definition from its `def` or `class`, not from its decorators.
    first = node.lineno
    for decorator in getattr(node, "decorator_list", ()):
        first = min(first, decorator.lineno)
    last = node.end_lineno or node.lineno
    # It shares a line with another statement, so whole lines would be too much.
    if first == above or last == below:
        return ast.get_source_segment(python, node) or "", first
    # Comments above belong to the statement: it is shown with them.
    while first - 1 > above and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return "\n".join(lines[first - 1 : last]), first
