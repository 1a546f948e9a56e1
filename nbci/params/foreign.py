"""Parameters that cells in languages other than Python declare.

They are lines that assign one plain value to a name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nbci.errors import Location
from nbci.params.parameter import Parameter
from nbci.params.types import type_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# `let x = 1` of JavaScript, `val x = 1` of Scala, `x <- 1` of R, `$x = 1` of PowerShell, `x=1` of
# bash; behind it a comment, which is the parameter's help.
_ASSIGNMENT = re.compile(
    r"""^\s*(?:(?:let|var|val|const|local|export|declare|readonly)\s+)*
        \$?(?P<name>[A-Za-z_][\w.]*)\s*(?::\s*\w+\s*)?(?:<-|:=|=)\s*
        (?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s;#"'/%(]|/(?!/))+)?\s*;?\s*
        (?:(?:\#|//|%|\(\*)\s*(?P<help>.*?)\s*(?:\*\))?)?$""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
# As R, Julia, Scala, JavaScript, C# and PowerShell write them.
_TRUE = ("true", "TRUE", "$True", "$true")
_FALSE = ("false", "FALSE", "$False", "$false")
_NULL = ("NULL", "nothing", "null", "$Null", "$null", "None")
_WORDS = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False), **dict.fromkeys(_NULL)}


def foreign_parameters(
    cells: Sequence[tuple[int, str]], path: str, language: str
) -> tuple[Parameter, ...]:
    """Parameters of cells (number, source); the last assignment of a name gives its default."""
    found: dict[str, Parameter] = {}
    for number, source in cells:
        for line_number, line in enumerate(source.splitlines(), start=1):
            match = _ASSIGNMENT.match(line)
            if match is None:
                continue
            value = _value_of(match["value"] or "", language)
            if value is ...:
                continue
            where = Location(path, cell=number, first_line=line.strip(), line=line_number)
            found[match["name"]] = Parameter(
                name=match["name"],
                default=value,
                type=type_of(value),
                source=path,
                help=match["help"] or None,
                where=where,
            )
    return tuple(found.values())


def _value_of(text: str, language: str) -> Any:
    """The plain value, or `...` when the text is code; in bash a bare word is text."""
    is_bash = language == "bash"
    if text[:1] in {'"', "'"}:
        # Between double quotes, bash puts in variables and the output of commands.
        if is_bash and text[0] == '"' and re.search(r"[$`]", text):
            return ...
        return text[1:-1].replace('\\"', '"')
    if text in _WORDS and (not is_bash or text in {"true", "false"}):
        return _WORDS[text]
    if _NUMBER.match(text):
        if any(mark in text for mark in ".eE"):
            return float(text)
        return int(text)
    if is_bash and re.fullmatch(r"[\w./:@,+-]*", text):
        return text
    return ...
