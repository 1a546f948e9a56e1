"""What kernels define before any cell runs: IPython's startup files on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.dataflow.code import CellSyntaxError, parse_cell
from nbci.dataflow.names import names_of
from nbci.dataflow.origin import Brought

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def brought_names(declared: Iterable[str], environ: Mapping[str, str]) -> Brought:
    """The names that the project declared, and those that IPython's startup files bind."""
    of_ipython = environ.get("IPYTHONDIR") or os.path.join(os.path.expanduser("~"), ".ipython")
    folder = os.path.join(of_ipython, "profile_default", "startup")
    try:
        # In the order in which IPython runs them: a later one may bind a name, too.
        files = sorted(name for name in os.listdir(folder) if name.endswith((".py", ".ipy")))
    except OSError:
        files = []
    perhaps: dict[str, str] = {}
    for file in files:
        perhaps.update(_names_bound_in(Path(folder, file)))
    return Brought(surely=frozenset(declared), perhaps=perhaps)


def _names_bound_in(file: Path) -> dict[str, str]:
    """Each name that the file binds, with what to say of it."""
    try:
        names = names_of([parse_cell(file.read_text(encoding="utf-8"))])
    except (OSError, UnicodeDecodeError, CellSyntaxError):
        return {}
    reason = (
        f"IPython's startup file {file.name} defines it on this machine; "
        "`names:` says that all kernels have it"
    )
    return dict.fromkeys(names.binds, reason)
