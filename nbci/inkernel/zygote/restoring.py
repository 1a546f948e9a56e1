"""Brings back a module that was imported before: its loader, its spec, what kernels decide."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from typing import Any

EXTENSIONS = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class RestoringLoader:
    """A loader that gives a module that was loaded before."""

    def __init__(self, hidden: Any, module: Any, closure: tuple[str, ...]) -> None:
        self._hidden = hidden
        self._module = module
        self._spec = getattr(module, "__spec__", None)
        self._loader = getattr(module, "__loader__", None)
        self._closure = closure
        self._new: tuple[str, ...] = ()

    def create_module(self, spec: Any) -> Any:
        self._new = self._hidden.restore(self._closure)
        return self._module

    def exec_module(self, module: Any) -> None:
        # the import system has just set these to this loader and its spec
        module.__spec__ = self._spec
        module.__loader__ = self._loader
        self._hidden.redo_effects(self._new)


def spec_like(module: Any, name: str, loader: Any) -> Any:
    """The spec that a finder would give for the module, but for the loader."""
    known = getattr(module, "__spec__", None)
    spec = importlib.machinery.ModuleSpec(name, loader, origin=getattr(known, "origin", None))
    spec.has_location = getattr(known, "has_location", False)
    if hasattr(module, "__path__"):
        spec.submodule_search_locations = module.__path__
    return spec


def is_compiled(module: Any) -> bool:
    return str(getattr(module, "__file__", "")).endswith(EXTENSIONS)


def choose_backend(matplotlib: Any) -> None:
    backend = os.environ.get("MPLBACKEND")
    if backend:
        matplotlib.rcParams["backend"] = backend


def alias_main(_: Any) -> None:
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])


def reseed(numpy: Any) -> None:
    """Seed numpy's global generator as its import does: forks would all draw the same numbers.

    Unlike `seed()`, this leaves the generator known for one that nobody seeded. `numpy.random` may
    be reached as an attribute, without an import of its own.
    """
    random = vars(numpy).get("random")
    if random is not None:
        random.mtrand._rand.__init__()


HOOKS = {"matplotlib": choose_backend, "numpy": reseed, "multiprocessing": alias_main}
"""What is done once more in each kernel that brings a module back, since it depends on the kernel.
"""
