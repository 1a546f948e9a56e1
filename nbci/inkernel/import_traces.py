"""Modules that a step imports or looks for, and where they were looked for."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from .counted_paths import counts, foreign, full_path, is_foreign, roots
from .file_traces import source_of

looked: dict[tuple[str, tuple[str, ...]], None] = {}
"""Modules that were looked for, with the path; a dict keeps them in order, once each."""


def watch_imports() -> None:
    """See from now on which modules are looked for."""
    # before all other finders: one that finds a module ends the search
    sys.meta_path.insert(0, ImportWatch())


class ImportWatch:
    """A finder that finds nothing, and notes what is looked for where."""

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> None:
        if path is None:
            path = sys.path
        looked[name, tuple(path)] = None


def searched_folders() -> dict[str, set[str]]:
    """By folder that is no installed one: the modules that were looked for in it."""
    found: dict[str, set[str]] = {}
    for name, folders in list(looked):
        if name.partition(".")[0] in sys.builtin_module_names:
            continue
        if not any(map(is_searchable, folders)):
            continue
        place = place_of(getattr(sys.modules.get(name), "__file__", None) or "")
        for folder in folders:
            if is_searchable(folder):
                found.setdefault(full_path(folder or "."), set()).add(name.rpartition(".")[2])
            if absolute(folder) == place:
                break  # found here: the folders behind were not looked into
    return found


@functools.lru_cache(maxsize=4096)
def absolute(folder: str) -> str:
    return os.path.abspath(folder)


def place_of(file: str) -> str:
    """The folder in which a module was found."""
    folder = absolute(os.path.dirname(file))
    if os.path.basename(file).startswith("__init__."):
        return os.path.dirname(folder)
    return folder


@functools.lru_cache(maxsize=4096)
def is_searchable(folder: str) -> bool:
    """Whether modules that belong to no distribution may be found there, now or later."""
    full = full_path(folder or ".")
    return counts(full) and not os.path.isfile(full)


def files_of_modules() -> list[str]:
    """Collected once: in a forked kernel, each module that is touched has memory copied."""
    files = []
    # copied: another thread may import
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            files.append(file)
    return files


def own_modules(module_files: list[str]) -> list[str]:
    """Files of the modules that belong neither to Python nor to an installed distribution."""
    files = set()
    elsewhere = tuple(foreign)
    inside = tuple(roots)
    for file in module_files:
        if file.startswith(elsewhere) and not file.startswith(inside):
            continue  # at once: most are, and there may be thousands
        full = full_path(file)
        if is_foreign(full):
            continue
        if full.endswith(".pyc"):
            full = source_of(full)
        files.add(full)
    return sorted(files)
