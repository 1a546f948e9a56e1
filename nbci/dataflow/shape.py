"""What code is, whatever its layout and comments, as one text: equal code has equal texts."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def shape_of(tree: ast.AST) -> str:
    """The syntax tree without positions.

    What is empty is left out, so that versions of Python agree where they can.
    """
    parts: list[str] = []
    _write(tree, parts.append)
    return "".join(parts)


def _write(node: ast.AST, write: Callable[[str], None]) -> None:
    kind = type(node)
    write(kind.__name__)
    write("(")
    for field in kind._fields:
        value = getattr(node, field, None)
        # Whether a name is read or bound (`ctx`) shows by its place.
        if value is None or field == "ctx":
            continue
        if isinstance(value, ast.AST):
            write(field)
            _write(value, write)
        elif not isinstance(value, list):
            write(f"{field}={_literal(value)};")
        elif value:
            write(f"{field}[")
            for item in value:
                if isinstance(item, ast.AST):
                    _write(item, write)
                else:
                    write(f"{item!r};")
            write("]")
    write(")")


def _literal(value: object) -> str:
    # Python refuses to write a decimal number of 5,000 digits, but writes any in hexadecimal.
    if type(value) is int:
        return hex(value)
    return repr(value)
