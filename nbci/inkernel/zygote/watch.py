"""Watches imports: which module imports which, and which ones ask what they are imported into."""

from __future__ import annotations

import builtins
import importlib
import sys
from typing import Any

from _nbci_zygote.loading import module_being_loaded


class Anything:
    """Lets itself be asked and called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self


class ZMQInteractiveShell:
    """Answers whether this is a kernel, as a kernel's shell does.

    Packages look at its class name and `config` only (matplotlib, tqdm, rich). A module that wants
    more is noted, and imported again by the kernel itself.
    """

    def __init__(self, wants_more: Any) -> None:
        self._wants_more = wants_more
        self.kernel = object()
        self.config: dict[str, Any] = {"IPKernelApp": {}}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._wants_more()
        return Anything()


class Watch:
    """Notes, while it is entered, which module imports which, and which ones use the shell."""

    def __init__(
        self, needs: dict[str, set[str]], unsure: set[str], settled: dict[str, Any]
    ) -> None:
        """`settled` modules need nothing more: their callers need what their functions import."""
        self._needs = needs
        self._settled = settled
        self._unsure = unsure

    def __enter__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self._import, self._import_module = builtins.__import__, importlib.import_module
        # compiled modules and `importlib` itself do not go through these two
        builtins.__import__ = self._import_and_note
        importlib.import_module = self._import_and_note_module  # put back on leaving
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

    def _import_and_note(
        self,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        result = self._import(name, globals, locals, fromlist, level)
        asker = globals.get("__name__") if isinstance(globals, dict) else None
        importer = self._importer(asker)
        if importer:
            full = name
            if level:
                full = _absolute_name(name, level, globals.get("__package__"), str(asker))
            needs = self._needs.setdefault(importer, set())
            needs.add(full)
            # `from package import part`: the part may be a module, or anything else in the package
            for part in fromlist or ():
                if full + "." + part in sys.modules:
                    needs.add(full + "." + part)
        return result

    def _import_and_note_module(self, name: str, package: Any = None) -> Any:
        result = self._import_module(name, package)
        importer = self._importer(sys._getframe(1).f_globals.get("__name__"))
        if importer:
            self._needs.setdefault(importer, set()).add(getattr(result, "__name__", name))
        return result

    def _importer(self, asker: str | None) -> str | None:
        """The module that needs what is imported."""
        if asker is None or not (asker.startswith("importlib.") or asker in self._settled):
            return asker
        # A compiled module has no frame, so the import system seems to ask. Where a function of a
        # settled module asks, as numpy's `__getattr__` does, the module that called it while it
        # was loaded has the need.
        loading: str | None = module_being_loaded()
        return loading


def _absolute_name(name: str, level: int, package: str | None, asker: str) -> str:
    """The module that a relative import means, as `importlib._bootstrap._resolve_name` does."""
    base = package or asker.rpartition(".")[0]
    base = base.rsplit(".", level - 1)[0]
    if not name:
        return base
    return base + "." + name
