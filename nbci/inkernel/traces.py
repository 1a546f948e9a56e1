"""What a step touches beside what it declares: files of the project, modules of its own, the network."""

from __future__ import annotations

import os
import sys
import sysconfig
from typing import Any

LOOPBACK = ("127.", "::1", "localhost")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

projects: list[str] = []
read: set[str] = set()
written: set[str] = set()
network: set[str] = set()


def install(root: str) -> None:
    """Begin to watch; an audit hook cannot be taken away again, so it does as little as it can."""
    projects[:] = [os.path.join(root, "")]
    sys.addaudithook(hook)


def hook(event: str, arguments: Any) -> None:
    try:
        if event == "open":
            note_open(*arguments)
        elif event == "sqlite3.connect":
            note_path(arguments[0], writes=False)
        elif event == "socket.connect":
            note_address(arguments[1])
    except Exception:  # noqa: BLE001  # whatever is odd here must not become the user's error
        return


def note_open(path: Any, mode: Any, flags: Any) -> None:
    writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & WRITING)
    note_path(path, writes)


def note_path(path: Any, writes: bool) -> None:
    if isinstance(path, int):
        return
    full = os.path.abspath(os.fsdecode(path))
    if full.startswith(projects[0]):
        (written if writes else read).add(full[len(projects[0]) :])


def note_address(address: Any) -> None:
    if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
        network.add(str(address[0]))


def own_modules() -> list[str]:
    """Files of the modules that belong neither to Python nor to an installed distribution."""
    installed = tuple(os.path.join(folder, "") for folder in {*sysconfig.get_paths().values(), *site_folders()})
    files = set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and not os.path.abspath(file).startswith(installed):
            files.add(os.path.abspath(file))
    return sorted(files)


def site_folders() -> list[str]:
    """Where distributions are installed."""
    return [entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]


def own(paths: set[str]) -> list[str]:
    """Those that do not belong to an environment which lies in the project: its packages count by their versions."""
    environments = {sys.prefix, sys.base_prefix, *site_folders()}
    inside = tuple(
        os.path.join(folder, "")[len(projects[0]) :] for folder in environments if folder.startswith(projects[0])
    )
    return sorted(path for path in paths if not path.startswith(inside))


def seen() -> dict[str, Any]:
    """All of it, in one document."""
    return {
        "interpreter": sys.executable,
        "site_folders": site_folders(),
        "modules": own_modules(),
        "read": own(read),
        "written": own(written),
        "network": sorted(network),
    }
