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
"""The socket's name in a zygote's folder: short, as its path may have 107 characters only."""
FACTS = "zygote.json"
ANSWER_SECONDS = 60.0
PEER = struct.Struct("3i")
"""Linux's `struct ucred`: process, user and group of the other side (unix(7), SO_PEERCRED)."""
SHARED = ("wire", "fingerprint")
"""Modules of this package that zygotes have, too."""
OF_THE_ZYGOTE = (
    "loading",
    "process_environment",
    "libraries",
    "installed",
    "memory",
    "readings",
    "effects",
    "watch",
    "restoring",
    "import_needs",
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
"""Variables that say something of one kernel, which a zygote would hand to all."""


class Settings(Struct, frozen=True, kw_only=True):
    """How a zygote starts; without an owner it ends after `idle_seconds`.

    What kernels import is imported in `cwd`. `spares` kernels wait ahead of need, with the
    arguments of the last one that was asked for, at first with `spare_arguments`. `avoid` are
    modules that are never preloaded. With `orphans`, what kernels left running ends with the
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
    """Start a zygote in its folder; it answers as soon as it has imported what kernels need.

    It ends when the other end of `owner` is closed.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        # Bound here, not in the zygote: so who asks for a kernel need not wait until it is up.
        listener.bind(str(folder / SOCKET))
        listener.listen(128)
        passed = [listener.fileno()]
        if owner is not None:
            passed.append(owner.fileno())
        document = _start_document(settings, folder, passed)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*interpreter, "-c", LOADER, json.dumps(document)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=dict(env),
                pass_fds=passed,
                # Ctrl-C in the terminal is nbci's to handle: it interrupts the kernels in order.
                start_new_session=True,
                # A folder of the project could not be removed, nor its file system unmounted.
                cwd="/",
            )

    # By a pipe, as an argument may have 128 KiB only (MAX_ARG_STRLEN). One that ended at once
    # has its reasons in the log.
    with contextlib.suppress(BrokenPipeError):
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(_sources())
    return process


def _start_document(settings: Settings, folder: Path, passed: list[int]) -> dict[str, Any]:
    """What `start.main` of the zygote takes; `passed` are its listener, and its owner if any."""
    listener, *owner = passed
    return {
        "folder": str(folder),
        "listener": listener,
        "owner": next(iter(owner), None),
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


def environment_of_zygote(
    ours: Mapping[str, str], kernels: Mapping[str, str], cwd: str, read: Iterable[str] = ()
) -> dict[str, str]:
    """`ours`, but with those variables of the kernel that are read when modules are imported.

    `read` are more of these, which imports were seen to read. No other variable of a kernel may get
    into a zygote: it may be a secret of one step.
    """
    read = tuple(read)
    of_kernel = import_time_environment(kernels, cwd)
    of_kernel |= {name: kernels[name] for name in read if name in kernels}

    left_out = {*OF_ONE_KERNEL, *import_time_environment(ours, cwd), *read}
    kept = {name: value for name, value in ours.items() if name not in left_out}
    # Each kernel writes its own mark over this one, where /proc/PID/environ shows it.
    return kept | of_kernel | {"NBCI_KERNEL": "0" * 32}


def connect(folder: Path) -> socket.socket:
    """A connection to the zygote of this folder.

    Raises OSError when there is none, or it is somebody else's.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(folder / SOCKET))
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        _, user, _ = PEER.unpack(peer)
        if user != os.getuid():
            raise PermissionError(f"{folder} is served by another user")
    except BaseException:
        connection.close()
        raise
    return connection


def ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The zygote's answer. Raises OSError when it gives none."""
    with connect(folder) as connection:
        wire.send(connection, request)
        try:
            answer, _ = wire.receive(connection)
        except (wire.Gone, ValueError) as error:
            raise ConnectionError("the zygote did not answer") from error
    return dict(answer)


def tell(folder: Path, request: dict[str, Any]) -> None:
    """Have the zygote do something that it does not answer. Raises OSError when there is none."""
    with connect(folder) as connection:
        wire.send(connection, request)


def is_current(folder: Path) -> bool:
    """Whether what is installed is still what the zygote of this folder found when it started."""
    try:
        facts = json.loads((folder / FACTS).read_text())
    except FileNotFoundError:
        # It writes them when it has imported what kernels need, and is not that far.
        return True
    except (OSError, ValueError):
        return False
    return bool(fingerprint(facts["paths"]) == facts["installed"])


@functools.cache
def _sources() -> bytes:
    """The modules of a zygote as it reads them; they do not change while nbci runs."""
    inkernel = importlib.resources.files("nbci.inkernel") / "zygote"
    shared = importlib.resources.files(__package__)
    folders = dict.fromkeys(SHARED, shared)
    folders["family"] = importlib.resources.files("nbci.kernels")
    folders |= dict.fromkeys(OF_THE_ZYGOTE, inkernel)

    modules = {}
    for name, folder in folders.items():
        modules[name] = (folder / f"{name}.py").read_text(encoding="utf-8")
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
