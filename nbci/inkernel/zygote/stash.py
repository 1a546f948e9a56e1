"""Modules imported ahead of need, out of sight until a kernel's own code imports them.

`sys.modules` of a forked kernel is what a fresh one's would be. An import that finds its module here brings it back
with everything that it had imported, unless what an import would find now is another file, or a changed one.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
import threading
from typing import Any

ONCE = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class Stash:
    """The modules that are kept, what each of them imported, and a finder that brings them back."""

    def __init__(self) -> None:
        self.modules: dict[str, Any] = {}
        self.needs: dict[str, set[str]] = {}
        self.preloaded: list[str] = []
        self.refused: dict[str, str] = {}
        self.environment: dict[str, dict[str, str]] = {}
        self.spoilt: str | None = None
        self._unsure: set[str] = set()
        self._files: dict[str, Any] = {}
        self._base: set[str] = set()
        self._restored_hooks = {
            "matplotlib": _choose_backend,
            "numpy.random": _reseed,
            "multiprocessing": _alias_main,
        }

    def install(self) -> None:
        """Take what is imported now as what every kernel has; find modules from now on."""
        self._base = set(sys.modules)
        sys.meta_path.insert(0, self)

    def preload(self, names: list[str]) -> bool:
        """Import those of `names` that come from installed distributions; whether anything new was imported."""
        new = [name for name in names if name not in self.preloaded and name not in self.refused]
        before = len(self.modules)
        for name in new:
            self._preload_one(name)
        return len(self.modules) > before

    def _preload_one(self, asked: str) -> None:
        name = asked.rstrip("?")  # it may be a module, or something else in one
        reason = _why_not(name)
        if reason is None:
            threads = threading.active_count()
            before, environment = set(sys.modules), dict(os.environ)
            with _Watch(self.needs, self._unsure, self.modules):
                try:
                    importlib.import_module(name)
                except BaseException as error:  # noqa: BLE001  # whatever a package does, the zygote lives on
                    reason = type(error).__name__ + ": " + str(error)
            self._take_back_environment(name, environment)
            if threading.active_count() > threads:
                reason = "it starts threads, which a fork does not carry over"
            self._adopt(name, set(sys.modules) - before)
            self._put_away()
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

    def _put_away(self) -> None:
        sys.modules.pop("__mp_main__", None)
        imported: dict[str, Any] = {name: module for name, module in sys.modules.items() if name not in self._base}
        new = {
            name: module
            for name, module in imported.items()
            if module is not None and self.modules.get(name) is not module
        }
        foreign = self._unsure | {name for name, module in new.items() if not _is_installed(module)}
        for name, module in imported.items():
            del sys.modules[name]
            if name in new:
                self.modules[name] = module  # some names are taken more than once, such as `_cyutility`
                self._files[name] = _identity(module) if "." not in name else None
        if foreign:
            tainted = {name for name in self.modules if foreign & set(self._closure(name))}
            for name in tainted:
                module = self.modules.pop(name)
                if str(getattr(module, "__file__", "")).endswith(ONCE):
                    self.spoilt = name  # many of these cannot be loaded twice, as a kernel now would

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
        closure = [other for other in self._closure(name) if other in self.modules]
        if any("." not in other and _identity(self.modules[other]) != self._files[other] for other in closure):
            return None
        return _spec_like(self.modules[name], name, _Returns(self, self.modules[name], closure))

    def _still_found(self, name: str) -> bool:
        found = importlib.machinery.PathFinder.find_spec(name)
        known = getattr(self.modules[name], "__spec__", None)
        if found is None:
            return name in sys.builtin_module_names or getattr(known, "origin", None) in ("built-in", "frozen")
        return known is not None and found.origin == known.origin

    def give_back(self, names: list[str]) -> None:
        for name in names:
            sys.modules.setdefault(name, self.modules[name])

    def returned(self, names: list[str]) -> None:
        """Set right, in a kernel, what was decided when these were imported."""
        for name in self.environment.keys() & set(names):
            os.environ.update(self.environment[name])
        for name, hook in self._restored_hooks.items():
            if name in names and name in sys.modules:
                hook(sys.modules[name])


class _Returns:
    """A loader that gives a module that was loaded before."""

    def __init__(self, stash: Stash, module: Any, closure: list[str]) -> None:
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


class _Anything:
    """Lets itself be asked and called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self


