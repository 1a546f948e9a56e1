"""The zygote's loop: one thread, no event loop, no zmq context; it forks kernels and tells how they ended."""

from __future__ import annotations

import contextlib
import gc
import json
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

from _nbci_zygote import child, wire  # type: ignore[import-not-found]  # these are there where this runs
from _nbci_zygote.fingerprint import fingerprint  # type: ignore[import-not-found]
from _nbci_zygote.stash import Stash  # type: ignore[import-not-found]

REQUEST_SECONDS = 10.0
PEER = struct.Struct("3i")


class Kernel:
    """A forked process: a kernel, or a spare that waits to become one; `connection` leads to its owner."""

    def __init__(self, pid: int, folder: str, link: socket.socket | None) -> None:
        self.pid = pid
        self.folder = folder
        self.link = link
        self.connection: socket.socket | None = None
        self.app_connection: dict[str, Any] | None = None
        self.ready = False
        self.started = time.time()

    def kill(self) -> None:
        for end in (os.killpg, os.kill):
            with contextlib.suppress(OSError):
                end(self.pid, signal.SIGKILL)


class Server:
    """Waits for requests, children and owners."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.folder: str = settings["folder"]
        self.listener = socket.socket(fileno=settings["listener"])
        self.owner = socket.socket(fileno=settings["owner"]) if settings["owner"] is not None else None
        self.spares_wanted: int = settings["spares"]
        self.stash = Stash()
        self.known: set[str] = set()
        self.kernels: dict[int, Kernel] = {}
        self.count = 0
        self.served = 0
        self.spare_argv: list[str] | None = settings["spare_arguments"]
        self.plain = True
        self.retiring = False
        self.last_use = time.monotonic()
        self.started = time.time()
        self.selector = selectors.DefaultSelector()
        self.wake_read, self.wake_write = os.pipe()
        self.environment = dict(os.environ)

    def run(self) -> None:
        """Serve until the owner is gone, or nothing was asked for too long."""
        self._open()
        self.last_use = time.monotonic()
        try:
            while not self._is_over():
                self._fill_spares()
                for key, _ in self.selector.select(self._patience()):
                    if key.data is not None:
                        key.data(key.fileobj)
        finally:
            for kernel in list(self.kernels.values()):
                kernel.kill()
            for pid in self.kernels:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)  # nobody else might
            shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self) -> None:
        for end in (self.wake_read, self.wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._retire)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(self.wake_read, selectors.EVENT_READ, self._reap)
        if self.owner is not None:
            self.selector.register(self.owner, selectors.EVENT_READ, self._owner_said)

    def _retire(self, *_: Any) -> None:
        self.retiring = True

    def _is_over(self) -> bool:
        if any(kernel.connection is not None for kernel in self.kernels.values()):
            return False
        idle = self.settings["idle_seconds"]
        return self.retiring or (idle is not None and time.monotonic() - self.last_use > idle)

    def _patience(self) -> float | None:
        idle = self.settings["idle_seconds"]
        return None if idle is None else max(0.05, min(60.0, idle / 4))

    def _owner_said(self, owner: Any) -> None:
        """Nothing but its end: then all kernels end too."""
        self.selector.unregister(owner)
        for kernel in self.kernels.values():
            kernel.connection = None
        self.retiring = True

    def _accept(self, listener: Any) -> None:
        connection, _ = listener.accept()
        try:
            _, user, _ = PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size))
            if user != os.getuid():
                raise PermissionError
            connection.settimeout(REQUEST_SECONDS)
            request, descriptors = wire.receive(connection)
        except (OSError, ValueError, wire.Gone):
            connection.close()
            return
        try:
            getattr(self, "_do_" + request["do"])(connection, request, descriptors)
        except Exception:  # noqa: BLE001  # whoever asked starts its kernel another way; the others' go on
            traceback.print_exc()
            connection.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _do_status(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        owned = [kernel for kernel in self.kernels.values() if kernel.connection is not None]
        said = {
            "pid": os.getpid(),
            "python": sys.executable,
            "version": sys.version.split()[0],
            "started": self.started,
            "idle_seconds": self.settings["idle_seconds"],
            "kernels": [kernel.pid for kernel in owned],
            "spares": [kernel.pid for kernel in self.kernels.values() if kernel.connection is None],
            "served": self.served,
            "preloads": [name for name in self.stash.preloaded if self._was_asked_for(name)],
            "left_out": {name: why for name, why in self.stash.refused.items() if self._was_asked_for(name)},
        }
        wire.send(connection, said)
        connection.close()

    def _was_asked_for(self, name: str) -> bool:
        return name not in self.known and not name.endswith("?")

    def _do_stop(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        if request["now"]:
            for kernel in self.kernels.values():
                self._disown(kernel)
        self.retiring = True
        self._stop_listening()
        wire.send(connection, {"pid": os.getpid()})
        connection.close()

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError, KeyError):
            self.selector.unregister(self.listener)
            os.unlink(os.path.join(self.folder, "s"))

    def _do_prepare(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        """Import ahead of need; spares are made anew with it."""
        connection.close()
        self._preload(request["preloads"])

    def _do_kernel(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        self.last_use = time.monotonic()
        self._preload(request["preloads"])
        reason = "an imported package opened the GPU, which a fork must not inherit" if touches_gpu() else None
        if self.stash.spoilt is not None:
            reason = self.stash.spoilt + " imports what is no installed distribution's"
        if reason is not None:
            wire.send(connection, {"refused": reason})
            connection.close()
            self.retiring = True
            return
        kernel = self._spare_for(request) or self._fork(request["argv"], connection, request, descriptors)
        if kernel.link is not None:
            with contextlib.suppress(OSError):
                wire.send(kernel.link, request, descriptors)
        self.served += 1
        self.spare_argv = without_connection(request["argv"])
        kernel.connection = connection
        connection.settimeout(REQUEST_SECONDS)
        pidfd = os.pidfd_open(kernel.pid)
        try:
            wire.send(
                connection, {"pid": kernel.pid, "zygote": os.getpid(), "connection": kernel.app_connection}, [pidfd]
            )
            if kernel.ready:
                wire.send(connection, {"ready": True})
        finally:
            os.close(pidfd)
        self.selector.register(connection, selectors.EVENT_READ, lambda _: self._disown(kernel))

    def _preload(self, names: list[str]) -> None:
        if self.stash.preload(names):
            for kernel in [kernel for kernel in self.kernels.values() if kernel.connection is None]:
                kernel.kill()  # it lacks what was imported now

    def _disown(self, kernel: Kernel) -> None:
        """Its owner let go of it: it ends."""
        if kernel.connection is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(kernel.connection)
            kernel.connection.close()
            kernel.connection = None
        kernel.ready = False
        kernel.kill()

    def _spare_for(self, request: dict[str, Any]) -> Kernel | None:
        if not request["spare"] or without_connection(request["argv"]) != self.spare_argv:
            return None
        for kernel in self.kernels.values():
            if kernel.connection is None and kernel.ready:
                return kernel
        return None

    def _fill_spares(self) -> None:
        """Fork what will be asked for next, one in each round."""
        if self.spare_argv is None or self.retiring or not self.plain:
            return
        waiting = sum(1 for kernel in self.kernels.values() if kernel.connection is None)
        if waiting < self.spares_wanted:
            folder = self._new_folder()
            file = os.path.join(folder, "kernel.json")
            argv = ["-f", file, "--transport=ipc", "--ip=" + os.path.join(folder, "k"), *self.spare_argv]
            self._fork(argv, None, None, [], folder)

    def _new_folder(self) -> str:
        self.count += 1
        folder = os.path.join(self.folder, str(self.count))
        os.mkdir(folder, 0o700)
        return folder

    def _fork(
        self,
        argv: list[str],
        connection: socket.socket | None,
        request: dict[str, Any] | None,
        descriptors: list[int],
        folder: str = "",
    ) -> Kernel:
        ours, theirs = socket.socketpair()
        gc.freeze()
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            copies = [os.dup(descriptor) for descriptor in descriptors]
            self._become(argv, zygote, theirs, (request, copies), connection)
        theirs.close()
        ours.settimeout(REQUEST_SECONDS)
        kernel = Kernel(pid, folder, None if request else ours)
        self.kernels[pid] = kernel
        self.selector.register(ours, selectors.EVENT_READ, lambda link: self._child_said(kernel, link))
        return kernel

    def _become(
        self,
        argv: list[str],
        zygote: int,
        link: socket.socket,
        asked: tuple[dict[str, Any] | None, list[int]],
        connection: socket.socket | None,
    ) -> None:
        """The child's whole life; does not return."""
        try:
            signal.set_wakeup_fd(-1)
            child.detach(zygote)
            self._close_all(connection)
            app = child_app(argv, link, *asked)
            link.close()
            app.start()
        except SystemExit as error:
            os._exit(error.code if isinstance(error.code, int) else 1)
        except BaseException:  # noqa: BLE001  # the traceback goes to the kernel's log
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        child.finish(app)

    def _close_all(self, connection: socket.socket | None) -> None:
        self.selector.close()
        os.close(self.wake_read)
        os.close(self.wake_write)
        self.listener.close()
        if self.owner is not None:
            self.owner.close()
        if connection is not None:
            connection.close()
        for kernel in self.kernels.values():
            for end in (kernel.link, kernel.connection):
                if end is not None:
                    end.close()

    def _child_said(self, kernel: Kernel, link: Any) -> None:
        """A child is ready, or has let go of its end."""
        try:
            said, _ = wire.receive(link)
        except (OSError, ValueError, wire.Gone):
            self.selector.unregister(link)
            link.close()
            kernel.link = None
            return
        kernel.ready = True
        kernel.app_connection = said.get("connection")
        if not said["plain"]:
            self.plain = False
        if kernel.connection is not None:
            with contextlib.suppress(OSError):
                wire.send(kernel.connection, {"ready": True})
        elif not self.plain:
            kernel.kill()

    def _reap(self, _: Any) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_read, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            kernel = self.kernels.pop(pid, None)
            if kernel is not None:
                self._ended(kernel, os.waitstatus_to_exitcode(status))

    def _ended(self, kernel: Kernel, code: int) -> None:
        self.last_use = time.monotonic()
        with contextlib.suppress(OSError):
            os.killpg(kernel.pid, signal.SIGKILL)  # what it left in its session
        if kernel.connection is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(kernel.connection)
            with contextlib.suppress(OSError):
                wire.send(kernel.connection, {"exit": code})
            kernel.connection.close()
        elif code and kernel.app_connection is None and not kernel.ready:
            self.plain = self.plain and code < 0  # a spare that cannot start is not tried again
        if kernel.folder:
            shutil.rmtree(kernel.folder, ignore_errors=True)


