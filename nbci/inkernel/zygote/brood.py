"""The processes that a zygote forked: kernels, and spares that wait to become some."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any

from _nbci_zygote import child, memory, wire  # type: ignore[import-not-found]  # these are there where this runs
from _nbci_zygote.family import family, kill  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 10.0


class Order:
    """A kernel that somebody asked for; the descriptors are the order's own until it is closed."""

    def __init__(
        self, request: dict[str, Any], connection: socket.socket, descriptors: list[int]
    ) -> None:
        self.request = request
        self.connection = connection
        self.descriptors = descriptors
        self.marker: str = request["env"].get("NBCI_KERNEL", "")

    def close_descriptors(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


class Kernel:
    """A forked process. It has an order, or is a spare; `link` leads to the process."""

    def __init__(self, pid: int, link: socket.socket, order: Order | None, folder: str) -> None:
        self.pid = pid
        self.link: socket.socket | None = link
        self.order = order
        self.folder = folder
        self.offer: dict[str, Any] | None = None
        self.is_free = False
        self.is_taken = False

    def kill(self) -> None:
        """Kill it and its group at once."""
        self.is_free = False
        for end in (os.killpg, os.kill):
            with contextlib.suppress(OSError):
                end(self.pid, signal.SIGKILL)

    def kill_family(self) -> None:
        """Kill it and all that it started; with a marker, also what left its session and its
        parent.
        """
        pids = family(self.pid, self.order.marker if self.order is not None else "")
        self.kill()
        kill(pids)


class Brood:
    """Forks, hands over and reaps; `spare_argv` is what the next spare is started with."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        folder: str,
        settings: dict[str, Any],
        begin: Callable[[dict[str, Any]], None],
    ) -> None:
        """`begin` is called in each kernel when it has taken its order."""
        self.kernels: dict[int, Kernel] = {}
        self.served = 0
        self.last_use = time.monotonic()
        self.close_in_child: list[Any] = []
        self._selector = selector
        self._folder = folder
        self._begin = begin
        self._count = 0
        self._spares_wanted: int = settings["spares"]
        self._spare_argv: list[str] | None = settings["spare_arguments"]
        self._is_plain = True

    @property
    def owned(self) -> list[Kernel]:
        return [kernel for kernel in self.kernels.values() if kernel.order is not None]

    @property
    def spares(self) -> list[Kernel]:
        return [kernel for kernel in self.kernels.values() if kernel.order is None]

    def deliver(self, order: Order) -> None:
        """Give a spare that is ready, or fork."""
        self.last_use = time.monotonic()
        argv = without_connection(order.request["argv"])
        fits = order.request["spare"] and argv == self._spare_argv
        self._spare_argv = argv
        for kernel in self.spares if fits else ():
            if kernel.is_free and self._hand_over(kernel, order):
                return
        self._fork_for(order)

    def _hand_over(self, kernel: Kernel, order: Order) -> bool:
        """Offer a spare its order; whoever asked is told when the spare says that it has it."""
        try:
            wire.send(kernel.link, order.request, order.descriptors)
        except OSError:
            kernel.kill()
            return False
        kernel.is_free = False
        kernel.order = order
        return True

    def _fork_for(self, order: Order) -> None:
        kernel = self._fork(order.request["argv"], order, "")
        self._answer(kernel, order)

    def _answer(self, kernel: Kernel, order: Order) -> None:
        """Tell whoever asked which process it is."""
        kernel.is_taken = True
        self.served += 1
        order.close_descriptors()
        order.connection.settimeout(PATIENCE_SECONDS)
        pidfd = os.pidfd_open(kernel.pid)
        said = {"pid": kernel.pid, "zygote": os.getpid(), "connection": kernel.offer}
        try:
            wire.send(order.connection, said, [pidfd])
        except OSError:
            kernel.kill()
        finally:
            os.close(pidfd)
        self._selector.register(
            order.connection, selectors.EVENT_READ, lambda _: self.disown(kernel)
        )

    def drop_spares(self) -> None:
        """They lack what was imported now."""
        for kernel in self.spares:
            kernel.kill()

    def fill(self, room: bool) -> None:
        """Fork what will be asked for next, one at a time."""
        if (
            not room
            or self._spare_argv is None
            or not self._is_plain
            or len(self.spares) >= self._spares_wanted
        ):
            return
        self._count += 1
        folder = os.path.join(self._folder, str(self._count))
        os.mkdir(folder, 0o700)
        file = os.path.join(folder, "kernel.json")
        self._fork(
            ["-f", file, "--transport=ipc", "--ip=" + os.path.join(folder, "k"), *self._spare_argv],
            None,
            folder,
        )

    def _fork(self, argv: list[str], order: Order | None, folder: str) -> Kernel:
        ours, theirs = socket.socketpair()
        memory.before_fork()
        zygote = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become(argv, zygote, theirs, order)
        theirs.close()
        ours.settimeout(PATIENCE_SECONDS)
        kernel = self.kernels[pid] = Kernel(pid, ours, order, folder)
        self._selector.register(
            ours, selectors.EVENT_READ, lambda link: self._child_said(kernel, link)
        )
        return kernel

    def _become(
        self, argv: list[str], zygote: int, link: socket.socket, order: Order | None
    ) -> None:
        """The child's whole life; does not return."""
        try:
            signal.set_wakeup_fd(-1)
            child.detach(zygote)
            self._close_all(order)
            if order is not None:
                descriptors = [os.dup(number) for number in order.descriptors]
                app = child.ordered(argv, link, order.request, descriptors, self._begin)
            else:
                app = child.spare(argv, link, self._begin)
            link.close()
            app.start()
        except SystemExit as error:
            os._exit(error.code if isinstance(error.code, int) else 1)
        except BaseException:  # noqa: BLE001  # the traceback goes to the kernel's log
            traceback.print_exc(file=child.sys.__stderr__)
            os._exit(1)
        child.finish(app)

    def _close_all(self, order: Order | None) -> None:
        self._selector.close()
        for end in self.close_in_child:
            end.close()
        if order is not None:
            order.connection.close()
        for kernel in self.kernels.values():
            if kernel.link is not None:
                kernel.link.close()
            if kernel.order is not None:
                kernel.order.connection.close()
                kernel.order.close_descriptors()

    def _child_said(self, kernel: Kernel, link: Any) -> None:
        """A kernel's sockets are bound, a spare has taken its order, or a child has let go of its
        end.
        """
        try:
            said, _ = wire.receive(link)
        except (OSError, ValueError, wire.Gone):
            self._selector.unregister(link)
            link.close()
            kernel.link = None
            return
        if "offer" in said:
            kernel.offer = said["offer"]
            kernel.is_free = True
        self._is_plain = self._is_plain and said.get("plain", True)
        order = kernel.order
        if order is None:
            if not self._is_plain:
                kernel.kill()
        elif not kernel.is_taken:
            self._answer(kernel, order)
        if order is not None:
            with contextlib.suppress(OSError):
                wire.send(order.connection, {"ready": True})

    def disown(self, kernel: Kernel) -> None:
        """Whoever asked for it is gone: it ends, with all that it started."""
        if kernel.order is not None:
            kernel.kill_family()
            self._let_go_of(kernel.order)
            kernel.order = None
        kernel.kill()

    def _let_go_of(self, order: Order) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(order.connection)
        order.close_descriptors()
        order.connection.close()

    def reap(self) -> None:
        """Take note of all that ended."""
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
        kernel.kill()  # what it left in its group
        order = kernel.order
        if order is None:
            if code > 0 and kernel.offer is None:
                self._is_plain = False  # a spare that cannot start is not tried again
        elif not kernel.is_taken:
            self._fork_for(order)  # the spare died while it was handed over
        else:
            with contextlib.suppress(OSError):
                wire.send(order.connection, {"exit": code})
            self._let_go_of(order)
        if kernel.folder:
            shutil.rmtree(kernel.folder, ignore_errors=True)

    def end(self, orphans: bool) -> None:
        """End all of them; with `orphans`, everything that descends from here."""
        for kernel in list(self.kernels.values()):
            self.disown(kernel)
        while orphans and (left := family(os.getpid(), "")):
            kill(left)
            self._wait(left)
        self._wait(set(self.kernels))

    def _wait(self, pids: set[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(
                    pid, 0
                )  # nobody else might; one that is no child yet becomes one when its parent ends


def without_connection(argv: list[str]) -> list[str]:
    """The kernel's arguments but for its connection file."""
    place = argv.index("-f") if "-f" in argv else len(argv)
    return argv[:place] + argv[place + 2 :]
