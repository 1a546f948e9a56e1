"""The zygotes that a process may fork kernels from: warm ones of this user's, and its own."""

from __future__ import annotations

import contextlib
import logging
import resource
import shutil
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbci.kernels.zygote import home, wire
from nbci.kernels.zygote.forked import ForkedProcess
from nbci.kernels.zygote.key import key_of
from nbci.kernels.zygote.spawn import SOCKET, Settings, ask, connect, environment_of_zygote, is_current, spawn

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from nbci.kernels.zygote.key import Command

log = logging.getLogger("nbci.kernels.quiet")

OFF = "NBCI_ZYGOTE"
LIMITS = tuple(name for name in dir(resource) if name.startswith("RLIMIT_"))
READY_SECONDS = 60.0
END_SECONDS = 3.0


class Unavailable(Exception):
    """No kernel can be forked; the message says why. One can still be started."""


class NotMeant(Unavailable):
    """The kernel is none that would be forked: nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The kernel that is wanted: its surroundings are those of a process that would be started for it."""

    command: Command
    env: Mapping[str, str]
    cwd: str
    connection_file: str
    descriptors: tuple[int, int, int]
    preloads: Sequence[str] = ()
    spare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """A kernel that came of it; `connection` when it waited as a spare, and brought its own."""

    process: ForkedProcess
    connection: Mapping[str, Any] | None


@dataclass(slots=True, kw_only=True)
class _Own:
    folder: Path
    process: subprocess.Popen[bytes]
    owner: socket.socket

    def close(self) -> None:
        """End it and its kernels."""
        self.owner.close()
        try:
            self.process.wait(END_SECONDS)
        except Exception:  # noqa: BLE001 - whatever keeps it, it ends now
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(slots=True, kw_only=True)
class Zygotes:
    """Forks kernels; ends its own zygotes when it is closed, or when this process ends, however it does.

    `environ` is what zygotes get besides the kernels' import-time variables: nothing in it may be a secret of one step.
    """

    environ: Mapping[str, str]
    spares: int = 1
    debugger: bool = False
    noticed: Callable[[str], None] = log.warning
    reasons: list[str] = field(default_factory=list)
    _own: dict[str, _Own] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Zygotes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End this process's own zygotes and the kernels that are left of them."""
        with self._lock:
            for own in self._own.values():
                own.owner.close()
            for own in self._own.values():
                own.close()
            self._own.clear()

    def fork(self, wish: Wish) -> Forked:
        """A kernel whose sockets are bound. Blocks. Raises Unavailable."""
        try:
            folder = self._folder_for(wish)
            return _fork(folder, wish)
        except (OSError, ValueError, KeyError, wire.Gone) as error:
            raise Unavailable(f"a kernel could not be forked: {str(error) or type(error).__name__}") from error

    def prepare(self, preloads: Sequence[str]) -> None:
        """Have this process's own zygotes import modules ahead of need."""
        for own in list(self._own.values()):
            with contextlib.suppress(OSError):
                ask(own.folder, {"do": "prepare", "preloads": preloads})

    def note(self, reason: Unavailable) -> None:
        """Remember why a kernel was started though it should have been forked, once."""
        if not isinstance(reason, NotMeant) and str(reason) not in self.reasons:
            self.reasons.append(str(reason))
            self.noticed(f"kernels are started, not forked: {reason}")

    def _folder_for(self, wish: Wish) -> Path:
        warm = _warm_folder(key_of(wish.command, wish.env, debugger=True))
        if warm is not None:
            return warm
        key = key_of(wish.command, wish.env, debugger=self.debugger)
        with self._lock:
            own = self._own.get(key)
            if own is not None and (own.process.poll() is not None or not is_current(own.folder)):
                self._let_go(own)
                del self._own[key]
                own = None
            if own is None:
                own = self._own[key] = self._start(wish, key)
            return own.folder

    def _let_go(self, own: _Own) -> None:
        """It forks no more; what it forked lives on with it."""
        if own.process.poll() is not None:
            own.close()
            return
        with contextlib.suppress(OSError):
            ask(own.folder, {"do": "stop", "now": False})
        self._own[f"{id(own)}"] = own

    def _start(self, wish: Wish, key: str) -> _Own:
        folder = home.private_folder()
        ours, theirs = socket.socketpair()
        settings = Settings(key=key, preloads=tuple(wish.preloads), spares=self.spares, debugger=self.debugger)
        try:
            with theirs:
                env = environment_of_zygote(self.environ, wish.env)
                process = spawn(wish.command.interpreter, env, folder, settings, theirs)
        except BaseException:
            ours.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _Own(folder=folder, process=process, owner=ours)


def _warm_folder(key: str) -> Path | None:
    """The folder of a warm zygote that serves this key; a stale one is asked to end."""
    with contextlib.suppress(OSError):
        folder = home.warm_root(make=False) / key
        if (folder / SOCKET).exists():
            if is_current(folder):
                connect(folder).close()
                return folder
            ask(folder, {"do": "stop", "now": False})
    return None


def _fork(folder: Path, wish: Wish) -> Forked:
    connection = connect(folder)
    try:
        wire.send(connection, _request(wish), wish.descriptors)
        answer, descriptors = wire.receive(connection)
        if "refused" in answer:
            raise Unavailable(answer["refused"])
        process = ForkedProcess(connection, int(answer["pid"]), descriptors[0], parent=int(answer["zygote"]))
    except BaseException:
        connection.close()
        raise
    if not process.wait_until_ready(READY_SECONDS) and process.returncode is None:
        process.kill()
        process.wait()
        raise Unavailable("the forked kernel did not come up in time")
    return Forked(process=process, connection=answer["connection"])


def _request(wish: Wish) -> dict[str, Any]:
    return {
        "do": "kernel",
        "argv": wish.command.arguments,
        "env": dict(wish.env),
        "cwd": wish.cwd,
        "umask": _umask(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "connection_file": wish.connection_file,
        "preloads": wish.preloads,
        "spare": wish.spare,
    }


def _umask() -> int:
    """The umask of nbci's own process; asking the other way would change it for a moment, for all threads."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))
