"""Which modules belong to an installed distribution, and so may be preloaded."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

THREADED = frozenset("tensorflow jax jaxlib grpc ray pycuda cupy cudf cuml rmm torch_xla".split())
"""Start threads, or open a device, when they are imported: a fork has neither."""

GPU_DEVICES = ("/dev/nvidia", "/dev/kfd", "/dev/dri")


def installed_folders() -> list[str]:
    """Where installed distributions and the standard library lie."""
    paths = sysconfig.get_paths()
    folders = [paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"]]
    for folder in sys.path:
        if os.path.basename(folder) in ("site-packages", "dist-packages"):
            folders.append(folder)
    return list(dict.fromkeys(os.path.realpath(folder) + os.sep for folder in folders))


@functools.lru_cache(maxsize=1)
def _known_folders() -> tuple[str, ...]:
    return tuple(installed_folders())


def _lies_in_installed(path: str) -> bool:
    # the real path: an environment may link to a package of the project
    return os.path.realpath(path).startswith(_known_folders())


def _all_lie_in_installed(places: Iterable[Any]) -> bool:
    return all(map(_lies_in_installed, map(str, places)))


def is_installed(module: Any) -> bool:
    spec = getattr(module, "__spec__", None)
    origin = getattr(spec, "origin", None) or getattr(module, "__file__", None)
    if isinstance(origin, str) and os.path.isabs(origin):
        return _lies_in_installed(origin)
    places = getattr(spec, "submodule_search_locations", None)
    # a namespace package has folders instead of a file
    return _all_lie_in_installed(places or ())


def import_obstacle(name: str) -> str | None:
    """Why a module may not be preloaded, or None."""
    spec: Any
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError) as error:
        return str(error)
    if spec is None:
        return "it is not installed; a project's own modules are never imported ahead"
    # a package has both: its file says where it comes from
    places = list(spec.submodule_search_locations or ())
    if spec.origin and os.path.isabs(spec.origin):
        places = [spec.origin]
    if not places and spec.origin not in ("built-in", "frozen"):
        return "nobody knows where it comes from"
    if not _all_lie_in_installed(places):
        return "it is no installed distribution's"
    return None


def identity(module: Any) -> Any:
    """What changes when the module's file does: time, size and inode; None where it has none."""
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    if not isinstance(origin, str) or not os.path.isabs(origin):
        return None
    try:
        found = os.stat(origin)
    except OSError:
        return "missing"
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def touches_gpu() -> bool:
    """Whether this process opened a GPU: an open device cannot be used on after a fork."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink("/proc/self/fd/" + number).startswith(GPU_DEVICES):
                return True
    return False
