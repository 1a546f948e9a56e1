"""Tells when a module comes into the kernel, before any code has used it."""

from __future__ import annotations

import sys
from typing import Any

waiting: dict[str, list[Any]] = {}
"""For each module that is not here yet, what to call when it is."""


def watch(name: str, callback: Any) -> None:
    """Call `callback(module)` as soon as the module is here; nothing is imported for it."""
    # an import hook would never see a module that is here already
    module = here(name)
    if module is not None:
        callback(module)
        return
    waiting.setdefault(name, []).append(callback)
    if finder not in sys.meta_path:
        sys.meta_path.insert(place(), finder)


def place() -> int:
    """Where the finder goes: right before the zygote's hidden modules, else first.

    So finders that only watch imports, such as that of the traces, are asked as ever.
    """
    for number, other in enumerate(sys.meta_path):
        if brings_others(other):
            return number
    return 0


def here(name: str) -> Any:
    """The module, if code can reach it, or None.

    In a fork it may be there as an attribute of its package, without an import of its own.
    """
    module = sys.modules.get(name)
    if module is not None:
        return module
    parent, _, last = name.rpartition(".")
    if parent in sys.modules:
        return vars(sys.modules[parent]).get(last)
    return None


def notify(ready: Any) -> None:
    """Tell of the modules that are here now; `ready` is the one whose import has just ended."""
    for name in list(waiting):
        module = here(name)
        # in a circular import, a module is here before it can be used
        if module is not None and (module is ready or not is_initializing(module)):
            for callback in waiting.pop(name):
                callback(module)


def is_initializing(module: Any) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class Finder:
    """Stands before the other finders, and asks them in turn."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the next finder says, with a loader that tells of the module.

        None for modules that nobody waits for: then the import goes on without this one.
        """
        if not waiting:
            return None
        for other in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            if name not in waiting and not brings_others(other):
                continue
            find = getattr(other, "find_spec", None)
            if find is None:
                continue
            spec = find(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = NotifyingLoader(spec.loader)
                return spec
        return None


def brings_others(finder: Any) -> bool:
    """Whether a module may come back with others that are not looked for: the zygote's finder.

    Known by its name, since these modules are not sent together.
    """
    return type(finder).__name__ == "HiddenModules"


class NotifyingLoader:
    """A loader that loads as another does, and then tells those who wait."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Load it; the module and its spec know the other loader only."""
        # `importlib.reload`, `pkgutil` and `inspect` ask it for sources and data
        module.__spec__.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        notify(module)


finder = Finder()
