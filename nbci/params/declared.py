"""Reads the parameters that parameters cells declare, by literals that they assign."""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.errors import Location, UsageError
from nbci.params.parameter import Parameter
from nbci.params.types import MismatchError, conform, type_annotated, type_named, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.params.types import ParameterType

_COMMENT = re.compile(r"\s*#\s*(?:type:\s*(?P<type>\S+)\s*)?(?P<help>.*)")
_SEPARATOR = re.compile(r"[ \t]*;[ \t]*")
_INNER_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Statement(Struct, frozen=True, kw_only=True):
    """A statement of a parameters cell, and the names to which it assigns a literal.

    Without such names it is code. `joined`: it follows another statement on the same line.
    """

    cell: int
    text: str
    joined: bool
    literals: tuple[str, ...] = ()
    future: bool = False


class CodeName(Struct, frozen=True, kw_only=True):
    """A name that code in a parameters cell binds: no parameter, and where that stands."""

    name: str
    cell: int
    line: int

    def __str__(self) -> str:
        place = f"cell {self.cell}, line {self.line}"
        return f"`{self.name}` is not a literal ({place}), so it cannot be overridden"


class Declared(Struct, frozen=True, kw_only=True):
    """What a notebook's parameters cells declare, in order of first appearance.

    `cells` are numbers and sources as they were given.
    """

    path: str
    language: str
    parameters: tuple[Parameter, ...]
    code_names: tuple[CodeName, ...]
    cells: tuple[tuple[int, str], ...]
    statements: tuple[Statement, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)


def declared_parameters(
    cells: Sequence[tuple[int, str]], *, path: str = "notebook", language: str = "python"
) -> Declared:
    """The parameters that cells (number, source) declare.

    Of languages other than Python, lines that assign one number, text or truth value to a name are
    understood. UsageError when a Python cell does not parse.
    """
    if language.lower() != "python":
        from nbci.params.foreign import foreign_parameters

        found = foreign_parameters(cells, path, language.lower())
        return Declared(
            path=path,
            language=language,
            parameters=found,
            code_names=(),
            cells=tuple(cells),
            statements=(),
        )
    reader = _PythonReader(path)
    for number, source in cells:
        reader.read(number, source)
    # A name that a literal binds, too, can be overridden there.
    code_names = [name for name in reader.code_names if name.name not in reader.parameters]
    return Declared(
        path=path,
        language=language,
        parameters=tuple(reader.parameters.values()),
        code_names=tuple(code_names),
        cells=tuple(cells),
        statements=tuple(reader.statements),
    )


