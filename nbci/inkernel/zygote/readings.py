"""What modules ask of their surroundings while they are imported, and whether that still holds.

Noted are environment variables, the working folder, and files outside the installed distributions.
What compiled code asks is not seen: a variable whose name stands in one of its libraries counts as
asked for.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

from _nbci_zygote.installed import installed_folders
from _nbci_zygote.libraries import loaded_libraries, names_in
from _nbci_zygote.loading import module_being_loaded
from _nbci_zygote.process_environment import changed_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

OF_ONE_KERNEL = frozenset(
    "JPY_PARENT_PID JPY_SESSION_NAME JPY_INTERRUPT_EVENT PYTEST_CURRENT_TEST "
    "MPLBACKEND PYTHONHASHSEED PYTHONPATH".split()
)
"""Different in every kernel, or in the zygote's key.

matplotlib's back end is chosen when it comes back.
"""

OF_ONE_SHELL = frozenset("_ SHLVL PWD OLDPWD".split())
"""These count for modules that ask for them by name."""

LOOKED_AT = [
    (os, "stat"),
    (os, "lstat"),
    (os, "access"),
    (os, "readlink"),
    (os, "open"),
    (builtins, "open"),
    (io, "open"),
]
LISTED = [(os, "listdir"), (os, "scandir")]
WORKING_FOLDER = [(os, "getcwd"), (os, "getcwdb")]
BY_PREFIX = {"tqdm": "TQDM_", "fsspec": "FSSPEC_", "dask": "DASK_"}
"""Packages that go through all variables for those that begin so."""
FOLDER_KEPT = {"multiprocessing.process": "ORIGINAL_DIR", "rich": "_IMPORT_CWD"}
"""Modules that ask for the working folder only to keep it, with the attribute that keeps it.

