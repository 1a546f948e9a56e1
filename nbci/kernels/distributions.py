"""Which installed distributions a kernel's imported modules come from, and their versions."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Contents = dict[str, tuple[tuple[str, str], ...]]

MOST_FOLDERS = 64
"""How many folders' contents are remembered: those of a few environments."""
_BEGINNINGS = re.compile(r"^([^/,\n]+)(/?)([^/,\n]*).*(?:\n\1\2\3[/,].*)*", re.MULTILINE)
# The first two names of the paths in a RECORD, a slash if they are two. An environment's lists have
# 60,000 lines, each beginning mostly as the one before: a match takes all of these at once.


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
    for first, has_more, second in set(_BEGINNINGS.findall(record)):
        # Programs and data lie beside the modules, or above them.
        if first.endswith((".dist-info", ".data")) or first == "..":
            continue
        if "__pycache__" in (first, second):
            continue
        if not has_more and not first.endswith((".py", ".so", ".pyd")):
            continue
        module = first.partition(".")[0]
        names.add(module)
        if has_more:
            names.add(f"{module}/{second.partition('.')[0]}")
    return names
