"""Which installed distributions a kernel's imported modules come from, and their versions."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Contents = dict[str, tuple[tuple[str, str], ...]]

MOST_FOLDERS = 64
"""How many folders' contents are remembered: those of a few environments."""


def distributions_of(modules: Iterable[str], path: Iterable[str]) -> dict[str, str]:
    """Versions by distribution name.

    `modules` are top-level names; of namespace packages, which several distributions share, also
    `package/child`.
    """
    wanted = tuple(modules)
    shared = {name.partition("/")[0] for name in wanted if "/" in name}
    found: dict[str, str] = {}
    for folder in path:
        contents = _contents_now(folder)
        for name in wanted:
            # Of a namespace package only the children tell distributions apart.
            if name in shared:
                continue
            for distribution, version in contents.get(name, ()):
                found.setdefault(distribution, version)
    return dict(sorted(found.items()))


def _contents_now(folder: str) -> Contents:
    try:
        changed_ns = Path(folder).stat().st_mtime_ns
    except OSError:
        return {}
    return _contents(folder, changed_ns)


@functools.lru_cache(maxsize=MOST_FOLDERS)
def _contents(folder: str, changed_ns: int) -> Contents:
    """The distributions that hold each module in a folder of `sys.path` that changed last then.

    To read the lists of files takes longer than a short step, so one read serves all steps of a
    run; a step that installs something changes the folder's time, and so what is asked for.
    """
    owners: dict[str, set[tuple[str, str]]] = {}
    for info in Path(folder).glob("*.dist-info"):
        distribution = _identity(info)
        for module in _modules(info):
            owners.setdefault(module, set()).add(distribution)
    return {module: tuple(sorted(found)) for module, found in owners.items()}


def _identity(info: Path) -> tuple[str, str]:
    name, _, version = info.name.removesuffix(".dist-info").partition("-")
    fields = {}
    try:
        with (info / "METADATA").open(encoding="utf-8", errors="replace") as file:
            # The first few lines say it; a description of any length follows.
            for line in file:
                field, _, value = line.rstrip("\n").partition(": ")
                if field in ("Name", "Version"):
                    fields[field] = value
                if len(fields) == 2 or not line.strip():
                    break
    except OSError:
        pass
    return fields.get("Name", name), fields.get("Version", version)


def _modules(info: Path) -> set[str]:
    """Top-level modules of a distribution, and `package/child` one level down."""
    try:
        record = (info / "RECORD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    names: set[str] = set()
    for line in record.splitlines():
        path = line.partition(",")[0]
        parts = path.split("/", 2)
        # Programs and data lie beside the modules, or above them.
        if parts[0].endswith((".dist-info", ".data")) or parts[0] in ("..", ""):
            continue
        if "__pycache__" in path:
            continue
        if len(parts) == 1 and not parts[0].endswith((".py", ".so", ".pyd")):
            continue
        first = parts[0].partition(".")[0]
        names.add(first)
        if len(parts) > 1:
            names.add(f"{first}/{parts[1].partition('.')[0]}")
    return names
