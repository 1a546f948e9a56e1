"""The text of a cell as Python.

Text that is Python already stays as it is; other text goes through IPython's own input
transformation.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping

from msgspec import Struct, field

from nbci.dataflow.magics import Effect, effect_of, hidden_code
from nbci.dataflow.syntax import is_star_import
from nbci.errors import Location, UsageError

_UNENCODABLE = re.compile("[\0\ud800-\udfff]")
# A cell of one such word is a magic in IPython (automagic) unless a variable has that name.
_AUTOMAGIC_WORDS = frozenset({"cd", "hist", "ls", "lsmagic", "pwd", "who", "whos"})
_PASTED_PROMPT = re.compile(r"\s*(?:[^\n]*\n)?(?:\[(?:ins|nav)\] )?In \[\d+\]: ")
_AUTOMAGIC_LINE = re.compile(r"(cat|cd|conda|cp|ls|mamba|mkdir|mv|pip|rm|rmdir|uv)\s+[^=\s]")


Stars = Mapping[str, tuple[str, ...]]
"""The names that `from MODULE import *` binds, by module, where they are known."""


class ParsedCell(Struct, frozen=True, kw_only=True):
    """A cell as text and as a syntax tree; lines count from 1 within the cell.

    `python` is `source` after IPython's transformation; `effects` are what its magic calls do, by
    line and column. `may_fail`: an exception in this cell does not end the step, so any part of it
    may not have run.
    """

    source: str
    python: str
    tree: ast.Module
    effects: Mapping[tuple[int, int], Effect] = field(default_factory=dict)
    may_fail: bool = False


class CellSyntaxError(UsageError):
    """A cell is no valid Python; `line` and `column` count from 1 within the cell."""

    def __init__(
        self, reason: str, *, line: int, column: int | None, where: Location | None = None
    ) -> None:
        if where is not None:
            where = Location(
                where.path, cell=where.cell, first_line=where.first_line, line=line, column=column
            )
        super().__init__(
            f"the cell is no valid Python: {reason}",
            hint="correct the cell, then try again",
            where=where,
        )
        self.reason = reason
        self.line = line
        self.column = column


def parse_cell(
    source: str,
    *,
    may_fail: bool = False,
    where: Location | None = None,
    stars: Stars | None = None,
) -> ParsedCell:
    """The cell as Python, or CellSyntaxError; `where` is the cell's place, for the message.

    In its tree, the names that are known stand in the place of a `*`. A cell that `may_fail` may be
    no Python at all: then IPython runs nothing of it, and here it is empty.
    """
    try:
        parsed = _parse(source, may_fail=may_fail)
        _name_stars(parsed.tree, stars or {})
        return parsed
    except _Invalid as error:
        if may_fail and not isinstance(error, _UnsendableError):
            return ParsedCell(source=source, python=source, tree=ast.Module([], []), may_fail=True)
        raise CellSyntaxError(
            error.reason, line=error.line, column=error.column, where=where
        ) from error


def _name_stars(tree: ast.Module, stars: Stars) -> None:
    if not stars:
        return
    for node in ast.walk(tree):
        if is_star_import(node):
            names = stars.get("." * node.level + (node.module or ""))
            if names is not None:
                node.names = [ast.alias(name=name) for name in names]


class _Invalid(Exception):
    def __init__(self, reason: str, line: int, column: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column


class _UnsendableError(_Invalid):
    """The text cannot be sent to a kernel, or should not be."""


class _TooDeepError(_UnsendableError):
    pass


def _parse(source: str, *, may_fail: bool = False) -> ParsedCell:
    _refuse_unencodable(source)
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    if text.strip() in _AUTOMAGIC_WORDS or _is_automagic_line(text):
        text = "%" + text.strip()
    # `In [1]: x` is valid Python too, an annotation of `In[1]`: so the prompt is looked for first.
    if _PASTED_PROMPT.match(text):
        python = _transform(text)
    else:
        try:
            return ParsedCell(
                source=source, python=text, tree=_tree(text, may_fail=may_fail), may_fail=may_fail
            )
        # The transformation parses too, and crashes Python 3.12.1 on such code.
        except _TooDeepError:
            raise
        except _Invalid:
            python = _transform(text)
            # Unchanged text fails again; changed text may pass: IPython takes indentation away.
            if python.rstrip() == text.rstrip() and "get_ipython" not in text:
                raise
    tree = _tree(python, may_fail=may_fail)
    return ParsedCell(
        source=source, python=python, tree=tree, effects=_effects(tree), may_fail=may_fail
    )


def _refuse_unencodable(source: str) -> None:
    found = _UNENCODABLE.search(source)
    if found is None:
        return
    before = source[: found.start()]
    what = f"half a surrogate pair (U+{ord(found.group()):04X})"
    if found.group() == "\0":
        what = "a NUL character"
    raise _UnsendableError(
        f"it contains {what}", before.count("\n") + 1, len(before) - before.rfind("\n")
    )


def _is_automagic_line(text: str) -> bool:
    return (
        "\n" not in text.strip()
        and _AUTOMAGIC_LINE.match(text.strip()) is not None
        and not _parses(text)
    )


def _parses(text: str) -> bool:
    try:
        _tree(text)
    except _Invalid:
        return False
    return True


def _tree(text: str, *, may_fail: bool = False) -> ast.Module:
    """The syntax tree of the text, or _Invalid.

    It is compiled once as well, which finds errors that parsing lets pass, like a lone `return`.
    """
    try:
        with warnings.catch_warnings():
            # Of the user's code: its kernel shows them.
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
            # In a cell that may fail, what stands before a statement that does not compile is run.
            if not may_fail:
                _compile(tree)
    except SyntaxError as error:
        raise _Invalid(
            error.msg or "invalid syntax", error.lineno or 1, error.offset or None
        ) from error
    except (RecursionError, MemoryError) as error:
        raise _TooDeepError("it is nested too deeply", 1, None) from error
    # An integer literal of more than 4,300 digits, on some versions of Python.
    except ValueError as error:
        raise _Invalid(str(error), 1, None) from error
    return tree


def _compile(tree: ast.Module) -> None:
    """Compile the tree so that `from __future__` may stand anywhere in a cell.

    IPython allows it there, as it compiles statement by statement.
    """
    futures: list[ast.Module] = []
    others: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            futures.append(ast.Module(body=[node], type_ignores=[]))
        else:
            others.append(node)
    rest = tree
    if futures:
        rest = ast.Module(body=others, type_ignores=[])
    for part in (*futures, rest):
        compile(part, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def _transform(text: str) -> str:
    """The text after IPython's transformation, with the same line numbers.

    Blank lines that IPython drops at the top are put back.
    """
    from IPython.core.inputtransformer2 import TransformerManager

    body = text.lstrip("\n")
    dropped = len(text) - len(body)
    while body and not body.split("\n", 1)[0].strip():
        dropped += 1
        body = body.partition("\n")[2]
    try:
        # IPython has no types here.
        python = TransformerManager().transform_cell(body)  # type: ignore[no-untyped-call]
    except SyntaxError as error:
        raise _Invalid(
            error.msg or "invalid syntax", (error.lineno or 1) + dropped, error.offset or None
        ) from error
    return "\n" * dropped + str(python)


def _effects(tree: ast.Module) -> dict[tuple[int, int], Effect]:
    effects = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        hidden = hidden_code(node)
        body = None
        if hidden is not None:
            body = _hidden_cell(hidden.text, node.lineno - 1 + hidden.first_line)
        effect = effect_of(node, body)
        if effect is not None:
            effects[node.lineno, node.col_offset] = effect
    return effects


def _hidden_cell(text: str, lines_above: int) -> ParsedCell:
    try:
        cell = _parse(text)
    except _Invalid as error:
        raise _Invalid(error.reason, error.line + lines_above, error.column) from error
    ast.increment_lineno(cell.tree, lines_above)
    effects = {}
    for (line, column), effect in cell.effects.items():
        effects[line + lines_above, column] = effect
    return ParsedCell(source=text, python=cell.python, tree=cell.tree, effects=effects)
