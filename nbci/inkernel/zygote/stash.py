"""Modules imported ahead of need, out of sight until a kernel's own code imports them.

`sys.modules` of a forked kernel is what a fresh one's would be. An import that finds its module here brings it back
with everything that it had imported, unless what an import would find now is another file, or a changed one.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import threading
from typing import Any

from _nbci_zygote.installed import (  # type: ignore[import-not-found]  # these are there where this runs
    THREADED,
    identity,
    is_installed,
    touches_gpu,
    why_not,
)
from _nbci_zygote.memory import side_by_side  # type: ignore[import-not-found]
from _nbci_zygote.watch import Watch  # type: ignore[import-not-found]

ONCE = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class Stash:
    """The modules that are kept, what each of them imported, and a finder that brings them back."""

    def __init__(self) -> None:
        self.modules: dict[str, Any] = {}
        self.needs: dict[str, set[str]] = {}
        self.preloaded: list[str] = []
        self.refused: dict[str, str] = {}
        self.environment: dict[str, dict[str, str]] = {}
        self.spoilt: tuple[str, str] | None = None
        self._avoided = set(THREADED)
        self._unsure: set[str] = set()
        self._files: dict[str, Any] = {}
        self._closures: dict[str, tuple[str, ...]] = {}
        self._base: set[str] = set()
        self._set_right: set[tuple[int, str]] = set()
        self._restored_hooks = {
            "matplotlib": _choose_backend,
            "numpy": _reseed,
            "multiprocessing": _alias_main,
        }

    def install(self) -> None:
        """Take what is imported now as what every kernel has; find modules from now on."""
        self._base = set(sys.modules)
        sys.meta_path.insert(0, self)

    def avoid(self, packages: list[str]) -> None:
        """Never import these ahead."""
        self._avoided.update(packages)

    def preload(self, names: list[str]) -> bool:
        """Import those of `names` that come from installed distributions; whether anything new was imported."""
        new = [name for name in names if name not in self.preloaded and name not in self.refused]
        before = len(self.modules)
        for name in new:
            self._preload_one(name)
        if new:
            self._settle()
        return len(self.modules) > before

    def _settle(self) -> None:
        """Note what comes back with what: working it out in a kernel would copy the pages of all that it touches."""
        names = {name.rstrip("?") for name in self.preloaded}
        names |= {name.partition(".")[0] for name in names}
        closures = {name: self._kept_closure(name) for name in names & self.modules.keys()}
        near = side_by_side(name for closure in closures.values() for name in closure)
        self._closures = {name: tuple(map(near.__getitem__, closure)) for name, closure in closures.items()}

    def _kept_closure(self, name: str) -> tuple[str, ...]:
        return tuple(other for other in self._closure(name) if other in self.modules)

    def _preload_one(self, asked: str) -> None:
        name = asked.rstrip("?")  # it may be a module, or something else in one
        package = name.partition(".")[0]
        reason = "a fork does not carry it over" if package in self._avoided else None
        if reason is None and package not in self.modules:
            reason = why_not(package)
        if reason is None:
            threads = threading.active_count()
            before, environment = set(sys.modules), dict(os.environ)
            with Watch(self.needs, self._unsure, self.modules):
                try:
                    importlib.import_module(name)
                except BaseException as error:  # noqa: BLE001  # whatever a package does, the zygote lives on
                    reason = type(error).__name__ + ": " + str(error)
            self._take_back_environment(name, environment)
            self._adopt(name, set(sys.modules) - before)
            trouble = self.put_away()
            if threading.active_count() > threads:
                trouble = "it starts threads, which a fork does not carry over"
            elif touches_gpu():
                trouble = "it opens the GPU, which a fork must not inherit"
            if trouble is not None:
                self.spoilt = (package, trouble)
        if reason is None:
            self.preloaded.append(asked)
        else:
            self.refused[asked] = reason

    def _take_back_environment(self, name: str, before: dict[str, str]) -> None:
        """Keep what an import set in the environment for the kernels that do this import."""
        changed = {key: value for key, value in os.environ.items() if before.get(key) != value}
        if changed:
            self.environment[name] = changed
            for key in changed:
                if key in before:
                    os.environ[key] = before[key]
                else:
                    del os.environ[key]

    def _adopt(self, name: str, new: set[str]) -> None:
        """Hang on `name` what came with it by ways that were not seen."""
        needed = set(self._closure(name))
        self.needs.setdefault(name, set()).update(new - needed)

    def put_away(self) -> str | None:
        """Take what was imported out of sight; why kernels cannot be forked after it, or None."""
        trouble = None
        sys.modules.pop("__mp_main__", None)
        imported: dict[str, Any] = {name: module for name, module in sys.modules.items() if name not in self._base}
        new = {
            name: module
            for name, module in imported.items()
            if module is not None and self.modules.get(name) is not module
        }
        foreign = self._unsure | {name for name, module in new.items() if not is_installed(module)}
        for name, module in imported.items():
            del sys.modules[name]
            if name in new:
                self.modules[name] = module  # some names are taken more than once, such as `_cyutility`
                self._files[name] = identity(module) if "." not in name else None
        if foreign:
            tainted = {name for name in self.modules if foreign & set(self._closure(name))}
            for name in tainted:
                module = self.modules.pop(name)
                if str(getattr(module, "__file__", "")).endswith(ONCE):
                    # many of these cannot be loaded twice, as a kernel now would
                    trouble = name + " imports what is no installed distribution's"
        return trouble

    def _closure(self, name: str) -> list[str]:
        """`name` and all that it needs, what is needed first."""
        order: list[str] = []
        seen: set[str] = set()
        pending = [(name, False)]
        while pending:
            current, done = pending.pop()
            if done:
                order.append(current)
            elif current not in seen:
                seen.add(current)
                pending.append((current, True))
                parent = current.rpartition(".")[0]
                needs = set(self.needs.get(current, ()))
                if parent:
                    needs.add(parent)
                pending.extend((other, False) for other in needs - seen)
        return order

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The finder's part: give the module back, as long as it is the one that an import would find."""
        if name not in self.modules:
            return None
        if "." not in name and not self._still_found(name):
            return None
        closure = self._closures.get(name) or self._kept_closure(name)
        if any("." not in other and identity(self.modules[other]) != self._files[other] for other in closure):
            return None
        return _spec_like(self.modules[name], name, _Returns(self, self.modules[name], closure))

    def _still_found(self, name: str) -> bool:
        found = importlib.machinery.PathFinder.find_spec(name)
        known = getattr(self.modules[name], "__spec__", None)
        if found is None:
            return name in sys.builtin_module_names or getattr(known, "origin", None) in ("built-in", "frozen")
        return known is not None and found.origin == known.origin

    def give_back(self, names: tuple[str, ...]) -> None:
        for name in names:
            sys.modules.setdefault(name, self.modules[name])

    def returned(self, names: tuple[str, ...]) -> None:
        """Set right, in a kernel, what was decided when these were imported.

        Once for each: another import comes back with them, too, and what the user's code set since then must stay.
        """
        process = os.getpid()
        first = [name for name in names if (process, name) not in self._set_right and name in sys.modules]
        self._set_right.update((process, name) for name in first)
        for name in first if self.environment else ():
            os.environ.update(self.environment.get(name, {}))
        for name, hook in self._restored_hooks.items():
            if name in first:
                hook(sys.modules[name])


