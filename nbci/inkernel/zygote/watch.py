"""Watches imports: which module imports which, and which ones ask what they are imported into."""

from __future__ import annotations

import builtins
import importlib
import sys
from typing import Any

from _nbci_zygote.loading import module_being_loaded  # type: ignore[import-not-found]  # it is there where this runs


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
        return Anything()


class Watch:
    """While it is entered, notes which module imports which, and those that ask what they are
    imported into.
    """

    def __init__(
        self, needs: dict[str, set[str]], unsure: set[str], settled: dict[str, Any]
    ) -> None:
        """What is `settled` needs nothing more: what its functions import is needed by who calls
        them.
        """
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
        asker = globals.get("__name__") if isinstance(globals, dict) else None
        importer = self._importer(asker)
        if importer:
            full = name
            if level:
                package = globals.get("__package__") or str(asker).rpartition(".")[0]
                full = package.rsplit(".", level - 1)[0] + ("." + name if name else "")
            needs = self._needs.setdefault(importer, set())
            needs.add(full)
            needs.update(
                full + "." + part for part in fromlist or () if full + "." + part in sys.modules
            )
        return result

    def _noting_import_module(self, name: str, package: Any = None) -> Any:
        result = self._import_module(name, package)
        importer = self._importer(sys._getframe(1).f_globals.get("__name__"))
        if importer:
            self._needs.setdefault(importer, set()).add(getattr(result, "__name__", name))
        return result

    def _importer(self, asker: str | None) -> str | None:
        """The module that needs what is asked for.

        A compiled module has no frame: it seems to be the import system that asks. Where a function
        of a module that is settled asks, as numpy's `__getattr__` does, the one that called it
        while it was loaded has the need.
        """
        if asker is None or not (asker.startswith("importlib.") or asker in self._settled):
            return asker
        loading: str | None = module_being_loaded()
        return loading
