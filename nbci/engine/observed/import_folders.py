"""What imports find in a folder: modules, and distributions that were installed there.

Each folder is listed once for each state of it, since a thousand steps ask for the same ones.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from nbci.store.file_index import SETTLED_NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from functools import _lru_cache_wrapper

_SUFFIXES = {"": "folder", "py": "source", "pyc": "bytecode", "so": "extension", "pyd": "extension"}


def forms_of(folder: str, names: Iterable[str]) -> str:
    """What an import of each of the names would find in a folder."""
    found = _contents(folder, _listed_modules)
    states = []
    for name in sorted(names):
        form = _form(folder, name, found.get(name, frozenset()))
        states.append(f"{name}={form}")
    return " ".join(states)


def _form(folder: str, name: str, forms: frozenset[str]) -> str:
    """What an import takes of the files there are, in the order in which it looks.

    The order is that of importlib's FileFinder.
    """
    is_folder = "folder" in forms and os.path.isdir(os.path.join(folder, name))
    if is_folder:
        for init in ("__init__.py", "__init__.pyc"):
            if os.path.exists(os.path.join(folder, name, init)):
                return "package"
    # A package without `__init__` comes last: FileFinder takes a module of that name before it.
    for form in ("extension", "source", "bytecode"):
        if form in forms:
            return form
    if is_folder:
        return "namespace"
    return ""


def plain_name(name: str) -> str:
    # Compared as PyPI normalizes names, since the names of folders may be spelled otherwise.
    return name.lower().replace("-", "_").replace(".", "_")


def distributions(folder: str) -> Mapping[str, str]:
    """The versions of the distributions in one folder.

    A thousand steps ask for them, so they are listed once for each state of the folder.
    """
    return _contents(folder, _listed_distributions)


_Found = TypeVar("_Found")


def _contents(
    folder: str, listed: _lru_cache_wrapper[Mapping[str, _Found]]
) -> Mapping[str, _Found]:
    try:
        changed_ns = os.stat(folder).st_mtime_ns
        # Not cached within a clock tick of a change: another one could leave the same time.
        if time.time_ns() - changed_ns <= SETTLED_NS:
            return listed.__wrapped__(folder, changed_ns)
        return listed(folder, changed_ns)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _listed_distributions(folder: str, _changed_ns: int) -> Mapping[str, str]:
    found = {}
    # By the names of folders alone: to open a file of each package takes many times as long.
    for name in os.listdir(folder):
        if name.endswith(".dist-info"):
            distribution, _, version = name.removesuffix(".dist-info").partition("-")
            found[plain_name(distribution)] = version
    return found


@lru_cache(maxsize=256)
def _listed_modules(folder: str, _changed_ns: int) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for entry in os.listdir(folder):
        name, _, suffix = entry.partition(".")
        form = _SUFFIXES.get(suffix)
        # Extensions mostly name their ABI before the suffix: `name.cpython-311-x86_64.so`.
        if form is None and suffix.endswith((".so", ".pyd")):
            form = "extension"
        if form is not None:
            found.setdefault(name, set()).add(form)
    return {name: frozenset(forms) for name, forms in found.items()}
