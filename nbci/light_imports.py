"""Libraries imported without what they bring along for nothing."""

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


def lean_import(name: str) -> Any:
    """The module of that name, for one that imports jsonschema or tornado.

    Where somebody has installed what jsonschema checks formats with, it would import it: one of
    these packages compiles 39 grammars, for a second. No schema of nbci's or of nbformat's asks for
    such a format. And tornado prepares for colours in its log, of which nobody sees anything.
    """
    hidden = [package for package in (*_FORMATS, *_COLOURS) if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: what Python takes for not installed
    try:
        return importlib.import_module(name)
    finally:
        for package in hidden:
            with contextlib.suppress(KeyError):
                del sys.modules[package]