It is set to the kernel's folder when they come back.
"""
ABILITIES = [
    os.supports_dir_fd,
    os.supports_effective_ids,
    os.supports_fd,
    os.supports_follow_symlinks,
]


class Asked:
    """What one module, or several, asked for."""

    def __init__(self) -> None:
        self.variables: set[str] = set()
        self.prefixes: set[str] = set()
        self.paths: set[str] = set()
        self.listings: set[str] = set()
        self.all_variables = False
        self.folder = False

    def add(self, other: Asked) -> None:
        self.variables |= other.variables
        self.prefixes |= other.prefixes
        self.paths |= other.paths
        self.listings |= other.listings
        self.all_variables = self.all_variables or other.all_variables
        self.folder = self.folder or other.folder


class Readings:
    """What each module asked for, and the answers: `environment`, `states` and `listings`."""

    def __init__(self) -> None:
        self.by_module: dict[str, Asked] = {}
        self.environment: dict[str, str] = {}
        self.states: dict[str, Any] = {}
        self.listings: dict[str, Any] = {}
        self._own = tuple(
            {*installed_folders(), *_places_of_the_interpreter(), "/proc/", "/sys/", "/dev/"}
        )
        self._base_libraries: set[str] = set()
        self._named: dict[str, bool] = {}

    def begin(self, environment: Mapping[str, str]) -> None:
        """Begin: modules are imported in this environment from now on.

        The libraries that are loaded already are those of every kernel.
        """
        self.environment = dict(environment)
        self._base_libraries = loaded_libraries()

    @contextlib.contextmanager
    def record_variables(self) -> Iterator[None]:
        """Note which variables are asked for while this is entered."""
        # the class is changed, not the object: modules hold `os.environ`
        environ: Any = type(os.environ)
        get, iterate = environ.__getitem__, environ.__iter__

        def noting_get(this: Any, name: Any) -> Any:
            self._note_variable(name)
            return get(this, name)

        def noting_iterate(this: Any) -> Any:
            self._note_all_variables()
            return iterate(this)

        environ.__getitem__, environ.__iter__ = noting_get, noting_iterate
        try:
            yield
        finally:
            environ.__getitem__, environ.__iter__ = get, iterate

    @contextlib.contextmanager
    def record(self) -> Iterator[None]:
        """Note what is asked while this is entered, and then what the answers are."""
        self._named.clear()  # there will be more libraries
        with contextlib.ExitStack() as patched:
            patched.enter_context(self.record_variables())
            for owner, name in LOOKED_AT:
                patched.enter_context(_observe_calls(owner, name, self._note_path))
            for owner, name in LISTED:
                patched.enter_context(_observe_calls(owner, name, self._note_listing))
            for owner, name in WORKING_FOLDER:
                patched.enter_context(_observe_calls(owner, name, self._note_folder))
            yield
        # the answers are looked up afterwards: while it is entered, looking would be noted, too
        for asked in self.by_module.values():
            for path in asked.paths - self.states.keys():
                self.states[path] = state_of(path)
            for path in asked.listings - self.listings.keys():
                self.listings[path] = listing_of(path)

    def _asked_by_loading_module(self) -> Asked | None:
        module = module_being_loaded()
        return None if module is None else self.by_module.setdefault(module, Asked())

    def _note_variable(self, name: Any) -> None:
        asked = self._asked_by_loading_module()
        goes_through_all = sys._getframe(2).f_code.co_name == "__iter__"
        if asked is not None and not goes_through_all:
            asked.variables.add(os.fsdecode(name))

    def _note_all_variables(self) -> None:
        module = module_being_loaded()
        if module is None:
            return
        asked = self.by_module.setdefault(module, Asked())
        prefix = BY_PREFIX.get(module.partition(".")[0])
        if prefix is None:
            asked.all_variables = True
        else:
            asked.prefixes.add(prefix)

    def _note_folder(self, *_: Any) -> None:
        module = module_being_loaded()
        if module is not None and module not in FOLDER_KEPT:
            self.by_module.setdefault(module, Asked()).folder = True

    def _note_path(self, path: Any, mode: Any = "r", *_: Any) -> None:
        # a file that is written whole was not read
        is_replaced = isinstance(mode, str) and mode[:1] in ("w", "x", "a")
        place = self._place(path)
        asked = self._asked_by_loading_module() if place is not None and not is_replaced else None
        if asked is not None and place is not None:
            asked.paths.add(place)

    def _note_listing(self, path: Any = ".", *_: Any) -> None:
        place = self._place(path)
        asked = self._asked_by_loading_module() if place is not None else None
        if asked is not None and place is not None:
            asked.listings.add(place)

    def _place(self, path: Any) -> str | None:
        """The path as it was given; None for a descriptor, and for what packages and Python own."""
        if isinstance(path, int):
            return None
        try:
            place = os.fsdecode(path)
        except TypeError:
            return None
        if (place + "/").startswith(self._own):
            return None  # what is installed is part of the zygote's fingerprint
        return place

    def of(self, modules: Iterable[str]) -> Asked:
        """What these asked for together."""
        together = Asked()
        for module in modules:
            asked = self.by_module.get(module)
            if asked is not None:
                together.add(asked)
        return together

    def look_again(self, modules: Iterable[str]) -> None:
        """Look at the files and folders as these modules did."""
        asked = self.of(modules)
        for path in asked.paths:
            with contextlib.suppress(OSError, ValueError):
                if stat.S_ISREG(os.stat(path).st_mode):
                    open(path, "rb").close()
        for path in asked.listings:
            listing_of(path)

    def packages_that_read_their_own(self, modules: Iterable[str]) -> set[str]:
        """The packages of these modules that asked for variables that bear their name, or might."""
        found = set()
        for module in modules:
            asked = self.by_module.get(module)
            package = module.partition(".")[0]
            prefix = package.upper() + "_"
            if asked is None:
                continue
            is_open = asked.all_variables or asked.prefixes
            if is_open or any(name.startswith(prefix) for name in asked.variables):
                found.add(package)
        return found

    def changed_variables(self, environment: Mapping[str, str]) -> set[str]:
        """Those that are not as they were, but for what is different in every kernel."""
        names = changed_names(self.environment, environment)
        return set(filter(_counts, names))

    def differing_variables(
        self, asked: Asked, changed: set[str], since_fork: set[str]
    ) -> set[str]:
        """Those of the changed variables that were asked for.

        A module that went through all variables was asked about those before the fork, when the
        zygote compared them; for it, any that changed since counts.
        """
        differing = changed & asked.variables
        prefixes = tuple(asked.prefixes)
        for name in changed:
            if name.startswith(prefixes):
                differing.add(name)
        if asked.all_variables:
            differing |= since_fork - OF_ONE_SHELL
        return differing

    def differing_places(self, asked: Asked, folder: str) -> list[str]:
        """The files and folders that code in this working folder finds otherwise."""
        found: set[str] = set()
        for path in asked.paths:
            if state_of(os.path.join(folder, path)) != self.states.get(path):
                found.add(path)
        for path in asked.listings:
            if listing_of(os.path.join(folder, path)) != self.listings.get(path):
                found.add(path)
        return sorted(found)

    def named_in_libraries(self, names: set[str]) -> set[str]:
        """Those names that stand in a library that imports brought with them."""
        unknown = names - OF_ONE_SHELL - self._named.keys()
        if unknown:
            libraries = loaded_libraries() - self._base_libraries
            found = names_in(libraries, unknown)
            self._named.update(dict.fromkeys(unknown, False))
            self._named.update(dict.fromkeys(found, True))
        return set(filter(self._named.get, names))


def _counts(name: str) -> bool:
    if name in OF_ONE_KERNEL:
        return False
    # nbci's own differ from step to step; the debugger sets its own when it is imported
    return not name.startswith(("NBCI_", "PYDEVD_"))


def state_of(path: str) -> Any:
    """What changes when the file's content may have changed; of a folder that it is one."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if stat.S_ISREG(found.st_mode):
        return (found.st_mtime_ns, found.st_size, found.st_ino)
    return stat.S_IFMT(found.st_mode)


def listing_of(path: str) -> Any:
    try:
        return sorted(os.listdir(path))
    except (OSError, ValueError):
        return None


class _Observed:
    """A function that tells of its calls; like a built-in one, it binds to no class."""

    def __init__(self, function: Any, note: Any) -> None:
        self._function = function
        self._note = note

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self._note is not None:
            self._note(*(arguments or _paths_by_name(named)))
        return self._function(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def stop_noting(self) -> None:
        """Only call the function from now on: a module may have kept this object."""
        self._note = None


def _paths_by_name(named: Mapping[str, Any]) -> list[Any]:
    """The path among named arguments; without one, the functions mean the working folder."""
    return [named[name] for name in ("path", "file") if name in named] or ["."]


@contextlib.contextmanager
def _observe_calls(owner: Any, name: str, note: Any) -> Iterator[None]:
    function = getattr(owner, name)
    observed = _Observed(function, note)
    abilities = [known for known in ABILITIES if function in known]
    setattr(owner, name, observed)
    for known in abilities:
        known.add(observed)  # modules ask whether the function is among them
    try:
        yield
    finally:
        observed.stop_noting()
        setattr(owner, name, function)
        for known in abilities:
            known.discard(observed)


def _places_of_the_interpreter() -> Iterator[str]:
    # all of /usr would be too much: files that users put there count
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        if prefix not in ("/", "/usr"):
            yield os.path.join(prefix, "")