def child_app(argv: list[str], link: socket.socket, request: dict[str, Any] | None, descriptors: list[int]) -> Any:
    """The kernel's application, with its surroundings, when somebody owns it."""
    if request is not None:
        child.take_descriptors(descriptors)
        child.take_surroundings(request)
        app = child.make_app(argv)
        wire.send(link, {"plain": child.is_plain(app)})
        return app
    quiet = os.open(os.devnull, os.O_RDWR)
    child.take_descriptors([os.dup(quiet), os.dup(quiet), os.dup(quiet)])
    os.close(quiet)
    app = child.make_app(argv)
    link.settimeout(None)
    wire.send(link, {"plain": child.is_plain(app), "connection": child.connection_of(app)})
    try:
        request, descriptors = wire.receive(link)
    except (wire.Gone, OSError):
        os._exit(0)
    child.replace_descriptors(descriptors)
    child.take_surroundings(request)
    child.hand_over(app, request)
    return app


def without_connection(argv: list[str]) -> list[str]:
    """The kernel's arguments but for its connection file."""
    place = argv.index("-f") if "-f" in argv else len(argv)
    return argv[:place] + argv[place + 2 :]


def touches_gpu() -> bool:
    """Whether this process opened a GPU."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink("/proc/self/fd/" + number).startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri")):
                return True
    return False


def import_kernel(debugger: bool) -> None:
    """What `python -m ipykernel_launcher` imports before it reads its arguments, and what its start imports."""
    os.environ.pop("JPY_PARENT_PID", None)
    if not debugger:
        sys.modules["debugpy"] = None  # type: ignore[assignment]  # an import of it fails
    import importlib

    for name in BASE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if not debugger:
        sys.modules.pop("debugpy", None)


BASE = """
ipykernel.kernelapp ipykernel.ipkernel ipykernel.zmqshell ipykernel.debugger IPython.core.debugger IPython.core.oinspect
IPython.core.completerlib IPython.extensions.storemagic IPython.core.magics sqlite3 faulthandler pdb
tornado.platform.asyncio tornado.queues jupyter_client.session unicodedata stringprep encodings.idna encodings.latin_1
encodings.ascii
""".split()

AT_EVERY_END = ["psutil"]
IN_TIME = """
timeit pexpect IPython.core.magics.execution IPython.core.magics.script IPython.core.magics.ast_mod IPython.core.logger
IPython.core.magic_arguments IPython.utils.module_paths IPython.utils.timing stack_data pygments.lexers.python
pygments.formatters.terminal256 pygments.formatters.html pygments.styles runpy
""".split()
"""What kernels import at their first traceback, magic or `!`; worth its time where a zygote stays."""


def main(settings: dict[str, Any]) -> None:
    """Import, say where this is, serve."""
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    folders = [folder for folder in sys.path if folder]
    facts = {"pid": os.getpid(), "paths": folders, "installed": fingerprint(folders), "key": settings["key"]}
    server = Server(settings)
    write(os.path.join(server.folder, "zygote.json"), facts)
    import_kernel(settings["debugger"])
    server.stash.install()
    gc.collect()
    server.stash.preload(AT_EVERY_END if settings["owner"] is not None else AT_EVERY_END + IN_TIME)
    server.known = set(server.stash.preloaded) | set(server.stash.refused)
    server.stash.preload(settings["preloads"])
    server.run()
    os._exit(0)  # taking all those modules down would take its time


def write(path: str, document: Any) -> None:
    """A JSON file that is there whole or not at all."""
    with open(path + ".new", "w") as file:
        json.dump(document, file)
    os.replace(path + ".new", path)
