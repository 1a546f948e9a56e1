"""Environment variables that a step's own code reads, or a package for it."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from .counted_paths import package_of, site_folders
from .notes import OF_MAPPINGS, WATCHERS, caller, is_own, quietly

RUN_ID = "NBCI_RUN"
READERS = ("/decouple.py", "/environs/", "/dotenv/", "/pydantic_settings/", "/dynaconf/")
"""What stands in the paths of packages that read variables for their callers."""

variables: set[str] = set()
set_here: set[str] = set()
gone_through: set[tuple[int, int]] = set()
"""Where, by frame and instruction, all variables were read at once."""


def watch_environment() -> None:
    """Have `os.environ` note which variables the step's own code reads.

    Those that it set itself are no input. The class is changed: code may hold the object.
    """
    kind = type(os.environ)
    get = kind.__getitem__
    put = kind.__setitem__
    iterate = kind.__iter__

    @functools.wraps(get)
    def getitem(self: Any, key: Any) -> Any:
        quietly(note_variable, key)
        return get(self, key)

    @functools.wraps(put)
    def setitem(self: Any, key: Any, value: Any) -> None:
        put(self, key, value)
        set_here.add(os.fsdecode(key))

    @functools.wraps(iterate)
    def iteration(self: Any) -> Any:
        quietly(note_variables)
        return iterate(self)

    kind.__getitem__ = getitem  # type: ignore[method-assign]
    kind.__iter__ = iteration  # type: ignore[method-assign]
    kind.__setitem__ = setitem  # type: ignore[method-assign]


def note_variable(key: Any) -> None:
    name = os.fsdecode(key)
    if name in variables or name in set_here:
        return
    if name == RUN_ID and reading_place() in gone_through:
        return  # it was read to be passed on: see `note_variables`
    file = caller()[1]
    if is_own(file) or reads_for_caller(file):
        variables.add(name)
        return
    prefix = prefix_of(reading_package(file))
    if name.startswith(prefix):
        variables.add(prefix + "*")


def note_variables() -> None:
    """Note that all variables are gone through; a package looks for those that bear its name.

    Mostly they are passed on to another program (`{**os.environ}`), which asks nothing for the
    run's id.
    """
    gone_through.add(reading_place())
    package = reading_package(caller()[1])
    if package:
        variables.add(prefix_of(package) + "*")


def reading_place() -> tuple[int, int]:
    """The frame that reads variables, and its instruction.

    `dict(os.environ)` lists and reads them all by one instruction.
    """
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and is_passing_on(frame.f_code.co_filename):
        frame = frame.f_back
    return id(frame), frame.f_lasti


def is_passing_on(file: str) -> bool:
    return file == OF_MAPPINGS or file in WATCHERS


def note_variables_of(packages: Any) -> None:
    """Note what these looked for when they were imported, before this kernel was forked."""
    for package in packages:
        variables.add(prefix_of(package) + "*")


def prefix_of(package: str) -> str:
    """How the names of a package's own variables begin; no variable begins like that of none."""
    if not package:
        return "\0"
    return package.upper() + "_"


@functools.lru_cache(maxsize=4096)
def reading_package(file: str) -> str:
    """The installed package whose code reads, if any."""
    return package_of(file, site_folders())


def reads_for_caller(file: str) -> bool:
    """Whether it is code of a package whose work that is."""
    return any(reader in file for reader in READERS)
