"""Programs, workers and compiled code that a step uses: what they do, Python does not see."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from .counted_paths import full_path, package_of, site_folders
from .file_traces import note_read
from .notes import PASSING_ON, WATCHERS, caller, is_own

SHELLS = ("sh", "bash", "zsh", "dash")
OF_THE_MACHINE = frozenset(
    """
    arch cc fc-list gcc getconf hostname ifconfig ip ld ldconfig lscpu lsb_release nproc nvidia-smi
    sysctl uname
    """.split()
)
"""Programs that packages ask for the machine that they run on."""
LIBRARY = re.compile(rb" r-xp [^/\n]*(/[^\n]*\.so[^\n]*)")
"""A library with machine code in `/proc/self/maps`, by its path: proc(5)."""
WORKER_MODULES = (
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.popen_forkserver",
    "multiprocessing.popen_fork",
    "joblib.externals.loky.process_executor",
)
"""Modules that are imported when a worker is started, and not before."""

native: set[str] = set()
programs: set[str] = set()
workers: set[str] = set()


def note_library(name: Any) -> None:
    """A shared library that is loaded: what its functions open, Python does not see."""
    native.add(package_of(caller()[1], site_folders()) or "ctypes")
    if name is not None and os.sep in os.fsdecode(name):
        note_read(full_path(name))


def note_import(_name: Any, path: Any, *_: Any) -> None:
    """An extension module that is loaded from its file."""
    if path:
        note_read(full_path(path))


def note_database(name: Any) -> None:
    """A database of SQLite, whose files are opened below Python.

    Its log and journal count, too: what they hold is not yet in the main file.
    """
    native.add("sqlite3")
    text = os.fsdecode(name)
    if text.startswith("file:"):
        from urllib.parse import unquote, urlsplit

        text = unquote(urlsplit(text).path)
    if text and text != ":memory:":
        note_read(full_path(text))
        for suffix in ("-wal", "-journal"):
            note_read(full_path(text + suffix))


def note_program(program: Any, words: Any = (), *_: Any) -> None:
    """A program that was started, but for those by which packages look at the machine."""
    if isinstance(words, (str, bytes)):
        words = [words]
    names = list(map(os.fsdecode, words or [program]))
    if len(names) > 2 and names[1] == "-c" and os.path.basename(names[0]) in SHELLS:
        names = names[2].split() or names  # `subprocess` with shell=True
    name = os.path.basename(names[0])
    if name not in OF_THE_MACHINE or is_own(starter()):
        programs.add(name)


def note_command(command: Any) -> None:
    note_program(None, os.fsdecode(command).split()[:1])


def note_terminal(*_: Any) -> None:
    programs.add("a shell command")


def note_worker(*_: Any) -> None:
    workers.add("fork")


def starter() -> str:
    """The file of the code that starts a program, by whatever Python has for that."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file: str = frame.f_code.co_filename
        passes_on = file in PASSING_ON or file in WATCHERS
        if not passes_on and not is_starting(file):
            return file
        frame = frame.f_back
    return ""


def is_starting(file: str) -> bool:
    name = os.path.basename(file)
    return name in ("subprocess.py", "pty.py") or os.sep + "asyncio" + os.sep in file


def has_workers() -> bool:
    """Whether the step's own code ran in other processes, too."""
    return bool(workers) or not sys.modules.keys().isdisjoint(WORKER_MODULES)


def native_packages(module_files: list[str]) -> set[str]:
    """Packages that were imported and have machine code, and what was noted as native.

    Of what Python itself brings, only the latter counts.
    """
    files = set()
    for file in module_files:
        if file.endswith((".so", ".pyd")):
            files.add(file)
    try:
        with open("/proc/self/maps", "rb") as maps:
            files.update(map(os.fsdecode, LIBRARY.findall(maps.read())))
    except OSError:
        pass  # elsewhere than on Linux: what is loaded by its path is noted then
    folders = site_folders()
    packages = {package_of(file, folders) for file in files}
    # not by `intersection`: it goes through all of `sys.modules`, whose names a fork would copy
    imported = set(filter(sys.modules.__contains__, packages))
    return imported | native
