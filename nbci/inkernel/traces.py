"""What a step uses beside what it declares: files, folders, absent names, variables, the network.

Python's audit events tell of opened files, listings and connections, from whatever code. What has
no event (`os.stat`, `os.environ`, imports) is noted by a function in its place. Each thing is noted
once, at its first use.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING, Any

from .counted_paths import is_foreign, look_for_installed, set_project, site_folders
from .file_traces import (
    note_folder_changed,
    note_listing,
    note_made,
    note_open,
    note_questions,
    note_renamed,
    sights,
    stamps,
    written,
)
from .import_traces import files_of_modules, own_modules, searched_folders, watch_imports
from .native_traces import (
    has_workers,
    native_packages,
    note_command,
    note_database,
    note_import,
    note_library,
    note_program,
    note_terminal,
    note_worker,
    programs,
)
from .network_traces import network, note_address, note_server
from .notes import end_notes, quietly
from .variable_traces import variables, watch_environment

if TYPE_CHECKING:
    from collections.abc import Callable

search_path: list[str] = []
"""Where Python looked for modules before the step's own code."""

EVENTS: dict[str, Callable[..., None]] = {
    "open": note_open,
    "os.listdir": note_listing,
    "os.scandir": note_listing,
    "os.mkdir": note_made,
    "os.rename": note_renamed,
    "os.link": note_renamed,
    "os.symlink": note_renamed,
    "ctypes.dlopen": note_library,
    "import": note_import,
    "sqlite3.connect": note_database,
    "socket.connect": note_address,
    "socket.sendto": note_address,
    "socket.sendmsg": note_address,
    "socket.bind": note_server,
    "os.chdir": note_folder_changed,
    "subprocess.Popen": note_program,
    "os.posix_spawn": note_program,
    "os.exec": note_program,
    "os.spawn": lambda _mode, path, words, *_: note_program(path, words),
    "os.system": note_command,
    "os.forkpty": note_terminal,
    "os.fork": note_worker,
}
"""What notes an audit event, by its name."""


def install(root: str) -> None:
    """Begin to watch.

    An audit hook cannot be taken away again, and is called for every event: it does as little as it
    can (PEP 578).
    """
    set_project(root)
    note_questions()
    search_path[:] = map(os.path.abspath, sys.path)
    watch_environment()
    watch_imports()
    sys.addaudithook(hook)


def hook(event: str, arguments: Any) -> None:
    note = EVENTS.get(event)
    if note is not None:
        quietly(note, *arguments)


def all_traces() -> dict[str, Any]:
    """All that was noted, in one document; nothing is noted in this thread from now on."""
    end_notes()
    # an environment may have been put on the path, or made, since the beginning
    look_for_installed()
    module_files = files_of_modules()
    found: list[list[Any]] = []
    for (kind, path), more in sights.items():
        if not is_foreign(path):
            found.append([kind, path, sorted(more)])
    for folder, names in searched_folders().items():
        found.append(["import", folder, sorted(names)])
    return {
        "interpreter": sys.executable,
        "site_folders": site_folders(),
        "search_path": search_path,
        "modules": own_modules(module_files),
        "sights": sorted(found),
        "stamps": stamps,
        "written": sorted(itertools.filterfalse(is_foreign, written)),
        "variables": sorted(variables),
        "network": sorted(network),
        "native": sorted(native_packages(module_files)),
        "programs": sorted(programs),
        "has_workers": has_workers(),
    }
