"""The zygotes that a process may fork kernels from: warm ones of this user's, and its own."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from nbci.kernels.private import private_folder
from nbci.kernels.zygote import home, wire
from nbci.kernels.zygote.fork_request import (
    Forked,
    ForkRequest,
    NotForkable,
    OtherSurroundings,
    Refused,
    Unavailable,
    request_fork,
)
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

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nbci.kernels.private import PrivateFolder

log = logging.getLogger("nbci.kernels.quiet")

OFF = "NBCI_ZYGOTE"
END_SECONDS = 3.0
MOST_TRIES = 5
MOST_KINDS = 8
"""How many surroundings there are zygotes for, each of which holds what it has imported."""
TROUBLE = (OSError, ValueError, KeyError, wire.Gone)
"""What a zygote that died, or answers nonsense, looks like."""


class _Own(Struct, kw_only=True):
    """A zygote of this process's own; `served`: it has forked a kernel."""

    folder: PrivateFolder
    process: subprocess.Popen[bytes]
    owner: socket.socket
    served: bool = False

    @property
    def is_usable(self) -> bool:
        """Whether it may fork more.

        One that has not served yet is not looked at: it may be starting.
        """
        if not self.served:
            return True
        # What it imported would be of the old version after an upgrade of a package.
        return self.process.poll() is None and is_current(self.folder.path)

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
    """What is known of the zygotes for one key and surroundings.

    `own` is the one in use, `avoid` what must not be preloaded again, `given_up` why there is none
    any more.
    """

    env: Mapping[str, str]
    cwd: str
    bare: bool
    own: _Own | None = None
    avoid: set[str] = field(default_factory=set)
    preloads: bool = True
    given_up: str | None = None

    def fits(self, request: ForkRequest, read: _Read) -> bool:
        """Whether its zygotes import what the kernel would, as far as is known to count."""
        if self.bare != request.bare or (read.folder and self.cwd != request.cwd):
            return False
        return all(self.env.get(name) == request.env.get(name) for name in read.variables)


class _Read(Struct, kw_only=True):
    """What packages were seen to read when they were imported, besides what is in the key."""

    variables: set[str] = field(default_factory=set)
    folder: bool = False


