"""The zygotes that a process may fork kernels from: warm ones of this user's, and its own."""

from __future__ import annotations

import contextlib
import logging
import resource
import socket
import threading
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.kernels.private import private_folder
from nbci.kernels.zygote import home, wire
from nbci.kernels.zygote.forked import ForkedProcess
from nbci.kernels.zygote.key import key_of
from nbci.kernels.zygote.spawn import (
    SOCKET,
    Settings,
    ask,
    connect,
    environment_of_zygote,
    is_current,
    spawn,
    tell,
)
from nbci.umask import current_umask

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from nbci.kernels.private import PrivateFolder
    from nbci.kernels.zygote.key import Command

log = logging.getLogger("nbci.kernels.quiet")

OFF = "NBCI_ZYGOTE"
LIMITS = tuple(name for name in dir(resource) if name.startswith("RLIMIT_"))
READY_SECONDS = 60.0
END_SECONDS = 3.0
MOST_TRIES = 5
MOST_KINDS = 8
"""How many surroundings there are zygotes for, each of which holds what it has imported."""
TROUBLE = (OSError, ValueError, KeyError, wire.Gone)
"""What a zygote that died, or answers nonsense, looks like."""


class Unavailable(Exception):
    """No kernel can be forked; the message says why. One can still be started."""


class _Refused(Exception):
    """The zygote imported a package after which nothing should be forked."""

    def __init__(self, message: str, culprit: str) -> None:
        super().__init__(message)
        self.culprit = culprit


class _Otherwise(Exception):
    """What the zygote has imported found other surroundings than the kernel would."""

    def __init__(self, variables: Sequence[str], folder: bool, stale: bool) -> None:
        super().__init__(", ".join(variables) or "files")
        self.variables = variables
        self.folder = folder
        self.stale = stale


class NotMeant(Unavailable):
    """The kernel is none that would be forked: nothing is wrong."""


class Wish(Struct, frozen=True, kw_only=True):
    """The kernel that is wanted: its surroundings are those of a process that would be started for
    it.
    """

    command: Command
    env: Mapping[str, str]
    cwd: str
    connection_file: str
    descriptors: tuple[int, int, int]
    preloads: Sequence[str] = ()
    bare: bool = False
    """Whether nothing may be imported ahead: its code decides first what the imports find."""
    spare: bool = False


class Forked(Struct, frozen=True, kw_only=True):
    """A kernel that came of it; `connection` when it waited as a spare, and brought its own."""

    process: ForkedProcess
    connection: Mapping[str, Any] | None


class _Own(Struct, kw_only=True):
    folder: PrivateFolder
    process: subprocess.Popen[bytes]
    owner: socket.socket
    served: bool = False

    def close(self) -> None:
        """End it and its kernels."""
        self.owner.close()
        try:
            self.process.wait(END_SECONDS)
        except Exception:  # noqa: BLE001 - whatever keeps it, it ends now
            self.process.kill()
            self.process.wait()
        self.folder.remove()


class _Kind(Struct, kw_only=True):
    """What is known of the zygotes for one key and surroundings: the one in use, and what must not
    be tried again.
    """

    env: Mapping[str, str]
    cwd: str
    bare: bool
    own: _Own | None = None
    avoid: set[str] = field(default_factory=set)
    preloads: bool = True
    given_up: str | None = None


class _Read(Struct, kw_only=True):
    """What packages were seen to read when they were imported, besides what is in the key."""

    variables: set[str] = field(default_factory=set)
    folder: bool = False


