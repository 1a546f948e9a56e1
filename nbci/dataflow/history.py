"""Finds reads of IPython's history (`_`, `Out[3]`) that another step's cells would answer.

They fail in a pipeline, since the kernel of each step begins with an empty history.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.scopes import SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.dataflow.code import ParsedCell

_LAST = {"_": 1, "__": 2, "___": 3}
"""The values shown last, and how many must have been shown for there to be one."""
_NUMBERED = re.compile(r"Out|_oh|_\d+")
_MENTIONED = re.compile(r"\b(?:_{1,3}|Out|_oh|_\d+)\b")


class Lost(Struct, frozen=True, kw_only=True):
    """A read of the history; `cell` is the index among the step's cells, from 0.

    `surely`: it finds nothing there.
    """

    name: str
    cell: int
    line: int
    surely: bool

    @property
    def message(self) -> str:
        """What is wrong with the read."""
        if self.surely:
            return f"`{self.name}`, the value shown last, is read before the step has shown one"
        return f"`{self.name}` goes by the numbers of executed cells, which are others in a step"

    @property
    def hint(self) -> str:
        """What to do."""
        return (
            "give the value a name where it is made: "
            "each step runs in a kernel with a history of its own"
        )


def lost_history(
    cells: Sequence[ParsedCell], given: frozenset[str] = frozenset()
) -> Iterator[Lost]:
    """The reads in a step's cells that no cell of the step answers.

    `given` are names that every step binds.
    """
    # Few cells mention the history, and a search of the text is cheaper than a walk over the tree.
    if not any(map(_may_read, cells)):
        return
    shown, bound = 0, set(given)
    for index, cell in enumerate(cells):
        # IPython leaves `_` and `Out` alone from where code gives them a value of its own.
        bound |= _bound_names(cell.tree)
        for node in _module_level(cell.tree):
            if (
                not isinstance(node, ast.Name)
                or not isinstance(node.ctx, ast.Load)
                or node.id in bound
            ):
                continue
            if _LAST.get(node.id, 0) > shown:
                yield Lost(name=node.id, cell=index, line=node.lineno, surely=True)
            elif _NUMBERED.fullmatch(node.id):
                yield Lost(name=node.id, cell=index, line=node.lineno, surely=False)
        shown += _shows(cell)


def _may_read(cell: ParsedCell) -> bool:
    """Whether its text has a word that could be such a read.

    Text that is not ASCII may have one as well: Python takes some other letters for ASCII's (NFKC).
    """
    return not cell.python.isascii() or _MENTIONED.search(cell.python) is not None


def _bound_names(tree: ast.AST) -> set[str]:
    """Every name that the code binds anywhere, in whatever way; such a name is the code's own."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case (
                ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.alias(asname=str(name))
            ):
                names.add(name)
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                names.add(name)
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                names.add(name)
    return names


def _module_level(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs with the cell itself.

    `_("text")` is left out: there `_` is a function for translations (gettext).
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, SCOPES):
            continue
        yield node
        is_translation = (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _LAST
        )
        if not is_translation:
            yield from _module_level(node)


def _shows(cell: ParsedCell) -> bool:
    """Whether the cell ends with an expression that IPython keeps, as far as the code shows it."""
    last = cell.tree.body[-1] if cell.tree.body else None
    # IPython neither shows nor keeps the value of a cell that ends with a semicolon.
    if not isinstance(last, ast.Expr) or cell.source.rstrip().endswith(";"):
        return False
    match last.value:
        # It gives None, which IPython does not keep.
        case ast.Call(func=ast.Name(id="print")):
            return False
    return True