class Zygotes(Struct, kw_only=True):
    """Forks kernels; ends its own zygotes when it is closed.

    They also end when this process does, however it ends.

    `environ` is what zygotes get besides the variables of their kernels that imports read: nothing
    in it may be a secret of one step. `as_stock`: kernels can be debugged, and what they leave
    running outlives them and the zygote. `noticed` is called with what a person should know.
    """

    environ: Mapping[str, str]
    spares: int = 1
    as_stock: bool = False
    noticed: Callable[[str], None] = log.warning
    reasons: list[str] = field(default_factory=list)
    _kinds: dict[str, list[_Kind]] = field(default_factory=dict)
    _read: dict[str, _Read] = field(default_factory=dict)
    _retired: list[_Own] = field(default_factory=list)
    # Steps that run at once fork in threads of their own.
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Zygotes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def dismiss(self) -> None:
        """Have this process's own zygotes end, with their kernels; `close` waits for that."""
        with self._lock:
            for own in self._all_own():
                own.owner.close()

    def close(self) -> None:
        """End this process's own zygotes, and wait until they have ended."""
        # All at once first, so that the time to wait is that of the slowest.
        self.dismiss()
        with self._lock:
            for own in self._all_own():
                own.close()
            self._retired.clear()
            self._kinds.clear()

    def _all_own(self) -> list[_Own]:
        in_use = [kind.own for kind in self._all_kinds() if kind.own is not None]
        return [*self._retired, *in_use]

    def _all_kinds(self) -> Iterator[_Kind]:
        for kinds in self._kinds.values():
            yield from kinds

    def fork(self, request: ForkRequest) -> Forked:
        """A kernel whose sockets are bound. Blocks. Raises Unavailable.

        A zygote that dies is replaced; one that dies or hangs before it forked any is tried once
        more without imports.
        """
        # Whatever is wrong with a warm zygote, one of this process's own may do.
        with contextlib.suppress(Unavailable, Refused, OtherSurroundings, *TROUBLE):
            warm = _warm_folder(request)
            if warm is not None:
                return request_fork(warm, request)

        otherwise: Exception | None = None
        for _ in range(MOST_TRIES):
            kind = self._kind_for(request)
            try:
                return self._fork_of(kind, request)
            except OtherSurroundings as error:
                self._note_read(kind, request, error)
                otherwise = error
        raise Unavailable(
            f"what packages read when they are imported does not stay as it is: {otherwise}"
        )

    def _kind_for(self, request: ForkRequest) -> _Kind:
        """The kind whose zygotes import in the surroundings of this kernel."""
        key = self._key(request)
        with self._lock:
            read = self._read.setdefault(key, _Read())
            kinds = self._kinds.setdefault(key, [])
            for kind in kinds:
                if kind.fits(request, read):
                    return kind
            if len(kinds) >= MOST_KINDS:
                names = ", ".join(sorted(read.variables)) or "their folders"
                raise Unavailable(
                    f"they differ too much in what packages read when they are imported ({names})"
                )
            env = environment_of_zygote(self.environ, request.env, request.cwd, read.variables)
            kinds.append(_Kind(env=env, cwd=request.cwd, bare=request.bare))
            return kinds[-1]

    def _note_read(self, kind: _Kind, request: ForkRequest, error: OtherSurroundings) -> None:
        with self._lock:
            read = self._read[self._key(request)]
            read.variables |= set(error.variables)
            read.folder = read.folder or error.folder
            if error.stale and kind.own is not None:
                self._retire(kind.own)
                kind.own = None

    def _key(self, request: ForkRequest) -> str:
        return key_of(request.command, request.env, request.cwd, debugger=self.as_stock)

    def _fork_of(self, kind: _Kind, request: ForkRequest) -> Forked:
        """A kernel of this kind. Raises Unavailable, OtherSurroundings."""
        while kind.given_up is None:
            try:
                own = self._own_for(kind, request)
            except OSError as error:
                kind.given_up = f"the process to fork them from could not be started: {error}"
                break

            wanted = request
            if not kind.preloads:
                wanted = replace(request, preloads=())
            try:
                forked = request_fork(own.folder.path, wanted)
                own.served = True
                return forked
            except Refused as refusal:
                self._do_without(kind, own, refusal)
            except TROUBLE as error:
                self._replace(kind, own, error)
        raise Unavailable(kind.given_up)

    def prepare(self, preloads: Sequence[str]) -> None:
        """Have this process's own zygotes import modules ahead of need."""
        kinds = [kind for kind in self._all_kinds() if kind.preloads and not kind.bare]
        for own in [kind.own for kind in kinds if kind.own is not None]:
            with contextlib.suppress(OSError):
                tell(own.folder.path, {"do": "prepare", "preloads": preloads})

    def note(self, reason: Unavailable) -> None:
        """Remember why a kernel was started though it should have been forked, once."""
        if not isinstance(reason, NotForkable) and str(reason) not in self.reasons:
            self.reasons.append(str(reason))
            self.noticed(f"kernels are started, not forked: {reason}")

    def _own_for(self, kind: _Kind, request: ForkRequest) -> _Own:
        with self._lock:
            own = kind.own
            if own is not None and not own.is_usable:
                self._retire(own)
                own = None
            if own is None:
                own = kind.own = self._start(request, kind)
            return own

    def _retire(self, own: _Own) -> None:
        """Let it fork no more; what it forked lives on with it."""
        if own.process.poll() is not None:
            own.close()
            return
        with contextlib.suppress(OSError):
            ask(own.folder.path, {"do": "stop", "now": False})
        self._retired.append(own)

    def _do_without(self, kind: _Kind, own: _Own, refusal: Refused) -> None:
        """Let the next zygote not import the package that made this one unfit."""
        with self._lock:
            # Another step's thread may have done so meanwhile.
            if kind.own is own:
                kind.own = None
                self._retire(own)
                if refusal.culprit in kind.avoid:
                    kind.given_up = str(refusal)
                kind.avoid.add(refusal.culprit)

    def _replace(self, kind: _Kind, own: _Own, error: Exception) -> None:
        """Give up a zygote that died, or no longer answers."""
        with self._lock:
            # Another step's thread may have done so meanwhile.
            if kind.own is not own:
                return
            kind.own = None
            own.process.kill()
            own.process.wait()
            if not own.served and not kind.preloads:
                reason = _last_log_line(own) or str(error) or type(error).__name__
                kind.given_up = f"the process to fork them from does not come up: {reason}"
            # A preloaded package may have ended it before it served anybody.
            kind.preloads = kind.preloads and own.served
            own.close()

    def _start(self, request: ForkRequest, kind: _Kind) -> _Own:
        preloads: tuple[str, ...] = ()
        if kind.preloads:
            preloads = tuple(request.preloads)
        settings = Settings(
            key=self._key(request),
            cwd=kind.cwd,
            preloads=preloads,
            avoid=tuple(kind.avoid),
            spares=self.spares,
            debugger=self.as_stock,
            orphans=not self.as_stock,
        )
        folder = private_folder()
        ours, theirs = socket.socketpair()
        try:
            if not folder.is_short:
                raise OSError("no temporary folder has a path that is short enough for sockets")
            # Their end is closed here, so that the zygote finds it closed when this process ends.
            with theirs:
                interpreter = request.command.interpreter
                process = spawn(interpreter, kind.env, folder.path, settings, theirs)
        except BaseException:
            ours.close()
            folder.remove()
            raise
        return _Own(folder=folder, process=process, owner=ours)


def _last_log_line(own: _Own) -> str | None:
    """What the zygote printed last: of a traceback, that is the error."""
    try:
        text = (own.folder.path / "log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return next((line for line in reversed(text.split("\n")) if line.strip()), None)


def _warm_folder(request: ForkRequest) -> Path | None:
    """The folder of a warm zygote that serves this kernel; a stale one is asked to end."""
    if request.bare:
        return None
    key = key_of(request.command, request.env, request.cwd, debugger=True)
    with contextlib.suppress(OSError):
        folder = home.warm_root(make=False) / key
        if (folder / SOCKET).exists():
            if is_current(folder):
                # A killed one left its socket behind.
                connect(folder).close()
                return folder
            ask(folder, {"do": "stop", "now": False})
    return None
