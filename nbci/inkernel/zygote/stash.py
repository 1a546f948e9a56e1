"""Modules imported ahead of need, out of sight until a kernel's own code imports them.

`sys.modules` of a forked kernel is what a fresh one's would be. An import that finds its module
here brings it back with everything that it had imported, unless what an import would find now is
another file, or a changed one, or the module would find its surroundings otherwise than it did.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from _nbci_zygote.effects import Effects  # type: ignore[import-not-found]  # these are there where this runs
from _nbci_zygote.installed import (  # type: ignore[import-not-found]
    THREADED,
    identity,
    is_installed,
    touches_gpu,
    why_not,
)
from _nbci_zygote.memory import side_by_side  # type: ignore[import-not-found]
from _nbci_zygote.readings import FOLDER_KEPT, Readings  # type: ignore[import-not-found]
from _nbci_zygote.watch import Watch  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ONCE = tuple(importlib.machinery.EXTENSION_SUFFIXES)


class Stash:
    """The modules that are kept, what each of them imported, and a finder that brings them back."""

    def __init__(self) -> None:
        self.modules: dict[str, Any] = {}
        self.needs: dict[str, set[str]] = {}
        self.preloaded: list[str] = []
        self.refused: dict[str, str] = {}
        self.environment: dict[str, dict[str, str | None]] = {}
        self.readings = Readings()
        self.effects = Effects()
        self.spoilt: tuple[str, str] | None = None
        self._avoided = set(THREADED)
        self._unsure: set[str] = set()
        self._files: dict[str, Any] = {}
        self._closures: dict[str, tuple[str, ...]] = {}
        self._base: set[str] = set()
        self._asked: dict[str, Any] = {}
        self._given: set[str] = set()
        self._warned: set[str] = set()
        self._folder = "/"
        self._zygote = 0
        self._set_by_kernels: dict[str, str] = {}
        self._as_forked: dict[str, str] = {}
        self._raw_as_forked: dict[bytes, bytes] = {}
        self._approved: set[str] = set()
        self._restored_hooks = {
            "matplotlib": _choose_backend,
            "numpy": _reseed,
            "multiprocessing": _alias_main,
        }

    def install(self, folder: str, environment: Mapping[str, str]) -> None:
        """Take what is imported now as what every kernel has; find modules from now on, imported in
        `folder`.

        `environment` is that in which this process was started.
        """
        self._base = set(sys.modules)
        self._folder = folder
        self._zygote = os.getpid()
        self._set_by_kernels = _set_by_kernels(environment)
        self.readings.begin({**os.environ, **self._set_by_kernels})
        sys.meta_path.insert(0, self)

    def forked(self, names: list[str]) -> None:
        """Take the environment of this kernel as it begins; these modules found it so, too."""
        self._as_forked = dict(os.environ)
        self._raw_as_forked = _raw_environment()
        self._approved = {name.rstrip("?") for name in names}
        self._approved |= {name.partition(".")[0] for name in self._approved}

    def avoid(self, packages: list[str]) -> None:
        """Never import these ahead."""
        self._avoided.update(packages)

    def preload(self, names: list[str]) -> bool:
        """Import those of `names` that come from installed distributions; whether anything new was
        imported.
        """
        new = [name for name in names if name not in self.preloaded and name not in self.refused]
        before = len(self.modules)
        if new:
            with self._in_surroundings_of_kernels():
                for name in new:
                    self._preload_one(name)
            self._settle()
        return len(self.modules) > before

    @contextlib.contextmanager
    def _in_surroundings_of_kernels(self) -> Iterator[None]:
        """Import where a kernel would: in its folder, with the variables that it sets for itself."""
        environment = dict(os.environ)
        with contextlib.suppress(OSError):  # gone, and so for kernels
            os.chdir(self._folder)
        _set_environment(self.readings.environment)
        try:
            yield
        finally:
            _set_environment(environment)
            os.chdir("/")

    def otherwise(
        self, names: list[str], environment: Mapping[str, str], folder: str
    ) -> dict[str, Any] | None:
        """What a kernel that is asked for would find otherwise than these modules did; None:
        nothing.
        """
        asked = self.readings.of(self._base)
        for name in {part.rstrip("?") for part in names}:
            asked.add(self._asked_by(name))
            asked.add(self._asked_by(name.partition(".")[0]))
        changed = self.readings.changed_variables({**environment, **self._set_by_kernels})
        variables = self.readings.differing_variables(asked, changed, changed)
        variables |= self.readings.named_in_libraries(changed - variables)
        is_elsewhere = folder != self._folder
        places = self.readings.differing_places(asked, folder)
        if not variables and not places and not (asked.folder and is_elsewhere):
            return None
        return {
            "variables": sorted(variables),
            "folder": is_elsewhere and bool(places or asked.folder),
            "stale": bool(places) and not is_elsewhere,
        }

    def _asked_by(self, name: str) -> Any:
        if name not in self._asked:
            self._asked[name] = self.readings.of(
                self._kept_closure(name) if name in self.modules else ()
            )
        return self._asked[name]

    def _settle(self) -> None:
        """Note what comes back with what: working it out in a kernel would copy the pages of all
        that it touches.
        """
        names = {name.rstrip("?") for name in self.preloaded}
        names |= {name.partition(".")[0] for name in names}
        closures = {name: self._kept_closure(name) for name in names & self.modules.keys()}
        self._asked = {name: self.readings.of(closure) for name, closure in closures.items()}
        near = side_by_side(name for closure in closures.values() for name in closure)
        self._closures = {
            name: tuple(map(near.__getitem__, closure)) for name, closure in closures.items()
        }

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
            with (
                Watch(self.needs, self._unsure, self.modules),
                self.effects.noting(name),
                self.readings.noting(),
            ):
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
        now = dict(os.environ)
        changed = {key: now.get(key) for key in {*now, *before} if before.get(key) != now.get(key)}
        if changed:
            self.environment[name] = changed
            _set_environment(before)

    def _adopt(self, name: str, new: set[str]) -> None:
        """Hang on `name` what came with it by ways that were not seen."""
        needed = set(self._closure(name))
        self.needs.setdefault(name, set()).update(new - needed)

    def put_away(self) -> str | None:
        """Take what was imported out of sight; why kernels cannot be forked after it, or None."""
        trouble = None
        sys.modules.pop("__mp_main__", None)
        imported: dict[str, Any] = {
            name: module for name, module in sys.modules.items() if name not in self._base
        }
        new = {
            name: module
            for name, module in imported.items()
            if module is not None and self.modules.get(name) is not module
        }
        foreign = self._unsure | {name for name, module in new.items() if not is_installed(module)}
        for name, module in imported.items():
            del sys.modules[name]
            if name in new:
                self.modules[name] = (
                    module  # some names are taken more than once, such as `_cyutility`
                )
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
        """The finder's part: give the module back, as long as it is the one that an import would
        find.
        """
        if name not in self.modules or name in self._given:  # to import again is to execute again
            return None
        if "." not in name and not self._still_found(name):
            return None
        closure = self._closures.get(name) or self._kept_closure(name)
        if any(
            "." not in other and identity(self.modules[other]) != self._files[other]
            for other in closure
        ):
            return None
        if self._is_kernel() and not self._found_the_same(name, closure):
            return None
        return _spec_like(self.modules[name], name, _Returns(self, self.modules[name], closure))

    def _still_found(self, name: str) -> bool:
        found = importlib.machinery.PathFinder.find_spec(name)
        known = getattr(self.modules[name], "__spec__", None)
        if found is None:
            return name in sys.builtin_module_names or getattr(known, "origin", None) in (
                "built-in",
                "frozen",
            )
        return known is not None and found.origin == known.origin

    def _found_the_same(self, name: str, closure: tuple[str, ...]) -> bool:
        """Whether the module found its surroundings as they are now.

        Where they differ and it cannot be loaded a second time, it is told that the change does not
        count.
        """
        otherwise = self._otherwise_now(self._asked_by(name), name in self._approved)
        if not otherwise:
            return True
        readers = {
            other for other in closure if self._otherwise_now(self.readings.of([other]), False)
        }
        affected = [
            other for other in closure if not readers or readers & set(self._closure(other))
        ]
        if not any(
            str(getattr(self.modules[other], "__file__", "")).endswith(ONCE) for other in affected
        ):
            return False
        self._tell(name, otherwise)
        return True

    def _otherwise_now(self, asked: Any, is_approved: bool) -> set[str]:
        otherwise: set[str] = set(self.readings.differing_places(asked, ""))
        if asked.folder and os.getcwd() != self._folder:
            otherwise.add("the working folder")
        if not is_approved or _raw_environment() != self._raw_as_forked:
            now = self._without_what_imports_set()
            since = {
                name
                for name in {*now, *self._as_forked}
                if now.get(name) != self._as_forked.get(name)
            }
            otherwise |= self.readings.differing_variables(
                asked, self.readings.changed_variables(now), since
            )
            otherwise |= self.readings.named_in_libraries(since)
        return otherwise

    def _without_what_imports_set(self) -> dict[str, str]:
        """The environment, but for what modules that were given back have set in it."""
        now = dict(os.environ)
        for module in self._given & self.environment.keys():
            for name, value in self.environment[module].items():
                if now.get(name) == value:
                    now.pop(name, None)
                    if name in self._as_forked:
                        now[name] = self._as_forked[name]
        return now

    def _tell(self, name: str, otherwise: set[str]) -> None:
        """Say once of each module that what changed does not count for it."""
        if name not in self._warned:
            self._warned.add(name)
            sys.stderr.write(
                "nbci: " + name + " was imported before this kernel was forked, and may depend on "
                "what has changed since: "
                + ", ".join(sorted(otherwise))
                + ". The change does not count for it. "
                "Set it in the step's `env:`, or start the step's kernel anew with `NBCI_ZYGOTE: 'off'` there\n"
            )

    def give_back(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Bring back what has not been brought back before; these."""
        new = tuple(name for name in names if name not in sys.modules and name not in self._given)
        for name in new:
            sys.modules[name] = self.modules[name]
        if self._is_kernel():
            self._given.update(new)
        return new

    def _is_kernel(self) -> bool:
        return os.getpid() != self._zygote

    def returned(self, names: tuple[str, ...]) -> None:
        """Do again, in a kernel, what was done and decided when these were imported."""
        is_unchanged = _raw_environment() == self._raw_as_forked
        for name in names if self.environment else ():
            for variable, value in self.environment.get(name, {}).items():
                if value is None:
                    os.environ.pop(variable, None)
                else:
                    os.environ[variable] = value
        if is_unchanged:
            self._raw_as_forked = _raw_environment()
        if self._is_kernel():
            self._tell_what_was_read(names)
            self.effects.again(names)
        for name in FOLDER_KEPT.keys() & set(names):
            setattr(sys.modules[name], FOLDER_KEPT[name], os.getcwd())
        for name, hook in self._restored_hooks.items():
            if name in names:
                hook(sys.modules[name])

    def _tell_what_was_read(self, names: tuple[str, ...]) -> None:
        """Show whoever watches this kernel what its imports would have looked at."""
        self.readings.look_again(names)
        watching = sys.modules.get("_nbci.traces")
        if watching is not None:
            watching.note_variables_of(self.readings.of_their_own(names))


