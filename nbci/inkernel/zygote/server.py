"""The zygote's loop: one thread, no event loop, no zmq context; it answers requests and watches its
owner.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import struct
import sys
import time
import traceback
from typing import Any

from _nbci_zygote import wire  # type: ignore[import-not-found]  # these are there where this runs
from _nbci_zygote.brood import Brood, Order  # type: ignore[import-not-found]
from _nbci_zygote.memory import let_go_of_files  # type: ignore[import-not-found]
from _nbci_zygote.stash import Stash  # type: ignore[import-not-found]

REQUEST_SECONDS = 10.0
QUIET_SECONDS = 0.05
"""When nothing was asked for so long, there is time to tidy up what imports left."""

PEER = struct.Struct("3i")
PR_SET_CHILD_SUBREAPER = 36


class Server:
    """Waits for requests, children and owners."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.folder: str = settings["folder"]
        self.listener = socket.socket(fileno=settings["listener"])
        self.owner = (
            socket.socket(fileno=settings["owner"]) if settings["owner"] is not None else None
        )
        self.stash = Stash()
        self.known: set[str] = set()
        self.retiring = False
        self.untidy = True
        self.started = time.time()
        self.selector = selectors.DefaultSelector()
        self.woken, self.wake = socket.socketpair()
        self.brood = Brood(self.selector, self.folder, settings, self._begin)
        self.brood.close_in_child = [
            end for end in (self.woken, self.wake, self.listener, self.owner) if end
        ]

    def run(self) -> None:
        """Serve until the owner is gone, or nothing was asked for too long."""
        self._open()
        self.brood.last_use = time.monotonic()
        try:
            while not self._is_over():
                self.brood.fill(room=not self.retiring and self.stash.spoilt is None)
                events = self.selector.select(self._patience())
                for key, _ in events:
                    if key.data is not None:
                        key.data(key.fileobj)
                if self.untidy and not events:
                    let_go_of_files()
                    self.untidy = False
        finally:
            self.brood.end(orphans=self.settings["orphans"])
            shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self) -> None:
        import ctypes

        ctypes.CDLL(None).prctl(
            PR_SET_CHILD_SUBREAPER, 1
        )  # what kernels leave behind is found here
        for end in (self.woken, self.wake):
            end.setblocking(False)
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._retire)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(self.woken, selectors.EVENT_READ, self._wake_up)
        if self.owner is not None:
            self.selector.register(self.owner, selectors.EVENT_READ, self._owner_said)

    def _wake_up(self, _: Any) -> None:
        with contextlib.suppress(BlockingIOError):
            self.woken.recv(4096)
        self.brood.reap()

    def _retire(self, *_: Any) -> None:
        self.retiring = True

    def _is_over(self) -> bool:
        if self.brood.owned:
            return False
        idle = self.settings["idle_seconds"]
        return self.retiring or (idle is not None and time.monotonic() - self.brood.last_use > idle)

    def _patience(self) -> float | None:
        if self.untidy:
            return QUIET_SECONDS
        idle = self.settings["idle_seconds"]
        return None if idle is None else max(0.05, min(60.0, idle / 4))

    def _owner_said(self, owner: Any) -> None:
        """Nothing but its end: then all kernels end too."""
        self.selector.unregister(owner)
        for kernel in self.brood.owned:
            self.brood.disown(kernel)
        self.retiring = True

    def _accept(self, listener: Any) -> None:
        connection, _ = listener.accept()
        try:
            _, user, _ = PEER.unpack(
                connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
            )
            if user != os.getuid():
                raise PermissionError
            connection.settimeout(REQUEST_SECONDS)
            request, descriptors = wire.receive(connection)
        except (OSError, ValueError, wire.Gone):
            connection.close()
            return
        order = None
        try:
            if request["do"] == "kernel":
                order = Order(request, connection, descriptors)
                self._kernel(order)
            else:
                with connection:
                    getattr(self, "_do_" + request["do"])(connection, request)
        except Exception:  # noqa: BLE001  # whoever asked starts its kernel another way; the others' go on
            traceback.print_exc()
            connection.close()
            if order is not None:
                order.close_descriptors()

    def _do_status(self, connection: socket.socket, _: dict[str, Any]) -> None:
        said = {
            "pid": os.getpid(),
            "python": sys.executable,
            "version": sys.version.split()[0],
            "started": self.started,
            "idle_seconds": self.settings["idle_seconds"],
            "kernels": [kernel.pid for kernel in self.brood.owned],
            "spares": [kernel.pid for kernel in self.brood.spares],
            "served": self.brood.served,
            "preloads": [name for name in self.stash.preloaded if self._was_asked_for(name)],
            "left_out": {
                name: why for name, why in self.stash.refused.items() if self._was_asked_for(name)
            },
        }
        wire.send(connection, said)

    def _was_asked_for(self, name: str) -> bool:
        return name not in self.known and not name.endswith("?")

    def _do_stop(self, connection: socket.socket, request: dict[str, Any]) -> None:
        for kernel in self.brood.owned if request["now"] else ():
            self.brood.disown(kernel)
        self._stop_serving()
        wire.send(connection, {"pid": os.getpid()})

    def _stop_serving(self) -> None:
        self.retiring = True
        with contextlib.suppress(OSError, KeyError):
            self.selector.unregister(self.listener)
            os.unlink(os.path.join(self.folder, "s"))

    def _do_prepare(self, _: socket.socket, request: dict[str, Any]) -> None:
        """Import ahead of need; spares are made anew with it."""
        self._preload(request["preloads"])

    def _begin(self, request: dict[str, Any]) -> None:
        """Called in a kernel that has its order."""
        self.stash.forked([*request["preloads"], *self.known])

    def _kernel(self, order: Order) -> None:
        request = order.request
        self._preload(request["preloads"])
        if self.stash.spoilt is not None:
            culprit, reason = self.stash.spoilt
            self._refuse(order, {"refused": culprit + ": " + reason, "avoid": culprit})
            self._stop_serving()  # what is imported stays; another zygote does without
            return
        names = [*request["preloads"], *self.known]
        otherwise = self.stash.otherwise(names, request["env"], request["cwd"])
        if otherwise is None:
            self.brood.deliver(order)
            return
        self._refuse(order, {"otherwise": otherwise})
        if otherwise["stale"]:
            self._stop_serving()

    def _refuse(self, order: Order, why: dict[str, Any]) -> None:
        with order.connection as connection:
            order.close_descriptors()
            wire.send(connection, why)

    def _preload(self, names: list[str]) -> None:
        if self.stash.preload(names):
            self.brood.drop_spares()
            self.untidy = True