class Zygotes(Struct, kw_only=True):
    """Forks kernels; ends its own zygotes when it is closed, or when this process ends, however it
    does.

    `environ` is what zygotes get besides the variables of their kernels that imports read: nothing
    in it may be a secret of one step. `as_stock`: kernels can be debugged, and what they leave
    running outlives them and the zygote.
    """

    environ: Mapping[str, str]
    spares: int = 1
    as_stock: bool = False
    noticed: Callable[[str], None] = log.warning
    reasons: list[str] = field(default_factory=list)
    _kinds: dict[str, list[_Kind]] = field(default_factory=dict)
    _read: dict[str, _Read] = field(default_factory=dict)
    _retired: list[_Own] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Zygotes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def dismiss(self) -> None:
        """Have this process's own zygotes end, and the kernels that are left of them; `close` waits
        for that.
        """
        with self._lock:
            for own in self._all_own():
                own.owner.close()

    def close(self) -> None:
        """End them; they are gone then."""
        self.dismiss()
        with self._lock:
            for own in self._all_own():
                own.close()
            self._retired.clear()
            self._kinds.clear()

    def _all_own(self) -> list[_Own]:
        kinds = [kind for alike in self._kinds.values() for kind in alike]
        return [*self._retired, *(kind.own for kind in kinds if kind.own is not None)]

    def fork(self, wish: Wish) -> Forked:
        """A kernel whose sockets are bound. Blocks. Raises Unavailable.

        A zygote that dies is replaced; one that dies or hangs before it forked any is tried once
        more without imports.
        """
        with contextlib.suppress(Unavailable, _Refused, _Otherwise, *TROUBLE):
            warm = (
                None
                if wish.bare
                else _warm_folder(key_of(wish.command, wish.env, wish.cwd, debugger=True))
            )
            if warm is not None:
                return _fork(warm, wish)
        otherwise: Exception | None = None
        for _ in range(MOST_TRIES):
            kind = self._kind_for(wish)
            try:
                return self._fork_of(kind, wish)
            except _Otherwise as error:
                self._note_read(kind, wish, error)
                otherwise = error
        raise Unavailable(
            f"what packages read when they are imported does not stay as it is: {otherwise}"
        )

    def _kind_for(self, wish: Wish) -> _Kind:
        """The kind whose zygotes import in the surroundings of this kernel, as far as these are
        known to count.
        """
        key = self._key(wish)
        with self._lock:
            read = self._read.setdefault(key, _Read())
            kinds = self._kinds.setdefault(key, [])
            for kind in kinds:
                is_place_right = kind.cwd == wish.cwd or not read.folder
                is_same = all(kind.env.get(name) == wish.env.get(name) for name in read.variables)
                if kind.bare == wish.bare and is_place_right and is_same:
                    return kind
            if len(kinds) >= MOST_KINDS:
                names = ", ".join(sorted(read.variables)) or "their folders"
                raise Unavailable(
                    f"they differ too much in what packages read when they are imported ({names})"
                )
            env = environment_of_zygote(self.environ, wish.env, wish.cwd, read.variables)
            kinds.append(_Kind(env=env, cwd=wish.cwd, bare=wish.bare))
            return kinds[-1]

    def _note_read(self, kind: _Kind, wish: Wish, error: _Otherwise) -> None:
        with self._lock:
            read = self._read[self._key(wish)]
            read.variables |= set(error.variables)
            read.folder = read.folder or error.folder
            if error.stale and kind.own is not None:
                self._retire(kind.own)
                kind.own = None

    def _key(self, wish: Wish) -> str:
        return key_of(wish.command, wish.env, wish.cwd, debugger=self.as_stock)

    def _fork_of(self, kind: _Kind, wish: Wish) -> Forked:
        """A kernel of this kind. Raises Unavailable, _Otherwise."""
        while kind.given_up is None:
            try:
                own = self._own_for(kind, wish)
            except OSError as error:
                kind.given_up = f"the process to fork them from could not be started: {error}"
                break
            try:
                forked = _fork(
                    own.folder.path, wish if kind.preloads else replace(wish, preloads=())
                )
                own.served = True
                return forked
            except _Refused as refusal:
                self._do_without(kind, own, refusal)
            except TROUBLE as error:
                self._replace(kind, own, error)
        raise Unavailable(kind.given_up)

    def prepare(self, preloads: Sequence[str]) -> None:
        """Have this process's own zygotes import modules ahead of need."""
        kinds = [kind for alike in self._kinds.values() for kind in alike if not kind.bare]
        for own in [kind.own for kind in kinds if kind.own is not None and kind.preloads]:
            with contextlib.suppress(OSError):
                tell(own.folder.path, {"do": "prepare", "preloads": preloads})

    def note(self, reason: Unavailable) -> None:
        """Remember why a kernel was started though it should have been forked, once."""
        if not isinstance(reason, NotMeant) and str(reason) not in self.reasons:
            self.reasons.append(str(reason))
            self.noticed(f"kernels are started, not forked: {reason}")

    def _own_for(self, kind: _Kind, wish: Wish) -> _Own:
        with self._lock:
            own = kind.own
            if (
                own is not None
                and own.served
                and (own.process.poll() is not None or not is_current(own.folder.path))
            ):
                self._retire(own)
                own = None
            if own is None:
                own = kind.own = self._start(wish, kind)
            return own

    def _retire(self, own: _Own) -> None:
        """It forks no more; what it forked lives on with it."""
        if own.process.poll() is not None:
            own.close()
            return
        with contextlib.suppress(OSError):
            ask(own.folder.path, {"do": "stop", "now": False})
        self._retired.append(own)

    def _do_without(self, kind: _Kind, own: _Own, refusal: _Refused) -> None:
        """The next zygote does not import the package that spoilt this one."""
        with self._lock:
            if kind.own is own:
                kind.own = None
                self._retire(own)
                if refusal.culprit in kind.avoid:
                    kind.given_up = str(refusal)
                kind.avoid.add(refusal.culprit)

    def _replace(self, kind: _Kind, own: _Own, error: Exception) -> None:
        """It died, or no longer answers."""
        with self._lock:
            if kind.own is not own:
                return
            kind.own = None
            own.process.kill()
            own.process.wait()
            if not own.served and not kind.preloads:
                kind.given_up = (
                    f"the process to fork them from does not come up: {_last_words(own, error)}"
                )
            kind.preloads = kind.preloads and own.served
            own.close()

    def _start(self, wish: Wish, kind: _Kind) -> _Own:
        folder = private_folder()
        ours, theirs = socket.socketpair()
        settings = Settings(
            key=self._key(wish),
            cwd=kind.cwd,
            preloads=tuple(wish.preloads) if kind.preloads else (),
            avoid=tuple(kind.avoid),
            spares=self.spares,
            debugger=self.as_stock,
            orphans=not self.as_stock,
        )
        try:
            if not folder.is_short:
                raise OSError("no temporary folder has a path that is short enough for sockets")
            with theirs:
                process = spawn(wish.command.interpreter, kind.env, folder.path, settings, theirs)
        except BaseException:
            ours.close()
            folder.remove()
            raise
        return _Own(folder=folder, process=process, owner=ours)


def _last_words(own: _Own, error: Exception) -> str:
    with contextlib.suppress(OSError):
        lines = (own.folder.path / "log").read_text(encoding="utf-8", errors="replace").split("\n")
        return next(
            (line for line in reversed(lines) if line.strip()), str(error) or type(error).__name__
        )
    return str(error) or type(error).__name__


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
        if "otherwise" in answer:
            raise _Otherwise(**answer["otherwise"])
        if "refused" in answer:
            raise _Refused(answer["refused"], answer["avoid"])
        process = ForkedProcess(
            connection, int(answer["pid"]), descriptors[0], parent=int(answer["zygote"])
        )
    except BaseException:
        connection.close()
        raise
    if not process.wait_until_ready(READY_SECONDS):
        process.kill()
        process.wait()
        raise Unavailable("a forked kernel ended before it was ready, or did not come up in time")
    return Forked(process=process, connection=answer["connection"])


def _request(wish: Wish) -> dict[str, Any]:
    return {
        "do": "kernel",
        "argv": wish.command.arguments,
        "env": dict(wish.env),
        "cwd": wish.cwd,
        "umask": current_umask(),
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in LIMITS},
        "connection_file": wish.connection_file,
        "preloads": wish.preloads,
        "spare": wish.spare,
    }
