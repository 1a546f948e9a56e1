"""Starts zygotes, and speaks to them."""

from __future__ import annotations

import contextlib
import functools
import importlib.resources
import json
import os
import socket
import struct
import subprocess
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.kernels.bootstrap import start_digest, start_source
from nbci.kernels.zygote import wire
from nbci.kernels.zygote.fingerprint import fingerprint
from nbci.kernels.zygote.key import import_time_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SOCKET = "s"
FACTS = "zygote.json"
ANSWER_SECONDS = 60.0
PEER = struct.Struct("3i")
SHARED = ("wire", "fingerprint")
OF_THE_ZYGOTE = (
    "loading",
    "process_environment",
    "libraries",
    "installed",
    "memory",
    "readings",
    "effects",
    "watch",
    "hidden_modules",
    "child",
    "fork_pool",
    "server",
    "start",
)
"""Its modules, each after those that it imports."""
OF_ONE_KERNEL = (
    "JPY_PARENT_PID",
    "JPY_SESSION_NAME",
    "JPY_INTERRUPT_EVENT",
    "PYTEST_CURRENT_TEST",
    "NBCI_KERNEL",
)


class Settings(Struct, frozen=True, kw_only=True):
    """How a zygote starts; without an owner it ends after `idle_seconds`.

    What kernels import is imported in `cwd`. `spares` kernels wait ahead of need, with the
    arguments of the last one that was asked for, at first with `spare_arguments`. `avoid` are
    modules that are never imported ahead. With `orphans`, what kernels left running ends with the
    zygote.
    """

    key: str
    cwd: str
    preloads: tuple[str, ...] = ()
    spares: int = 1
    spare_arguments: tuple[str, ...] | None = None
    avoid: tuple[str, ...] = ()
    debugger: bool = True
    orphans: bool = False
    idle_seconds: float | None = None


def spawn(
    interpreter: tuple[str, ...],
    env: Mapping[str, str],
    folder: Path,
    settings: Settings,
    owner: socket.socket | None,
) -> subprocess.Popen[bytes]:
    """Start a zygote whose folder this is; it answers as soon as it has imported what kernels need."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / SOCKET))
        listener.listen(128)
        passed = [listener.fileno(), *([owner.fileno()] if owner else [])]
        document = {
            "folder": str(folder),
            "listener": listener.fileno(),
            "owner": owner.fileno() if owner else None,
            "key": settings.key,
            "cwd": settings.cwd,
            "preloads": settings.preloads,
            "avoid": settings.avoid,
            "orphans": settings.orphans,
            "spares": settings.spares,
            "spare_arguments": settings.spare_arguments,
            "debugger": settings.debugger,
            "idle_seconds": settings.idle_seconds,
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*interpreter, "-c", LOADER, json.dumps(document)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(env),
                pass_fds=passed,
                start_new_session=True,
                cwd="/",
            )
    with contextlib.suppress(BrokenPipeError):
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(_sources())
    return process


def environment_of_zygote(
    ours: Mapping[str, str], kernels: Mapping[str, str], cwd: str, read: Iterable[str] = ()
) -> dict[str, str]:
    """`ours`, but with the variables of the kernel that are read when modules are imported; others
    of these are `read`.

    There is room for the mark by which a kernel is known.
    """
    of_kernel = import_time_environment(kernels, cwd)
    of_kernel |= {name: kernels[name] for name in read if name in kernels}
    left_out = {*OF_ONE_KERNEL, *import_time_environment(ours, cwd), *read}
    kept = {name: value for name, value in ours.items() if name not in left_out}
    return kept | of_kernel | {"NBCI_KERNEL": "0" * 32}


def connect(folder: Path) -> socket.socket:
    """A connection to the zygote of this folder.

    Raises OSError when there is none, or it is somebody else's.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(folder / SOCKET))
        _, user, _ = PEER.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        )
        if user != os.getuid():
            raise PermissionError(f"{folder} is served by another user")
    except BaseException:
        connection.close()
        raise
    return connection


def ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Its answer. Raises OSError when it gives none."""
    with connect(folder) as connection:
        wire.send(connection, request)
        try:
            answer, _ = wire.receive(connection)
        except (wire.Gone, ValueError) as error:
            raise ConnectionError("the zygote did not answer") from error
    return dict(answer)


def tell(folder: Path, request: dict[str, Any]) -> None:
    """Have it do something that it does not answer. Raises OSError when there is none."""
    with connect(folder) as connection:
        wire.send(connection, request)


def is_current(folder: Path) -> bool:
    """Whether what is installed is still what the zygote of this folder found when it started."""
    try:
        facts = json.loads((folder / FACTS).read_text())
    except FileNotFoundError:
        return True  # it has not come that far
    except (OSError, ValueError):
        return False
    return bool(fingerprint(facts["paths"]) == facts["installed"])


@functools.cache
def _sources() -> bytes:
    kernel, shared = (
        importlib.resources.files("nbci.inkernel") / "zygote",
        importlib.resources.files(__package__),
    )
    places = dict.fromkeys(SHARED, shared) | {"family": importlib.resources.files("nbci.kernels")}
    places |= dict.fromkeys(OF_THE_ZYGOTE, kernel)
    modules = {name: (at / f"{name}.py").read_text(encoding="utf-8") for name, at in places.items()}
    prepared = {"digest": start_digest(), "source": start_source()}
    return json.dumps({"modules": modules, "prepared": prepared}).encode()


LOADER = """\
import json, sys, types
root = sys.modules['_nbci_zygote'] = types.ModuleType('_nbci_zygote')
root.__path__ = []
given = json.load(sys.stdin.buffer)
for name, source in given['modules'].items():
    module = sys.modules['_nbci_zygote.' + name] = types.ModuleType('_nbci_zygote.' + name)
    setattr(root, name, module)
    exec(compile(source, '<nbci zygote ' + name + '>', 'exec'), module.__dict__)
settings = json.loads(sys.argv[1])
del sys.argv[1:]
sys.modules['_nbci_zygote.start'].main(settings, **given['prepared'])
"""
