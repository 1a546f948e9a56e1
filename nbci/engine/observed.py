"""What a step was seen to use beside what it declares, as parts of its key, and whether that still stands."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.deps import declared
from nbci.records.model import Part
from nbci.store.environments import environment_key
from nbci.store.index import SETTLED_NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.kernels.job import Seen
    from nbci.plan.model import PlannedStep
    from nbci.store.index import FileIndex

_NOT_INPUTS = (".git/", ".nbci/", ".ipynb_checkpoints/")


def observed_parts(
    root: Path, step: PlannedStep, seen: Seen, distributions: Mapping[str, str], index: FileIndex
) -> tuple[Part, ...]:
    """The interpreter, packages, own modules and undeclared project files that the step used.

    For a step with an environment its lock file stands for interpreter and packages, so that it need not be made only
    to see that nothing has changed.
    """
    if step.environment is not None:
        parts = [Part(kind="environment", label=step.environment, digest=_locked(root, step.environment))]
    else:
        parts = [Part(kind="interpreter", label=seen.interpreter, digest=_stamp(seen.interpreter))]
        parts += [Part(kind="site", label=folder, digest="") for folder in seen.site_folders]
        parts += [Part(kind="package", label=name, digest=version) for name, version in distributions.items()]
    parts += [_file_part("module", root, path, index) for path in seen.modules if os.path.exists(path)]
    modules = {os.path.relpath(path, root) for path in seen.modules}
    parts += [
        _file_part("file", root, path, index) for path in undeclared(root, step, seen.read) if path not in modules
    ]
    parts += [Part(kind="network", label=host, digest="") for host in seen.network]
    return tuple(parts)


def outside(seen: Seen, root: Path, cache: Path) -> Seen:
    """What was seen without the values that nbci itself read and wrote, when its cache lies in the project."""
    if not cache.is_relative_to(root):
        return seen
    folder = f"{cache.relative_to(root).as_posix()}/"
    return replace(
        seen,
        read=tuple(path for path in seen.read if not path.startswith(folder)),
        written=tuple(path for path in seen.written if not path.startswith(folder)),
    )


def undeclared(root: Path, step: PlannedStep, paths: Iterable[str]) -> list[str]:
    """Those of the project's files that the step does not declare."""
    known = (*declared(root, step.deps), *step.outs, *step.metrics)
    return [
        path
        for path in paths
        if not path.startswith(_NOT_INPUTS)
        and not path.endswith(".pyc")
        and not any(path == name or path.startswith(f"{name}/") for name in known)
        and (root / path).is_file()
    ]


def first_change(root: Path, parts: Iterable[Part], index: FileIndex) -> Part | None:
    """The first of the parts that is no longer as it was; None when all still stand."""
    parts = tuple(parts)
    installed: dict[str, str] | None = None
    for part in parts:
        if part.kind == "package":
            if installed is None:
                installed = dict(_installed(p.label for p in parts if p.kind == "site"))
            now = installed.get(_plain(part.label))
        elif part.kind == "environment":
            now = _locked(root, part.label)
        elif part.kind == "interpreter":
            now = _stamp(part.label)
        elif part.kind in ("module", "file"):
            place = root / part.label
            now = index.digest(place)[0] if place.is_file() else None
        else:
            continue
        if now != part.digest:
            return part
    return None


def _file_part(kind: str, root: Path, path: str, index: FileIndex) -> Part:
    place = root / path
    label = place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)
    return Part(kind=kind, label=label, digest=index.digest(place)[0])


def _locked(root: Path, lock: str) -> str:
    try:
        return environment_key(root, lock)
    except OSError:
        return "gone"


def _stamp(path: str) -> str:
    try:
        found = os.stat(path)
    except OSError:
        return "gone"
    return f"{found.st_size}-{found.st_mtime_ns}"


def _installed(folders: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and version of each distribution; the first folder on the path wins."""
    found: dict[str, str] = {}
    for folder in folders:
        for name, version in _distributions(folder):
            found.setdefault(name, version)
    yield from found.items()


def _distributions(folder: str) -> tuple[tuple[str, str], ...]:
    """Those of one folder; a thousand steps ask for them, so they are listed once for each state of the folder."""
    try:
        changed_ns = os.stat(folder).st_mtime_ns
        settled = time.time_ns() - changed_ns > SETTLED_NS
        return _listed(folder, changed_ns) if settled else _listed.__wrapped__(folder, changed_ns)
    except OSError:
        return ()


@lru_cache(maxsize=64)
def _listed(folder: str, _changed_ns: int) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_plain(distribution), version)
        for name in os.listdir(folder)
        if name.endswith(".dist-info")
        for distribution, _, version in (name.removesuffix(".dist-info").partition("-"),)
    )


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
