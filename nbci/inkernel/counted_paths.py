"""Which paths count for a step: the project's own, and others that no package or system brought.

What the interpreter, installed packages and the system have of their own does not count.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from typing import Any

SYSTEM = tuple(map("/{}/".format, "usr etc proc sys dev run bin sbin lib lib64 nix System".split()))
OF_THE_USER = (
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "MPLCONFIGDIR",
)
"""Variables that name folders which by default are hidden ones in the user's home."""
SITE_FOLDERS = ("site-packages", "dist-packages")
"""How the folders are called in which distributions are installed: Debian's own name is another."""

roots: list[str] = []
"""The project's folder, and the same without links."""
foreign: list[str] = []
"""The folders of the interpreter and of installed distributions."""
hidden: list[str] = []
"""The folders of the user's settings and caches."""
real: dict[str, Any] = {}
"""Functions of `os` as they were before others stood in their places: to ask, without a trace."""


def set_project(root: str) -> None:
    """Begin to tell apart what is the project's, which lies in this folder."""
    roots[:] = dict.fromkeys((os.path.join(root, ""), os.path.join(os.path.realpath(root), "")))
    look_for_installed()
    # by the prefix: each name in the home that begins with a dot
    hidden[:] = [os.path.join(os.path.expanduser("~"), "."), *named_folders()]


def named_folders() -> list[str]:
    """The folders of settings and caches that variables put elsewhere than into the home.

    What tools keep there, such as matplotlib's list of fonts, is no more an input than in the home.
    """
    folders = []
    for name in OF_THE_USER:
        # what is not absolute is ignored: https://specifications.freedesktop.org/basedir-spec/latest/
        folder = os.path.join(os.environ.get(name, ""), "")
        # one around the project may hold its data, too
        if os.path.isabs(folder) and not roots[-1].startswith(folder):
            folders.append(folder)
    return folders


def look_for_installed() -> None:
    """Look where distributions lie now: an environment may have been made since the last look."""
    foreign[:] = installed_folders()


def full_path(path: Any, dir_fd: Any = None) -> str:
    """The path from the root of the file system; one in the project is without links."""
    text = os.fsdecode(path)
    if dir_fd is not None and not os.path.isabs(text):
        text = os.path.join(real["readlink"]("/proc/self/fd/" + str(dir_fd)), text)
    full = text
    if not os.path.isabs(text):
        full = os.path.join(real["getcwd"](), text)
    full = os.path.normpath(full)
    if len(roots) > 1 and full.startswith(roots[0]):
        return roots[1] + full[len(roots[0]) :]
    if not full.startswith(tuple(roots)) and not full.startswith(SYSTEM):
        # a link from elsewhere may lead into the project
        there = os.path.realpath(full)
        if there.startswith(tuple(roots)):
            return there
    return full


def counts(full: str) -> bool:
    """Whether a path is the project's, or elsewhere and not the system's or the user's settings."""
    if is_foreign(full):
        return False
    return is_in_project(full) or not (full.startswith(SYSTEM) or full.startswith(tuple(hidden)))


def is_in_project(full: str) -> bool:
    return full.startswith(tuple(roots)) or full + os.sep in roots


def is_foreign(full: str) -> bool:
    """Whether it is Python's or an installed distribution's."""
    if not is_in_project(full):
        return full.startswith(tuple(foreign))
    # the project may lie in the folder of an interpreter: only folders inside it count then
    inside = [folder for folder in foreign if folder.startswith(tuple(roots))]
    return full.startswith(tuple(inside))


def installed_folders() -> list[str]:
    """Where the interpreter and installed distributions lie: what is there counts by versions."""
    paths = sysconfig.get_paths()
    known = set()
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        if name in paths:
            known.add(paths[name])
    known.update(getattr(site, "getsitepackages", list)())
    known.update(site_folders())
    known.update((sys.prefix, sys.base_prefix))
    if hasattr(site, "getusersitepackages"):
        known.add(site.getusersitepackages())
    return sorted(map(with_separator, known))


def with_separator(folder: str) -> str:
    """The folder as the paths of what lies in it begin."""
    return os.path.join(folder, "")


def site_folders() -> list[str]:
    """Folders on the path where distributions are installed.

    A folder of that name in a project, without an environment around it, is none.
    """
    named = [entry for entry in sys.path if entry.endswith(SITE_FOLDERS)]
    return list(filter(is_environment, named))


def is_environment(folder: str) -> bool:
    # `/usr` too: Debian's packages are in `/usr/lib/python3/dist-packages`
    if folder.startswith(tuple(map(with_separator, (sys.prefix, sys.base_prefix, "/usr")))):
        return True
    # on Windows, `Lib/site-packages`; elsewhere there is `python3.11` between
    above = os.path.dirname(os.path.dirname(folder))
    for place in (above, os.path.dirname(above)):
        if os.path.exists(os.path.join(place, "pyvenv.cfg")):
            return True
    return False


def package_of(file: str, folders: list[str]) -> str:
    """The installed package that a file is of; its libraries may lie in a folder beside it."""
    for folder in folders:
        if file.startswith(os.path.join(folder, "")):
            return file[len(folder) + 1 :].partition(os.sep)[0].partition(".")[0]
    return ""