class _Returns:
    """A loader that gives a module that was loaded before."""

    def __init__(self, stash: Stash, module: Any, closure: tuple[str, ...]) -> None:
        self._stash = stash
        self._module = module
        self._spec = getattr(module, "__spec__", None)
        self._loader = getattr(module, "__loader__", None)
        self._closure = closure
        self._new: tuple[str, ...] = ()

    def create_module(self, spec: Any) -> Any:
        self._new = self._stash.give_back(self._closure)
        return self._module

    def exec_module(self, module: Any) -> None:
        module.__spec__ = self._spec
        module.__loader__ = self._loader
        self._stash.returned(self._new)


def _spec_like(module: Any, name: str, loader: Any) -> Any:
    """What a finder would say of a module, but for the loader."""
    known = getattr(module, "__spec__", None)
    spec = importlib.machinery.ModuleSpec(name, loader, origin=getattr(known, "origin", None))
    spec.has_location = getattr(known, "has_location", False)
    if hasattr(module, "__path__"):
        spec.submodule_search_locations = module.__path__
    return spec


def _set_by_kernels(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a kernel sets for itself; before it was started they were as in
    `environment`.
    """
    from ipykernel.zmqshell import ZMQInteractiveShell

    before = dict(os.environ)
    _set_environment({})
    ZMQInteractiveShell.init_environment(None)  # type: ignore[arg-type, no-untyped-call]  # it asks nothing of the shell
    own = dict(os.environ)
    _set_environment(before)
    own.update({name: value for name, value in before.items() if environment.get(name) != value})
    return own


def _raw_environment() -> dict[bytes, bytes]:
    """As it is stored: comparing that costs little."""
    return dict(os.environ._data)  # type: ignore[attr-defined]  # not announced, but there


def _set_environment(wanted: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _choose_backend(matplotlib: Any) -> None:
    backend = os.environ.get("MPLBACKEND")
    if backend:
        matplotlib.rcParams["backend"] = backend


def _alias_main(_: Any) -> None:
    sys.modules.setdefault("__mp_main__", sys.modules["__main__"])


def _reseed(numpy: Any) -> None:
    """Seed numpy's global generator as its import does; unlike `seed()`, this leaves it known for
    one nobody seeded.

    `numpy.random` may be reached as an attribute, without an import of its own.
    """
    random = vars(numpy).get("random")
    if random is not None:
        random.mtrand._rand.__init__()