class _Returns:
    """A loader that gives a module that was loaded before."""

    def __init__(self, stash: Stash, module: Any, closure: tuple[str, ...]) -> None:
        self._stash = stash
        self._module = module
        self._spec = getattr(module, "__spec__", None)
        self._loader = getattr(module, "__loader__", None)
        self._closure = closure

    def create_module(self, spec: Any) -> Any:
        self._stash.give_back(self._closure[:-1])
        return self._module

    def exec_module(self, module: Any) -> None:
        module.__spec__ = self._spec
        module.__loader__ = self._loader
        self._stash.returned(self._closure)


def _spec_like(module: Any, name: str, loader: Any) -> Any:
    """What a finder would say of a module, but for the loader."""
    known = getattr(module, "__spec__", None)
    spec = importlib.machinery.ModuleSpec(name, loader, origin=getattr(known, "origin", None))
    spec.has_location = getattr(known, "has_location", False)
    if hasattr(module, "__path__"):
        spec.submodule_search_locations = module.__path__
    return spec


def _choose_backend(matplotlib: Any) -> None:
    backend = os.environ.get("MPLBACKEND")
    if backend:
        matplotlib.rcParams["backend"] = backend


def _alias_main(_: Any) -> None:
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])


def _reseed(numpy: Any) -> None:
    """Seed numpy's global generator as its import does; unlike `seed()`, this leaves it known for one nobody seeded.

    `numpy.random` may be reached as an attribute, without an import of its own.
    """
    random = vars(numpy).get("random")
    if random is not None:
        random.mtrand._rand.__init__()
