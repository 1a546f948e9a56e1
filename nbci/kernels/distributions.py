"""Which installed distributions the modules that a kernel imported come from, and their versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Contents = dict[str, tuple[tuple[str, str], ...]]

_read: dict[str, tuple[int, Contents]] = {}
"""By folder: when it changed last, and the distributions that hold each module.

One read serves all steps.
"""


def distributions_of(modules: Iterable[str], path: Iterable[str]) -> dict[str, str]:
    """Versions by distribution name.

    `modules` are top-level names; of namespace packages, which several distributions share, also
    `package/child`.
    """
    wanted = tuple(modules)
    shared = {name.partition("/")[0] for name in wanted if "/" in name}
    found: dict[str, str] = {}
    for folder in path:
        contents = _contents(folder)
        for name in wanted:
            if name not in shared:
                for distribution, version in contents.get(name, ()):
                    found.setdefault(distribution, version)
    return dict(sorted(found.items()))


def _contents(folder: str) -> Contents:
    place = Path(folder)
    try:
        changed = place.stat().st_mtime_ns
    except OSError:
        return {}
    known = _read.get(folder)
    if known is not None and known[0] == changed:
        return known[1]
    contents: dict[str, set[tuple[str, str]]] = {}
    if place.is_dir():
        for info in place.glob("*.dist-info"):
            distribution = _identity(info)
            for module in _modules(info):
                contents.setdefault(module, set()).add(distribution)
    frozen = {module: tuple(sorted(owners)) for module, owners in contents.items()}
    _read[folder] = (changed, frozen)
    return frozen


def _identity(info: Path) -> tuple[str, str]:
    name, _, version = info.name.removesuffix(".dist-info").partition("-")
    fields = {}
    try:
        with (info / "METADATA").open(encoding="utf-8", errors="replace") as file:
            for line in file:  # the first few lines say it; a description of any length follows
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
        if (
            parts[0].endswith((".dist-info", ".data"))
            or parts[0] in ("..", "")
            or "__pycache__" in path
        ):
            continue
        if len(parts) == 1 and not parts[0].endswith((".py", ".so", ".pyd")):
            continue
        first = parts[0].partition(".")[0]
        names.add(first)
        if len(parts) > 1:
            names.add(f"{first}/{parts[1].partition('.')[0]}")
    return names