class ZMQInteractiveShell:
    """Answers whether this is a kernel, as a kernel's shell does.

    Whoever wants more is imported in the kernel again.
    """

    def __init__(self, wants_more: Any) -> None:
        self._wants_more = wants_more
        self.kernel = object()
        self.config: dict[str, Any] = {"IPKernelApp": {}}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._wants_more()
        return _Anything()


class _Watch:
    """While it is entered, notes which module imports which, and those that ask what they are imported into."""

    def __init__(self, needs: dict[str, set[str]], unsure: set[str], settled: dict[str, Any]) -> None:
        """What is `settled` needs nothing more: what its functions import is not its own."""
        self._needs = needs
        self._settled = settled
        self._unsure = unsure

    def __enter__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self._import, self._import_module = builtins.__import__, importlib.import_module
        builtins.__import__ = self._noting_import
        importlib.import_module = self._noting_import_module  # put back on leaving
        # a module may do otherwise in a kernel than outside of one; no kernel has begun here
        shell = ZMQInteractiveShell(self._note_asker)
        builtins.get_ipython = lambda: shell  # type: ignore[attr-defined]  # as IPython adds it
        InteractiveShell.initialized = lambda: True  # type: ignore[method-assign]
        InteractiveShell.instance = lambda *_, **__: shell  # type: ignore[method-assign, assignment]
        self._shell = InteractiveShell

    def __exit__(self, *_: Any) -> None:
        builtins.__import__ = self._import
        importlib.import_module = self._import_module
        del builtins.get_ipython  # type: ignore[attr-defined]
        del self._shell.initialized, self._shell.instance

    def _note_asker(self) -> None:
        frame: Any = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "<module>":
                self._unsure.add(frame.f_globals["__name__"])
                return
            frame = frame.f_back

    def _noting_import(
        self,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        result = self._import(name, globals, locals, fromlist, level)
        importer = globals.get("__name__") if isinstance(globals, dict) else None
        if importer and importer not in self._settled:
            full = name
            if level:
                package = globals.get("__package__") or importer.rpartition(".")[0]
                full = package.rsplit(".", level - 1)[0] + ("." + name if name else "")
            needs = self._needs.setdefault(importer, set())
            needs.add(full)
            needs.update(full + "." + part for part in fromlist or () if full + "." + part in sys.modules)
        return result

    def _noting_import_module(self, name: str, package: Any = None) -> Any:
        result = self._import_module(name, package)
        importer = sys._getframe(1).f_globals.get("__name__")
        if importer and importer not in self._settled:
            self._needs.setdefault(importer, set()).add(getattr(result, "__name__", name))
        return result


def installed_folders() -> list[str]:
    """Where installed distributions and the standard library lie."""
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [folder for folder in sys.path if os.path.basename(folder) in ("site-packages", "dist-packages")]
    return list(dict.fromkeys(os.path.realpath(folder) + os.sep for folder in folders))


_FOLDERS: list[str] = []


def _lies_in_installed(path: str) -> bool:
    if not _FOLDERS:
        _FOLDERS.extend(installed_folders())
    return os.path.realpath(path).startswith(tuple(_FOLDERS))


def _is_installed(module: Any) -> bool:
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None) or getattr(module, "__file__", None)
    if isinstance(origin, str) and os.path.isabs(origin):
        return _lies_in_installed(origin)
    places = getattr(spec, "submodule_search_locations", None)
    return all(_lies_in_installed(str(place)) for place in places or ())


def _why_not(name: str) -> str | None:
    """Why a module may not be imported ahead, or None."""
    spec: Any
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError) as error:
        return str(error)
    if spec is None:
        return "there is no such module"
    if isinstance(spec.loader, _Returns):
        return None
    places = (
        [spec.origin] if spec.origin and os.path.isabs(spec.origin) else list(spec.submodule_search_locations or ())
    )
    if not places and spec.origin not in ("built-in", "frozen"):
        return "nobody knows where it comes from"
    if not all(_lies_in_installed(str(place)) for place in places):
        return "it is no installed distribution's"
    return None


def _identity(module: Any) -> Any:
    """What changes when the module's file does."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    if not isinstance(origin, str) or not os.path.isabs(origin):
        return None
    try:
        found = os.stat(origin)
    except OSError:
        return "missing"
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _choose_backend(matplotlib: Any) -> None:
    backend = os.environ.get("MPLBACKEND")
    if backend:
        matplotlib.rcParams["backend"] = backend


def _alias_main(_: Any) -> None:
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])


def _reseed(random: Any) -> None:
    random.seed()
