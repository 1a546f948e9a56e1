"""Modules imported before a kernel is forked, and hidden until the kernel's own code imports them.

`sys.modules` of a forked kernel is what a fresh one's would be. An import that finds its module
here brings it back with everything that it had imported, unless what an import would find now is
another file, or a changed one, or the module would find its surroundings otherwise than it did.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import itertools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from _nbci_zygote.effects import Effects
from _nbci_zygote.import_needs import ImportNeeds, with_packages
from _nbci_zygote.installed import (
    THREADED,
    identity,
    import_obstacle,
    is_installed,
    touches_gpu,
)
from _nbci_zygote.memory import adjacent_copies
from _nbci_zygote.process_environment import (
    changed_names,
    raw_environment,
    set_environment,
    variables_set_by_kernels,
)
from _nbci_zygote.readings import FOLDER_KEPT, Readings
from _nbci_zygote.restoring import HOOKS, RestoringLoader, is_compiled, spec_like
from _nbci_zygote.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class HiddenModules:
    """The hidden modules, what each of them imported, and a finder that brings them back."""

    def __init__(self) -> None:
        self.modules: dict[str, Any] = {}
        self.needs = ImportNeeds()
        self.preloaded: list[str] = []
        self.refused: dict[str, str] = {}
        self.environment: dict[str, dict[str, str | None]] = {}
        self.readings = Readings()
        self.effects = Effects()
        self.fork_hazard: tuple[str, str] | None = None
        self._avoided = set(THREADED)
        self._unsure: set[str] = set()
        self._files: dict[str, Any] = {}
        self._closures: dict[str, tuple[str, ...]] = {}
        self._base: set[str] = set()
        self._asked: dict[str, Any] = {}
        self._restored: set[str] = set()
        self._warned: set[str] = set()
        self._folder = "/"
        self._zygote = 0
        self._set_by_kernels: dict[str, str] = {}
        self._as_forked: dict[str, str] = {}
        self._raw_as_forked: dict[bytes, bytes] = {}
        self._approved: set[str] = set()

    def install(self, folder: str, environment: Mapping[str, str]) -> None:
        """Take what is imported now as every kernel's; import from now on in `folder`.

        `environment` is that in which this process was started.
        """
        self._base = set(sys.modules)
        self._folder = folder
        self._zygote = os.getpid()
        self._set_by_kernels = variables_set_by_kernels(environment)
        self.readings.begin({**os.environ, **self._set_by_kernels})
        sys.meta_path.insert(0, self)

    def note_fork(self, names: list[str]) -> None:
        """Take the environment of this kernel as it begins; the zygote compared it for `names`."""
        self._as_forked = dict(os.environ)
        self._raw_as_forked = raw_environment()
        self._approved = with_packages(names)

    def avoid(self, packages: list[str]) -> None:
        """Never preload these."""
        self._avoided.update(packages)

    # ---------------------------------------------------------------------- in the zygote: preload

    def preload(self, names: list[str]) -> bool:
        """Import those of `names` that come from installed distributions; whether any was new."""
        new = [name for name in names if name not in self.preloaded and name not in self.refused]
        before = len(self.modules)
        # a name that was refused is not tried again: its import may cost seconds
        if new:
            with self._in_surroundings_of_kernels():
                for name in new:
                    self._preload_one(name)
            self._compute_closures()
        return len(self.modules) > before

    @contextlib.contextmanager
    def _in_surroundings_of_kernels(self) -> Iterator[None]:
        """Import where a kernel would: in its folder, with the variables that it sets."""
        environment = dict(os.environ)
        with contextlib.suppress(OSError):  # gone, and so for kernels
            os.chdir(self._folder)
        set_environment(self.readings.environment)
        try:
            yield
        finally:
            set_environment(environment)
            os.chdir("/")

    def _preload_one(self, asked: str) -> None:
        name = asked.rstrip("?")  # it may be a module, or something else in one
        package = name.partition(".")[0]
        reason = self._reason_against(package)
        if reason is None:
            threads = threading.active_count()
            before = set(sys.modules)
            reason = self._import_observed(name)

            # compiled code may import past `builtins.__import__`, which is what Watch replaces
            self.needs.attach(name, set(sys.modules) - before)
            hazard = self.hide_new_modules()
            if threading.active_count() > threads:
                hazard = "it starts threads, which a fork does not carry over"
            elif touches_gpu():
                hazard = "it opens the GPU, which a fork must not inherit"
            if hazard is not None:
                self.fork_hazard = (package, hazard)

        if reason is None:
            self.preloaded.append(asked)
        else:
            self.refused[asked] = reason

    def _reason_against(self, package: str) -> str | None:
        """Why a package is not preloaded, or None."""
        if package in self._avoided:
            return "a fork does not carry it over"
        if package in self.modules:
            return None
        reason: str | None = import_obstacle(package)
        return reason

    def _import_observed(self, name: str) -> str | None:
        """Import a module, and note its needs, readings and effects; why it failed, or None."""
        reason = None
        environment = dict(os.environ)
        with (
            Watch(self.needs.by_module, self._unsure, self.modules),
            self.effects.record(name),
            self.readings.record(),
        ):
            try:
                importlib.import_module(name)
            # whatever a package does, the zygote lives on
            except BaseException as error:  # noqa: BLE001
                reason = type(error).__name__ + ": " + str(error)
        self._take_back_environment(name, environment)
        return reason

    def _take_back_environment(self, name: str, before: dict[str, str]) -> None:
        """Keep what an import set in the environment for the kernels that do this import."""
        now = dict(os.environ)
        changed = {key: now.get(key) for key in changed_names(before, now)}
        if changed:
            self.environment[name] = changed
            set_environment(before)

    def hide_new_modules(self) -> str | None:
        """Take what was imported out of `sys.modules`; why no kernel can be forked now, or None."""
        # this process's own: `restoring.alias_main` sets that of a kernel
        sys.modules.pop("__mp_main__", None)
        imported: dict[str, Any] = {
            name: module for name, module in sys.modules.items() if name not in self._base
        }
        new: set[str] = set()
        foreign = set(self._unsure)
        for name, module in imported.items():
            if module is not None and self.modules.get(name) is not module:
                new.add(name)
                if not is_installed(module):
                    foreign.add(name)

        for name, module in imported.items():
            del sys.modules[name]
            if name in new:
                # also under a known name: some are taken twice, such as Cython's `_cyutility`
                self.modules[name] = module
                self._files[name] = None if "." in name else identity(module)
        return self._forget_tainted(foreign) if foreign else None

    def _forget_tainted(self, foreign: set[str]) -> str | None:
        """Drop the modules that lead to `foreign` ones, so that kernels import them themselves.

        The reason why that cannot be, or None: many compiled modules cannot be loaded twice in a
        process, as a forked kernel now would.
        """
        hazard = None
        for name in list(self.modules):
            if foreign.isdisjoint(self.needs.closure(name)):
                continue
            if is_compiled(self.modules.pop(name)):
                hazard = name + " imports what is no installed distribution's"
        return hazard

    # ------------------------------------------------------------- which modules come back together

    def _kept_closure(self, name: str) -> tuple[str, ...]:
        return tuple(filter(self.modules.__contains__, self.needs.closure(name)))

    def _compute_closures(self) -> None:
        """Work out here what comes back with what.

        In a kernel it would touch, and so copy, the memory pages of all modules that are looked at.
        """
        names = with_packages(self.preloaded)
        closures = {name: self._kept_closure(name) for name in names & self.modules.keys()}
        self._asked = dict(zip(closures, map(self.readings.of, closures.values())))

        # one copy of each name, all in few pages: a kernel changes the reference counts of those
        near = adjacent_copies(itertools.chain.from_iterable(closures.values()))
        self._closures = {}
        for name, closure in closures.items():
            self._closures[name] = tuple(map(near.__getitem__, closure))

    # -------------------------------------------------------------- in the zygote: before a fork

    def differing_surroundings(
        self, names: list[str], environment: Mapping[str, str], folder: str
    ) -> dict[str, Any] | None:
        """What the kernel would find otherwise than the preloaded modules did; None: nothing."""
        asked = self.readings.of(self._base)
        for name in with_packages(names):
            asked.add(self._readings_of(name))

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

    def _readings_of(self, name: str) -> Any:
        if name not in self._asked:
            closure = self._kept_closure(name) if name in self.modules else ()
            self._asked[name] = self.readings.of(closure)
        return self._asked[name]

    # ------------------------------------------------------------------ in a kernel: bring back

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Give the hidden module back, if an import would find the same one (`sys.meta_path`)."""
        if name not in self.modules or name in self._restored:
            return None  # to import again, after it left `sys.modules`, is to execute again
        if "." not in name and not self._is_still_found(name):
            return None
        closure = self._closures.get(name) or self._kept_closure(name)
        if self._is_changed_on_disk(closure):
            return None
        if self._is_kernel() and not self._finds_the_same(name, closure):
            return None
        module = self.modules[name]
        return spec_like(module, name, RestoringLoader(self, module, closure))

    def _is_still_found(self, name: str) -> bool:
        """Whether the path leads to the same file: the kernel may have put a folder before it."""
        found = importlib.machinery.PathFinder.find_spec(name)
        known = getattr(self.modules[name], "__spec__", None)
        if found is None:
            origin = getattr(known, "origin", None)
            return name in sys.builtin_module_names or origin in ("built-in", "frozen")
        return known is not None and found.origin == known.origin

    def _is_changed_on_disk(self, closure: tuple[str, ...]) -> bool:
        """Whether the file of a top-level module is another one; those below come with it."""
        # a generator that stops early: this is asked at each import of a kernel
        return any(
            "." not in other and identity(self.modules[other]) != self._files[other]
            for other in closure
        )

    def _finds_the_same(self, name: str, closure: tuple[str, ...]) -> bool:
        """Whether the module found its surroundings as they are now, or cannot be loaded again.

        In the second case the kernel says that the change does not count for it.
        """
        differences = self._differences_now(self._readings_of(name), name in self._approved)
        if not differences:
            return True

        for other in self._modules_affected(closure):
            if is_compiled(self.modules[other]):
                self._warn_of(name, differences)
                return True
        return False

    def _modules_affected(self, closure: tuple[str, ...]) -> list[str]:
        """Those that found their surroundings otherwise, or need one that did; all if none is."""
        readers = set()
        for other in closure:
            if self._differences_now(self.readings.of([other]), is_approved=False):
                readers.add(other)
        if not readers:
            return list(closure)
        return [other for other in closure if not readers.isdisjoint(self.needs.closure(other))]

    def _differences_now(self, asked: Any, is_approved: bool) -> set[str]:
        """What of that which was asked for is different in this kernel, in words.

        `is_approved`: the zygote compared the kernel's first environment, so only what was changed
        since the fork is looked at.
        """
        differences: set[str] = set(self.readings.differing_places(asked, ""))
        if asked.folder and os.getcwd() != self._folder:
            differences.add("the working folder")
        if not is_approved or raw_environment() != self._raw_as_forked:
            now = self._without_what_imports_set()
            since = changed_names(self._as_forked, now)
            changed = self.readings.changed_variables(now)
            differences |= self.readings.differing_variables(asked, changed, since)
            differences |= self.readings.named_in_libraries(since)
        return differences

    def _without_what_imports_set(self) -> dict[str, str]:
        """The environment, but for what modules that were brought back have set in it."""
        now = dict(os.environ)
        for module in self._restored & self.environment.keys():
            for name, value in self.environment[module].items():
                if now.get(name) == value:
                    now.pop(name, None)
                    if name in self._as_forked:
                        now[name] = self._as_forked[name]
        return now

    def _warn_of(self, name: str, differences: set[str]) -> None:
        """Say once of each module that what changed does not count for it."""
        if name in self._warned:
            return
        self._warned.add(name)
        sys.stderr.write(
            "nbci: " + name + " was imported before this kernel was forked, and may depend on "
            "what has changed since: " + ", ".join(sorted(differences)) + ". "
            "The change does not count for it. Set it in the step's `env:`, "
            "or start the step's kernel anew with `NBCI_ZYGOTE: 'off'` there\n"
        )

    def restore(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Put modules back into `sys.modules`; those that had not been put back before."""
        new = tuple(
            name for name in names if name not in sys.modules and name not in self._restored
        )
        for name in new:
            sys.modules[name] = self.modules[name]
        if self._is_kernel():
            self._restored.update(new)
        return new

    def _is_kernel(self) -> bool:
        return os.getpid() != self._zygote

    def redo_effects(self, names: tuple[str, ...]) -> None:
        """Do in a kernel what was done and decided when these modules were imported.

        In this order: the environment, which later effects read; what the imports read, for the
        step's observations; what they printed, warned of and set; what depends on this kernel.
        """
        # what the imports themselves set is no change by the kernel's code
        is_unchanged = raw_environment() == self._raw_as_forked
        if self.environment:
            self._set_variables_again(names)
        if is_unchanged:
            self._raw_as_forked = raw_environment()

        if self._is_kernel():
            self._report_readings(names)
            self.effects.replay(names)

        for name in FOLDER_KEPT.keys() & set(names):
            setattr(sys.modules[name], FOLDER_KEPT[name], os.getcwd())
        for name, hook in HOOKS.items():
            if name in names:
                hook(sys.modules[name])

    def _set_variables_again(self, names: Iterable[str]) -> None:
        for name in names:
            for variable, value in self.environment.get(name, {}).items():
                if value is None:
                    os.environ.pop(variable, None)
                else:
                    os.environ[variable] = value

    def _report_readings(self, names: tuple[str, ...]) -> None:
        """Show the traces of this kernel what its imports would have looked at."""
        self.readings.look_again(names)
        traces = sys.modules.get("_nbci.variable_traces")
        if traces is not None:
            traces.note_variables_of(self.readings.packages_that_read_their_own(names))