class _PythonReader:
    """Collects what Python parameters cells declare, cell by cell."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.parameters: dict[str, Parameter] = {}
        self.code_names: list[CodeName] = []
        self.statements: list[Statement] = []

    def read(self, number: int, source: str) -> None:
        source, tree = self._parse(number, source)
        lines = source.split("\n")
        previous: ast.stmt | None = None
        for node in tree.body:
            names = self._literal(number, node, lines)
            if not names:
                self._note_code_names(number, node)
            text, joined = _text_of(node, previous, lines)
            future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
            self.statements.append(
                Statement(
                    cell=number, text=text, joined=joined, literals=tuple(names), future=future
                )
            )
            previous = node

    def _parse(self, number: int, source: str) -> tuple[str, ast.Module]:
        source = source.replace("\r\n", "\n").replace("\r", "\n")
        try:
            return source, _parse(source)
        except SyntaxError:
            # Perhaps magics of IPython, which takes long to import: only here is it worth that.
            from IPython.core.inputtransformer2 import TransformerManager
        except (RecursionError, MemoryError) as error:
            raise UsageError(
                "this cell cannot be read as Python: it is nested too deeply",
                where=self._where(number, source),
            ) from error
        # The parser refuses NUL characters and lone surrogates with it.
        except ValueError as error:
            raise UsageError(
                f"this cell cannot be read as Python: {error}", where=self._where(number, source)
            ) from error
        try:
            # IPython has no types here.
            source = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
            return source, _parse(source)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            message = getattr(error, "msg", str(error))
            raise UsageError(
                f"syntax error: {message}", where=self._where(number, source, line)
            ) from error

    def _where(self, number: int, source: str, line: int | None = None) -> Location:
        filled = [text.strip() for text in source.splitlines() if text.strip()]
        first = filled[0] if filled else ""
        return Location(self._path, cell=number, first_line=first, line=line)

    def _literal(self, number: int, node: ast.stmt, lines: list[str]) -> list[str]:
        """Declare what the statement assigns literally; the names, none when it is code."""
        annotation: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value, annotation = [node.target], node.value, node.annotation
        else:
            return []
        # `a, b = 1, 2` and `settings["C"] = 1` assign to no single name: that is code.
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        if len(names) < len(targets) or not _is_literal(value):
            return []

        comment = _COMMENT.match(_after(node, lines))
        named = None
        if annotation:
            named = type_annotated(annotation)
        # papermill has types in comments: `a = 1  # type: float`.
        if named is None and comment and comment["type"]:
            named = type_named(comment["type"])
        first_line = lines[node.lineno - 1].strip()
        where = Location(self._path, cell=number, first_line=first_line, line=node.lineno)
        for name in names:
            self._declare(name, ast.literal_eval(value), named, comment, where)
        return names

    def _declare(
        self,
        name: str,
        value: Any,
        named: ParameterType | None,
        comment: re.Match[str] | None,
        where: Location,
    ) -> None:
        default, kind = _typed_default(value, named)
        help_text = None
        # A later assignment without a comment keeps the help of the first.
        if name in self.parameters:
            help_text = self.parameters[name].help
        if comment:
            help_text = comment["help"].strip() or help_text
        self.parameters[name] = Parameter(
            name=name,
            default=default,
            type=kind,
            source=self._path,
            help=help_text,
            where=where,
        )

    def _note_code_names(self, number: int, node: ast.stmt) -> None:
        for name, line in _bound_names(node):
            self.code_names.append(CodeName(name=name, cell=number, line=line))


def _parse(source: str) -> ast.Module:
    # Of invalid escapes in texts the kernel will warn.
    with warnings.catch_warnings(action="ignore"):
        return ast.parse(source)


def _typed_default(value: Any, named: ParameterType | None) -> tuple[Any, ParameterType]:
    """The default as its annotation has it, and its type.

    An annotation that does not fit the default is ignored, unless the default is None.
    """
    if named is None:
        return value, type_of(value)
    if value is None:
        from msgspec.structs import replace

        return None, replace(named, optional=True)
    try:
        return conform(value, named), named
    except MismatchError:
        return value, type_of(value)


def _is_literal(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return value is None or isinstance(value, bool | int | float | str)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=value)):
            return isinstance(value, int | float) and not isinstance(value, bool)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return all(map(_is_literal, items))
        case ast.Dict(keys=keys, values=values):
            return all(map(_is_literal_key, keys)) and all(map(_is_literal, values))
        case _:
            return False


def _is_literal_key(node: ast.expr | None) -> bool:
    # None stands for `**other` in the display of a dictionary.
    return node is not None and _is_literal(node) and _is_hashable(node)


def _is_hashable(node: ast.expr) -> bool:
    match node:
        case ast.List() | ast.Dict():
            return False
        case ast.Tuple(elts=items):
            return all(map(_is_hashable, items))
    return True


def _after(node: ast.stmt, lines: list[str]) -> str:
    """What follows the statement on its last line."""
    line = lines[(node.end_lineno or node.lineno) - 1]
    # Offsets of the syntax tree count bytes of UTF-8, not characters.
    return line.encode()[node.end_col_offset or 0 :].decode()


def _text_of(node: ast.stmt, previous: ast.stmt | None, lines: list[str]) -> tuple[str, bool]:
    """The statement with the comments before it; whether it follows another on the same line."""
    end_line = node.end_lineno or node.lineno
    begin = 0
    if previous:
        begin = previous.end_lineno or 0
    joined = begin == node.lineno
    if joined:
        begin -= 1
    text = lines[begin:end_line]

    # Another statement follows on the line; a comment stays with this one.
    after = _after(node, lines)
    separator = _SEPARATOR.match(after)
    if separator and after[separator.end() :]:
        text[-1] = text[-1].encode()[: node.end_col_offset].decode()
    if joined:
        text[0] = text[0].encode()[node.col_offset :].decode()
    return "\n".join(text), joined


def _bound_names(node: ast.stmt) -> Iterable[tuple[str, int]]:
    """Names that a statement binds at module level, with their lines."""
    stack: list[ast.AST] = [node]
    while stack:
        current = stack.pop()
        if isinstance(current, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield current.name, current.lineno
            continue
        # Names in these are their own.
        if isinstance(current, _INNER_SCOPES):
            continue
        if isinstance(current, ast.Name) and isinstance(current.ctx, ast.Store):
            yield current.id, current.lineno
        if isinstance(current, ast.alias) and current.name != "*":
            yield (current.asname or current.name.split(".")[0]), current.lineno
        if isinstance(current, ast.ExceptHandler) and current.name:
            yield current.name, current.lineno
        stack.extend(ast.iter_child_nodes(current))
