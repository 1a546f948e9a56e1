"""Tells when a module comes into the kernel, before any code has used it."""

from __future__ import annotations

import sys
from typing import Any

waiting: dict[str, list[Any]] = {}
"""For each module that is not here yet, who wants to know when it is."""


def watch(name: str, callback: Any) -> None:
    """Call `callback(module)` as soon as the module is here; nothing is imported for it."""
    module = here(name)
    if module is not None:
        callback(module)
        return
    waiting.setdefault(name, []).append(callback)
    if finder not in sys.meta_path:
        sys.meta_path.insert(place(), finder)


def place() -> int:
    """Right before the zygote's stash, so that those which only watch are asked as ever; else the
    first.
    """
    return next((number for number, other in enumerate(sys.meta_path) if brings_others(other)), 0)


def here(name: str) -> Any:
    """The module, if code can reach it: in a fork also as an attribute, without an import of its
    own.
    """
    module = sys.modules.get(name)
    if module is None:
        parent, _, last = name.rpartition(".")
        module = vars(sys.modules[parent]).get(last) if parent in sys.modules else None
    return module


def look(ready: Any) -> None:
    """Tell of those that are here now; `ready` is the module whose import has just ended."""
    for name in list(waiting):
        module = here(name)
        if module is not None and (module is ready or not is_initializing(module)):
            for callback in waiting.pop(name):
                callback(module)


def is_initializing(module: Any) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class Finder:
    """Stands before the other finders, and asks them in turn."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the next finder says, with a loader that tells of the module; None for those that
        nobody waits for.
        """
        for other in sys.meta_path[sys.meta_path.index(self) + 1 :] if waiting else ():
            if name not in waiting and not brings_others(other):
                continue
            find = getattr(other, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = Telling(spec.loader)
                return spec
        return None


def brings_others(finder: Any) -> bool:
    """Whether a module may come back with others that are not looked for: see the zygote's stash."""
    return type(finder).__name__ == "Stash"


class Telling:
    """A loader that loads as another does, and then tells."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Load it; the module and its spec know the other loader only."""
        module.__spec__.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        look(module)


finder = Finder()
