"""Parameters that cells in languages other than Python declare: lines that assign one plain value
to a name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nbci.errors import Location
from nbci.params.parameter import Parameter
from nbci.params.types import type_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_ASSIGNMENT = re.compile(
    r"""^\s*(?:(?:let|var|val|const|local|export|declare|readonly)\s+)*
        \$?(?P<name>[A-Za-z_][\w.]*)\s*(?::\s*\w+\s*)?(?:<-|:=|=)\s*
        (?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s;#"'/%(]|/(?!/))+)?\s*;?\s*
        (?:(?:\#|//|%|\(\*)\s*(?P<help>.*?)\s*(?:\*\))?)?$""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
_WORDS = {"true": True, "TRUE": True, "$True": True, "$true": True,
          "false": False, "FALSE": False, "$False": False, "$false": False,
          "NULL": None, "nothing": None, "null": None, "$Null": None, "$null": None, "None": None}  # fmt: skip


def foreign_parameters(
    cells: Sequence[tuple[int, str]], path: str, language: str
) -> tuple[Parameter, ...]:
    """Parameters of cells (number, source); the last assignment of a name gives its default."""
    found: dict[str, Parameter] = {}
    for number, source in cells:
        for line_number, line in enumerate(source.splitlines(), start=1):
            match = _ASSIGNMENT.match(line)
            value = _value_of(match["value"] or "", language) if match else ...
            if match is None or value is ...:
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
    if text[:1] in {'"', "'"}:
        return (
            ...
            if language == "bash" and text[0] == '"' and re.search(r"[$`]", text)
            else text[1:-1].replace('\\"', '"')
        )
    if text in _WORDS and (language != "bash" or text in {"true", "false"}):
        return _WORDS[text]
    if _NUMBER.match(text):
        return float(text) if any(mark in text for mark in ".eE") else int(text)
    return text if language == "bash" and re.fullmatch(r"[\w./:@,+-]*", text) else ...
