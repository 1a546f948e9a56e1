"""The zygote's loop: answers requests, watches its children and its owner.

It has one thread, no event loop and no zmq context, because a fork carries none of these over.
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

from _nbci_zygote import wire
from _nbci_zygote.fork_pool import ForkPool, Order
from _nbci_zygote.hidden_modules import HiddenModules
from _nbci_zygote.memory import release_file_pages

REQUEST_SECONDS = 10.0
QUIET_SECONDS = 0.05
"""When nothing was asked for so long, there is time to tidy up what imports left."""

PEER = struct.Struct("3i")
"""`struct ucred` of SO_PEERCRED, unix(7): process, user, group."""
PR_SET_CHILD_SUBREAPER = 36


class Server:
    """Waits for requests, children and owners."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.folder: str = settings["folder"]
        self.listener = socket.socket(fileno=settings["listener"])
        self.owner: socket.socket | None = None
        if settings["owner"] is not None:
            self.owner = socket.socket(fileno=settings["owner"])
        self.hidden = HiddenModules()
        self.known: set[str] = set()
        self.retiring = False  # it forks no more, and ends with its last kernel
        self.has_pages_to_release = True
        self.started = time.time()
        self.selector = selectors.DefaultSelector()
        self.woken, self.wake = socket.socketpair()
        self.pool = ForkPool(self.selector, self.folder, settings, self._begin)
        self.pool.close_in_child = [self.woken, self.wake, self.listener]
        if self.owner is not None:
            self.pool.close_in_child.append(self.owner)

    def run(self) -> None:
        """Serve until the owner ends, or nothing was asked for too long."""
        self._open()
        self.pool.last_use = time.monotonic()
        try:
            while not self._is_over():
                if not self.retiring and self.hidden.fork_hazard is None:
                    self.pool.fill_spares()
                events = self.selector.select(self._select_timeout())
                for key, _ in events:
                    if key.data is not None:
                        key.data(key.fileobj)
                if self.has_pages_to_release and not events:
                    release_file_pages()
                    self.has_pages_to_release = False
        finally:
            self.pool.end_all(orphans=self.settings["orphans"])
            shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self) -> None:
        import ctypes

        # what kernels leave running becomes a child of this process, and can be ended: prctl(2)
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        # a signal handler must not block (`signal.set_wakeup_fd`)
        for end in (self.woken, self.wake):
            end.setblocking(False)
        # a signal during `select` must not be lost: its number is written to a socket
        signal.set_wakeup_fd(self.wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._retire)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(self.woken, selectors.EVENT_READ, self._wake_up)
        if self.owner is not None:
            self.selector.register(self.owner, selectors.EVENT_READ, self._handle_owner_end)

    def _wake_up(self, _: Any) -> None:
        with contextlib.suppress(BlockingIOError):
            self.woken.recv(4096)
        self.pool.reap()

    def _retire(self, *_: Any) -> None:
        self.retiring = True

    def _is_over(self) -> bool:
        if self.pool.owned:
            return False
        idle = self.settings["idle_seconds"]
        is_idle = idle is not None and time.monotonic() - self.pool.last_use > idle
        return self.retiring or is_idle

    def _select_timeout(self) -> float | None:
        """How long nothing may come until there is something to do, in seconds."""
        if self.has_pages_to_release:
            return QUIET_SECONDS
        idle = self.settings["idle_seconds"]
        if idle is None:
            return None
        return float(max(0.05, min(60.0, idle / 4)))

    def _handle_owner_end(self, owner: Any) -> None:
        """The owner sends nothing, so this is its end: then all kernels end too."""
        self.selector.unregister(owner)
        for kernel in self.pool.owned:
            self.pool.end_kernel(kernel)
        self.retiring = True

    def _accept(self, listener: Any) -> None:
        connection, _ = listener.accept()
        try:
            self._check_user(connection)
            connection.settimeout(REQUEST_SECONDS)
            request, descriptors = wire.receive(connection)
        except (OSError, ValueError, wire.Gone):
            connection.close()
            return

        order = None
        try:
            if request["do"] == "kernel":
                order = Order(request, connection, descriptors)
                self._serve_kernel(order)
            else:
                with connection:
                    getattr(self, "_do_" + request["do"])(connection, request)
        # this client starts its kernel another way; those of others go on
        except Exception:  # noqa: BLE001
            traceback.print_exc()
            connection.close()
            if order is not None:
                order.close_descriptors()

    def _check_user(self, connection: socket.socket) -> None:
        """Raise PermissionError for another user, whom the folder's mode may not keep out."""
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
        _, user, _ = PEER.unpack(peer)
        if user != os.getuid():
            raise PermissionError

    def _do_status(self, connection: socket.socket, _: dict[str, Any]) -> None:
        refused = self.hidden.refused
        answer = {
            "pid": os.getpid(),
            "python": sys.executable,
            "version": sys.version.split()[0],
            "started": self.started,
            "idle_seconds": self.settings["idle_seconds"],
            "kernels": [kernel.pid for kernel in self.pool.owned],
            "spares": [kernel.pid for kernel in self.pool.spares],
            "served": self.pool.served,
            "preloads": list(filter(self._was_asked_for, self.hidden.preloaded)),
            "left_out": {name: refused[name] for name in filter(self._was_asked_for, refused)},
        }
        wire.send(connection, answer)

    def _was_asked_for(self, name: str) -> bool:
        return name not in self.known and not name.endswith("?")

    def _do_stop(self, connection: socket.socket, request: dict[str, Any]) -> None:
        if request["now"]:
            for kernel in self.pool.owned:
                self.pool.end_kernel(kernel)
        self._stop_serving()
        wire.send(connection, {"pid": os.getpid()})

    def _stop_serving(self) -> None:
        self.retiring = True
        with contextlib.suppress(OSError, KeyError):
            self.selector.unregister(self.listener)
            os.unlink(os.path.join(self.folder, "s"))

    def _do_prepare(self, _: socket.socket, request: dict[str, Any]) -> None:
        """Import more; the spares are replaced by ones that have it."""
        self._preload(request["preloads"])

    def _begin(self, request: dict[str, Any]) -> None:
        """Called in a kernel that has its order."""
        self.hidden.note_fork([*request["preloads"], *self.known])

    def _serve_kernel(self, order: Order) -> None:
        """Fork for the order, or say why not.

        `refused`: an import left this process unfit to be forked. `otherwise`: the kernel would
        find other surroundings than the imports did.
        """
        request = order.request
        self._preload(request["preloads"])
        if self.hidden.fork_hazard is not None:
            culprit, reason = self.hidden.fork_hazard
            self._refuse(order, {"refused": culprit + ": " + reason, "avoid": culprit})
            self._stop_serving()  # what is imported stays; another zygote does without
            return

        names = [*request["preloads"], *self.known]
        differing = self.hidden.differing_surroundings(names, request["env"], request["cwd"])
        if differing is None:
            self.pool.deliver(order)
            return
        self._refuse(order, {"otherwise": differing})
        if differing["stale"]:
            self._stop_serving()

    def _refuse(self, order: Order, why: dict[str, Any]) -> None:
        with order.connection as connection:
            order.close_descriptors()
            wire.send(connection, why)

    def _preload(self, names: list[str]) -> None:
        if self.hidden.preload(names):
            self.pool.drop_spares()
            self.has_pages_to_release = True
