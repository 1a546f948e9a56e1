"""Import libraries without those of their own imports that nbci does not need."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

_FORMATS = (
    "isoduration",
    "rfc3986_validator",
    "rfc3987",
    "rfc3987_syntax",
    "uri_template",
    "webcolors",
)
_COLOURS = ("colorama", "curses")


def lean_import(name: str, *, without: tuple[str, ...] = ()) -> Any:
    """The module of that name, for one that imports jsonschema or tornado, and less of others.

    `without` are packages that the module imports where they are installed, and works without.

    jsonschema imports the packages with which it checks formats where they are installed; one of
    them compiles 39 grammars, which takes a second. No schema of nbci or nbformat asks for such a
    format. tornado prepares for colours in its log, which nobody sees.
    """
    # Modules that are loaded already cost nothing more, and others may be using them.
    hidden = [package for package in (*_FORMATS, *_COLOURS, *without) if package not in sys.modules]
    # Python takes a module that is None in sys.modules for one that is not installed.
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        return importlib.import_module(name)
    finally:
        for package in hidden:
            with contextlib.suppress(KeyError):
                del sys.modules[package]
